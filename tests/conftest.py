"""Fixtures of all floors."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from tests.support.scripted import ScriptedUpstream, scripted_upstream
from tests.support.serving import Live, serving


@pytest.fixture
async def upstream() -> AsyncGenerator[ScriptedUpstream, None]:
    async with scripted_upstream() as running:
        yield running


@pytest.fixture
async def live(tmp_path: Path, upstream: ScriptedUpstream) -> AsyncGenerator[Live, None]:
    async with serving(tmp_path, upstream.url) as running:
        yield running
