"""Readers are forked from a warm parent: quick, apart from each other, and replaced when they are gone."""

import asyncio
import os
import resource
import signal
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.extract.test_extraction import content_of
from threadmill.adapters.extract.reader_processes import Reader, ReaderProcesses
from threadmill.adapters.extract.subprocess_extractor import SubprocessExtractor
from threadmill.domain.error import Unavailable

LIMITS = (2 << 30, 10, 1_000_000)


@pytest.fixture
async def processes() -> AsyncIterator[ReaderProcesses]:
    found = ReaderProcesses()
    yield found
    await found.aclose()


def children(pid: int) -> list[int]:
    """Oldest first: numbers of processes begin anew some day."""
    lists = Path(f"/proc/{pid}/task").glob("*/children")
    return sorted((int(one) for found in lists for one in found.read_text().split()), key=started_at)


def started_at(pid: int) -> int:
    """In ticks since the machine's start; 0 if it is gone already."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except OSError:
        return 0


def parent() -> int:
    """The readers' parent is the child of ours that never ends by itself."""
    found = [pid for pid in children(os.getpid()) if b"fork_server" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    return found[-1]


@contextmanager
def no_processes() -> Generator[None]:
    """A parent started within has no room for readers: it is nobody's, which root's own processes are not."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NPROC)
    resource.setrlimit(resource.RLIMIT_NPROC, (0, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NPROC, (soft, hard))


async def waiting(processes: ReaderProcesses) -> tuple[Reader, int]:
    """A reader that waits for its file, and its number."""
    reader = await processes.start(".txt", LIMITS)
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(reader.data, b"word " * 100_000)  # more than the socket holds: it is there and reads
    return reader, children(parent())[-1]


@pytest.mark.needs("root")
async def test_a_reader_has_the_files_socket_and_nothing_else_open(processes: ReaderProcesses) -> None:
    secret = os.open("/dev/null", os.O_RDONLY)
    os.set_inheritable(secret, True)
    try:
        reader, pid = await waiting(processes)
        assert sorted(path.name for path in Path(f"/proc/{pid}/fd").iterdir()) == ["0", "1", "2"]
        assert Path(f"/proc/{pid}/environ").read_bytes().strip(b"\0") == b""
    finally:
        os.close(secret)
    reader.close()


async def test_letting_go_of_a_reader_ends_it(processes: ReaderProcesses) -> None:
    reader, pid = await waiting(processes)
    end = os.pidfd_open(pid)
    gone = asyncio.Event()
    asyncio.get_running_loop().add_reader(end, gone.set)
    reader.close()
    async with asyncio.timeout(10):
        await gone.wait()
    asyncio.get_running_loop().remove_reader(end)
    os.close(end)


async def test_a_reader_that_is_killed_says_by_what(processes: ReaderProcesses) -> None:
    reader, pid = await waiting(processes)
    os.kill(pid, signal.SIGSEGV)
    async with asyncio.timeout(10):
        assert await reader.exit_code() == -signal.SIGSEGV
    reader.close()


async def test_a_parent_that_is_gone_is_started_anew(processes: ReaderProcesses) -> None:
    reader, _ = await waiting(processes)
    os.kill(parent(), signal.SIGKILL)
    async with asyncio.timeout(10):
        assert await reader.exit_code() is None
    reader.close()
    reader, _ = await waiting(processes)
    reader.close()


@pytest.mark.needs("root")
async def test_a_parent_that_cannot_fork_says_so_and_lives_on(processes: ReaderProcesses) -> None:
    parents: list[int] = []
    with no_processes():
        for _ in range(2):
            with pytest.raises(BlockingIOError, match="no room for another process"):
                await processes.start(".txt", LIMITS)
            parents.append(parent())
    assert parents[0] == parents[1]


@pytest.mark.needs("root")
async def test_without_room_for_a_process_a_file_is_to_be_tried_again() -> None:
    extractor = SubprocessExtractor()
    with no_processes(), pytest.raises(Unavailable, match="No process can be started"):
        await extractor.extract(content_of(b"text"), "a.txt")
    await extractor.aclose()
