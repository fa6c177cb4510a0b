"""The stage that most tests of the engine play on."""

from collections.abc import AsyncGenerator

import pytest

from tests.support.stage import Stage
from threadmill.adapters.memory.store import MemoryStore


@pytest.fixture
async def stage() -> AsyncGenerator[Stage, None]:
    made = Stage(MemoryStore())
    yield made
    await made.worker.drain(0)
    await made.search.index.aclose()
