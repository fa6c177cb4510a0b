"""A file's text, taken out of it at arm's length."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from threadmill.domain.reading_notes import ReadingNotes
from threadmill.domain.vector_store import FileError, FileErrorCode


class ExtractionFailed(Exception):
    """The file has no text this server can get at. `error` is what its `last_error` says.

    `invalid_file`: empty, broken, encrypted, not what its extension says, or it took more than its limits allow.
    `unsupported_file`: an extension nobody reads. `server_error`: the fault is this server's; another try may help.
    """

    def __init__(self, code: FileErrorCode, message: str) -> None:
        super().__init__(message)
        self.error: FileError = FileError(code, message)


@dataclass(frozen=True, slots=True)
class ExtractedText:
    """A file's text, and what its reader was not sure of."""

    text: str
    notes: ReadingNotes


class TextExtractor(Protocol):
    """Reads documents nobody has vouched for: files of these `extensions`."""

    extensions: frozenset[str]

    async def extract(self, content: AsyncIterator[bytes], filename: str) -> ExtractedText:
        r"""The text of a file, whose bytes `content` brings; the extension of `filename` says what it is read as.

        The text has no NUL and no half surrogate, its lines end in \n, and it is not blank. Raises ExtractionFailed,
        Unavailable where no process can be started now, and what `content` raises. Cancelling ends the work.
        """
        ...

    async def aclose(self) -> None:
        """End the processes that read."""
        ...
