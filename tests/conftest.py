"""Fixtures of all floors."""

import os
from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from xdist.remote import Producer  # pyright: ignore[reportMissingTypeStubs] - annotated, without stubs
from xdist.scheduler import LoadScopeScheduling  # pyright: ignore[reportMissingTypeStubs] - as above

from tests.support.bucket import S3Server, fresh, s3_server
from tests.support.evidence import LEDGER
from tests.support.machine import require_marked
from tests.support.scripted import ScriptedUpstream, scripted_upstream
from tests.support.serving import Live, serving
from tests.support.session import SESSION, TOGETHER

_SKIPPED_FILES: set[str] = set()

# A busy machine is slow at making examples too.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--evidence", type=Path, help="where each process of a run leaves what its tests have shown")


def pytest_configure(config: pytest.Config) -> None:
    """A process that is one of several has its own part; one that is alone joins those that were left."""
    folder: Path | None = config.getoption("--evidence")
    if folder is not None and _is_alone(config):
        SESSION.join_parts(folder)


def pytest_sessionfinish(session: pytest.Session) -> None:
    folder: Path | None = session.config.getoption("--evidence")
    if folder is not None and "PYTEST_XDIST_WORKER" in os.environ:
        SESSION.leave_part(folder, f"{os.environ['PYTEST_XDIST_WORKER']}-{os.getpid()}")


def _is_alone(config: pytest.Config) -> bool:
    return "PYTEST_XDIST_WORKER" not in os.environ and not config.getoption("numprocesses", None)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    if report.skipped:
        _SKIPPED_FILES.add(report.nodeid)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    SESSION.arrange(items, _SKIPPED_FILES)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    require_marked(item)


class ByFile(LoadScopeScheduling):
    """One process runs the tests of a file, and one those of some files, one after the other."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return next((name for name, files in TOGETHER.items() if file.startswith(files)), file)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByFile:
    return ByFile(config, log)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    SESSION.ended(report)


@pytest.fixture
async def upstream() -> AsyncGenerator[ScriptedUpstream, None]:
    async with scripted_upstream() as running:
        yield running


@pytest.fixture
async def live(tmp_path: Path, upstream: ScriptedUpstream) -> AsyncGenerator[Live, None]:
    async with serving(tmp_path, upstream.url) as running:
        yield running


@pytest.fixture(scope="session")
def s3_url() -> Generator[str]:
    with s3_server() as url:
        yield url


@pytest.fixture
async def s3(s3_url: str) -> S3Server:
    return await fresh(s3_url)


@pytest.fixture(autouse=True)
def every_answer_keeps_the_schema() -> Generator[None, None, None]:
    """Whatever a test asks for: answers and events that leave the pinned spec fail it."""
    yield
    assert LEDGER.problems() == []
