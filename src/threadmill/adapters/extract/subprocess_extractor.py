"""The TextExtractor port: each file is read by a process of its own, behind a fence and within limits."""

import asyncio
import logging
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass

from threadmill.domain.supported_file import SUPPORTED_EXTENSIONS, extension_of
from threadmill.domain.vector_store import FileErrorCode
from threadmill.engine.ports.text_extractor import ExtractionFailed

LOG = logging.getLogger("threadmill.extract")

PIECE = 1 << 20
_PROGRAM = "import sys; from threadmill.adapters.extract.extract_worker import main; main(sys.argv[1], *map(int, sys.argv[2:]))"


@dataclass(frozen=True, slots=True)
class ReadingLimits:
    """What reading one file may take. `memory_bytes` counts address space and includes the file itself.

    `characters`: no text longer than this has 5,000,000 tokens or fewer, but for texts made of long runs of blanks.
    """

    seconds: float = 120
    cpu_seconds: int = 100
    memory_bytes: int = 2_048 * 1024 * 1024
    characters: int = 64_000_000
    at_once: int = max(1, (os.cpu_count() or 1) // 2)


class SubprocessExtractor:
    """See the port. At most `limits.at_once` files are read at the same time; others wait, and their time does not run."""

    def __init__(self, limits: ReadingLimits | None = None) -> None:
        self.limits: ReadingLimits = limits or ReadingLimits()
        self._turns: asyncio.Semaphore = asyncio.Semaphore(self.limits.at_once)

    async def extract(self, content: AsyncIterator[bytes], filename: str) -> str:
        """See the port."""
        extension = extension_of(filename)
        if extension not in SUPPORTED_EXTENSIONS:
            text = f"Files with the extension '{extension}' are not supported for retrieval."
            raise ExtractionFailed(FileErrorCode.UNSUPPORTED_FILE, text)
        async with self._turns:
            process = await self._start(extension)
            try:
                async with asyncio.timeout(self.limits.seconds):
                    answer = await _exchange(process, content, self.limits.characters * 4 + 1)
                    code = await process.wait()
            except TimeoutError:
                text = f"The file takes longer to read than {self.limits.seconds:g} seconds."
                raise ExtractionFailed(FileErrorCode.INVALID_FILE, text) from None
            finally:
                await _end(process)
        return _text(answer, code)

    async def _start(self, extension: str) -> Process:
        """With an empty environment: no secret of the server's is to be found behind the fence."""
        limits = self.limits
        numbers = (limits.memory_bytes, limits.cpu_seconds, limits.characters)
        command = [sys.executable, "-I", "-c", _PROGRAM, extension, *map(str, numbers)]
        try:
            return await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, env={})
        except OSError as error:
            LOG.error("No process could be started to read a file: %s", error)  # noqa: TRY400 - the message says it all
            raise _server_error() from error


async def _exchange(process: Process, content: AsyncIterator[bytes], most: int) -> bytes:
    """Give the file and take the answer. An error of `content` is raised as it is."""
    feeding = asyncio.create_task(_feed(process, content))
    taking = asyncio.create_task(_take(process, most))
    tasks = (feeding, taking)
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        if feeding.done():
            feeding.result()
        return await taking
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _feed(process: Process, content: AsyncIterator[bytes]) -> None:
    assert process.stdin is not None
    async for piece in content:
        try:
            process.stdin.write(piece)
            await process.stdin.drain()
        except (BrokenPipeError, ConnectionResetError):
            return
    process.stdin.close()


async def _take(process: Process, most: int) -> bytes:
    assert process.stdout is not None
    answer = bytearray()
    while piece := await process.stdout.read(PIECE):
        answer += piece
        if len(answer) > most:
            process.kill()
    return bytes(answer)


async def _end(process: Process) -> None:
    """See the process gone, whatever it is doing."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _text(answer: bytes, code: int) -> str:
    """What the child said. Raises ExtractionFailed."""
    kind, rest = answer[:1], answer[1:]
    if code == 0 and kind == b"T":
        return rest.decode("utf-8")
    if code == 0 and kind == b"I":
        raise ExtractionFailed(FileErrorCode.INVALID_FILE, rest.decode("utf-8", "replace"))
    if code < 0:
        raise ExtractionFailed(FileErrorCode.INVALID_FILE, _crash_reason(-code))
    LOG.error("Reading a file failed with code %d: %s", code, rest.decode("utf-8", "replace")[:500])
    raise _server_error()


def _crash_reason(number: int) -> str:
    if number in (signal.SIGXCPU, signal.SIGKILL):
        return "The file takes more time or memory to read than it may have."
    return "The file is broken: its reader crashed."


def _server_error() -> ExtractionFailed:
    return ExtractionFailed(FileErrorCode.SERVER_ERROR, "The file could not be read because of an error of the server.")
