"""One server in a process of its own, as users run it, and the reports of every SDK that drove it."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeAlias

import pytest

from tests.sandbox.support import ENVIRONMENT
from tests.sdk.backstage import backstage
from tests.sdk.clients import SDKS, Report
from tests.support.witness import witnessed

AT_ONCE = 6
"""SDKs that drive the server at the same time; they wait more than they work."""

ReportOf: TypeAlias = Callable[[str], Report]


@pytest.fixture(scope="session")
def server_url(tmp_path_factory: pytest.TempPathFactory) -> Generator[str, None, None]:
    directory: Path = tmp_path_factory.mktemp("data")
    config = directory / "threadmill.toml"
    config.write_text(f'[sandbox]\npython = "{ENVIRONMENT}"\n')
    command = [sys.executable, "-m", "threadmill", "serve", "--port", "0", "--data-dir", str(directory)]
    env = os.environ | {"THREADMILL_CONFIG": str(config)}
    server = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        found = re.search(r"http://\S+", server.stdout.readline())
        assert found is not None, "the server did not start"
        with witnessed(found[0].removesuffix("/v1")) as base:
            yield f"{base}/v1"
    finally:
        server.terminate()
        server.wait()
        server.stdout.close()


@pytest.fixture(scope="session")
def report_of(request: pytest.FixtureRequest, server_url: str) -> Generator[ReportOf, None, None]:
    """An SDK's report. All that the chosen tests ask for are driven at once."""
    wanted = {
        item.callspec.params.get("sdk")
        for item in request.session.items
        if isinstance(item, pytest.Function) and hasattr(item, "callspec")
    }
    with backstage() as address, ThreadPoolExecutor(AT_ONCE) as pool:
        driven = {
            sdk.name: pool.submit(sdk.drive, server_url, address)
            for sdk in SDKS
            if sdk.name in wanted and not sdk.missing()
        }
        yield lambda name: _report(driven[name])


def _report(driven: Future[Report]) -> Report:
    """An SDK whose script set broke off fails each of its tests anew: one exception raised again and again only grows."""
    if (error := driven.exception()) is not None:
        pytest.fail(str(error), pytrace=False)
    return driven.result()
