"""The TextExtractor port: each file is read by a process of its own, forked warm, behind a fence and within limits."""

import asyncio
import codecs
import logging
import os
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass

import msgspec

from threadmill.adapters.extract.reader_processes import UTF_8, Reader, ReaderProcesses
from threadmill.domain.error import Unavailable
from threadmill.domain.reading_notes import ReadingNotes
from threadmill.domain.supported_file import (
    SPREADSHEET_EXTENSIONS,
    SUPPORTED_EXTENSIONS,
    TEXT_EXTENSIONS,
    extension_of,
)
from threadmill.domain.vector_store import FileErrorCode
from threadmill.engine.ports.text_extractor import ExtractedText, ExtractionFailed

LOG = logging.getLogger("threadmill.extract")

PIECE = 1 << 18

SMALL = 128 * 1024
"""Bytes up to which a text goes to the small reader first."""

ANOTHER_WANTED = b"U"
"""How that one answers if it is not sure."""

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

    def __init__(self, limits: ReadingLimits | None = None, *, spreadsheets: bool = True) -> None:
        self.extensions: frozenset[str] = SUPPORTED_EXTENSIONS - (
            frozenset() if spreadsheets else SPREADSHEET_EXTENSIONS
        )
        self.limits: ReadingLimits = limits or ReadingLimits()
        self._processes: ReaderProcesses = ReaderProcesses()
        self._small_processes: ReaderProcesses = ReaderProcesses(UTF_8)
        self._turns: asyncio.Semaphore = asyncio.Semaphore(self.limits.at_once)

    async def extract(self, content: AsyncIterator[bytes], filename: str) -> ExtractedText:
        """See the port."""
        extension = extension_of(filename)
        if extension not in self.extensions:
            text = f"Files with the extension '{extension}' are not supported for retrieval."
            raise ExtractionFailed(FileErrorCode.UNSUPPORTED_FILE, text)
        async with self._turns:
            if extension in TEXT_EXTENSIONS - {".json"}:
                head, is_whole = await _beginning(content)
                content = _chained(head, content)
                if is_whole:
                    answer, code = await self._read(self._small_processes, extension, head)
                    if bytes(answer) != ANOTHER_WANTED:
                        return _extracted(answer, code)
            return await asyncio.to_thread(_extracted, *await self._read(self._processes, extension, content))

    async def _read(
        self, processes: ReaderProcesses, extension: str, content: AsyncIterator[bytes] | bytes
    ) -> tuple[bytearray, int | None]:
        """What the reader answered, and how it ended. Raises ExtractionFailed, and what `content` raises."""
        reader = await self._start(processes, extension)
        try:
            async with asyncio.timeout(self.limits.seconds):
                answer = await _exchange(reader, content, self.limits.characters * 4 + MOST_NOTES)
                return answer, await reader.exit_code()
        except TimeoutError:
            text = f"The file takes longer to read than {self.limits.seconds:g} seconds."
            raise ExtractionFailed(FileErrorCode.INVALID_FILE, text) from None
        finally:
            reader.close()

    async def aclose(self) -> None:
        """See the port."""
        await self._processes.aclose()
        await self._small_processes.aclose()

    async def _start(self, processes: ReaderProcesses, extension: str) -> Reader:
        limits = self.limits
        try:
            numbers = (limits.memory_bytes, limits.cpu_seconds, limits.characters)
            return await processes.start(extension, numbers)
        except BlockingIOError as error:
            raise Unavailable(f"No process can be started to read a file: {error}.") from error
        except OSError as error:
            LOG.error("No process could be started to read a file: %s", error)  # noqa: TRY400 - the message says it all
            raise _server_error() from error


async def _beginning(content: AsyncIterator[bytes]) -> tuple[bytes, bool]:
    """The first SMALL bytes or a piece more, and whether that is all."""
    held = bytearray()
    async for piece in content:
        held += piece
        if len(held) > SMALL:
            return bytes(held), False
    return bytes(held), True


async def _chained(head: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield head
    async for piece in rest:
        yield piece


async def _exchange(reader: Reader, content: AsyncIterator[bytes] | bytes, most: int) -> bytearray:
    """Give the file and take the answer. An error of `content` is raised as it is."""
    if isinstance(content, bytes):  # so little that the reader takes it whole before it answers
        await _send(reader, content)
        return await _take(reader, most)
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


async def _send(reader: Reader, whole: bytes) -> None:
    with suppress(BrokenPipeError, ConnectionResetError):
        await asyncio.get_running_loop().sock_sendall(reader.data, whole)
        reader.data.shutdown(socket.SHUT_WR)


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
        return ExtractedText(_decoded(rest[4 + size :]), notes)
    if code == 0 and kind == b"I":
        raise ExtractionFailed(FileErrorCode.INVALID_FILE, str(rest[:2_000], "utf-8", "replace"))
    if code is not None and code < 0:
        raise ExtractionFailed(FileErrorCode.INVALID_FILE, _crash_reason(-code))
    LOG.error("Reading a file failed with code %s: %s", code, str(rest[:2_000], "utf-8", "replace")[:500])
    raise _server_error()


def _decoded(data: memoryview) -> str:
    """The text, decoded piece by piece: every other thread waits while one is."""
    decode = codecs.getincrementaldecoder("utf-8")().decode
    return "".join(decode(data[at : at + PIECE]) for at in range(0, len(data), PIECE))


def _crash_reason(number: int) -> str:
    if number in (signal.SIGXCPU, signal.SIGKILL):
        return "The file takes more time or memory to read than it may have."
    return "The file is broken: its reader crashed."


def _server_error() -> ExtractionFailed:
    return ExtractionFailed(FileErrorCode.SERVER_ERROR, "The file could not be read because of an error of the server.")
