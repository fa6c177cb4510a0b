"""One server for all commands."""

from collections.abc import Generator

import pytest

from tests.cli.command import Shell, server
from tests.support.witness import witnessed


@pytest.fixture(scope="session")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Generator[Shell, None, None]:
    with server(tmp_path_factory.mktemp("data")) as url, witnessed(url.removesuffix("/v1")) as base:
        yield Shell(f"{base}/v1")
