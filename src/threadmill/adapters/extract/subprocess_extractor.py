"""The TextExtractor port: each file is read by a process of its own, forked warm, behind a fence and within limits."""

import asyncio
import logging
import os
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass

import msgspec

from threadmill.adapters.extract.reader_processes import Reader, ReaderProcesses
from threadmill.domain.reading_notes import ReadingNotes
from threadmill.domain.supported_file import SUPPORTED_EXTENSIONS, extension_of
from threadmill.domain.vector_store import FileErrorCode
from threadmill.engine.ports.text_extractor import ExtractedText, ExtractionFailed

LOG = logging.getLogger("threadmill.extract")

PIECE = 1 << 18

MOST_NOTES = 100_000
"""Bytes of an answer beside its text."""


@dataclass(frozen=True, slots=True)
class ReadingLimits:
    """What reading one file may take. `memory_bytes` counts address space and includes the file itself.

    `characters`: no text longer than this has 5,000,000 tokens or fewer, but for texts made of long runs of blanks.
    """

    seconds: float = 120
    cpu_seconds: int = 100
    memory_bytes: int = 2_048 * 1024 * 1024
    characters: int = 64_000_000
    at_once: int = os.cpu_count() or 1


class SubprocessExtractor:
    """See the port. At most `limits.at_once` files are read at the same time; others wait, and their time does not run."""

    def __init__(self, limits: ReadingLimits | None = None) -> None:
        self.limits: ReadingLimits = limits or ReadingLimits()
        self._processes: ReaderProcesses = ReaderProcesses()
        self._turns: asyncio.Semaphore = asyncio.Semaphore(self.limits.at_once)

    async def extract(self, content: AsyncIterator[bytes], filename: str) -> ExtractedText:
        """See the port."""
        extension = extension_of(filename)
        if extension not in SUPPORTED_EXTENSIONS:
            text = f"Files with the extension '{extension}' are not supported for retrieval."
            raise ExtractionFailed(FileErrorCode.UNSUPPORTED_FILE, text)
        async with self._turns:
            reader = await self._start(extension)
            try:
                async with asyncio.timeout(self.limits.seconds):
                    answer = await _exchange(reader, content, self.limits.characters * 4 + MOST_NOTES)
                    code = await reader.exit_code()
            except TimeoutError:
                text = f"The file takes longer to read than {self.limits.seconds:g} seconds."
                raise ExtractionFailed(FileErrorCode.INVALID_FILE, text) from None
            finally:
                reader.close()
        return _extracted(answer, code)

    async def aclose(self) -> None:
        """See the port."""
        await self._processes.aclose()

    async def _start(self, extension: str) -> Reader:
        limits = self.limits
        try:
            numbers = (limits.memory_bytes, limits.cpu_seconds, limits.characters)
            return await self._processes.start(extension, numbers)
        except OSError as error:
            LOG.error("No process could be started to read a file: %s", error)  # noqa: TRY400 - the message says it all
            raise _server_error() from error


async def _exchange(reader: Reader, content: AsyncIterator[bytes], most: int) -> bytearray:
    """Give the file and take the answer. An error of `content` is raised as it is."""
    feeding = asyncio.create_task(_feed(reader, content))
    taking = asyncio.create_task(_take(reader, most))
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


async def _feed(reader: Reader, content: AsyncIterator[bytes]) -> None:
    loop = asyncio.get_running_loop()
    with suppress(BrokenPipeError, ConnectionResetError):
        async for piece in content:
            await loop.sock_sendall(reader.data, piece)
        reader.data.shutdown(socket.SHUT_WR)


async def _take(reader: Reader, most: int) -> bytearray:
    loop, answer = asyncio.get_running_loop(), bytearray()
    with suppress(ConnectionResetError):  # it ended before it had read the whole file
        while piece := await loop.sock_recv(reader.data, PIECE):
            answer += piece
            if len(answer) > most:
                break
    return answer


def _extracted(answer: bytearray, code: int | None) -> ExtractedText:
    """What the child said. Raises ExtractionFailed."""
    kind, rest = bytes(answer[:1]), memoryview(answer)[1:]
    if code == 0 and kind == b"T":
        size = int.from_bytes(rest[:4], "big")
        notes = msgspec.json.decode(rest[4 : 4 + size], type=ReadingNotes)
        # A view: texts of 60 MB are not copied more often than they must be.
        return ExtractedText(str(rest[4 + size :], "utf-8"), notes)
    if code == 0 and kind == b"I":
        raise ExtractionFailed(FileErrorCode.INVALID_FILE, str(rest[:2_000], "utf-8", "replace"))
    if code is not None and code < 0:
        raise ExtractionFailed(FileErrorCode.INVALID_FILE, _crash_reason(-code))
    LOG.error("Reading a file failed with code %s: %s", code, str(rest[:2_000], "utf-8", "replace")[:500])
    raise _server_error()


def _crash_reason(number: int) -> str:
    if number in (signal.SIGXCPU, signal.SIGKILL):
        return "The file takes more time or memory to read than it may have."
    return "The file is broken: its reader crashed."


def _server_error() -> ExtractionFailed:
    return ExtractionFailed(FileErrorCode.SERVER_ERROR, "The file could not be read because of an error of the server.")
