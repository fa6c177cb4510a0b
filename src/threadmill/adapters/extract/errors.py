"""How a reader in the fenced process says what it read, what it was not sure of, and that it cannot read a file.

Standard library only, as all that it imports.
"""

from dataclasses import dataclass, field

MAX_REMARKS = 20
"""Remarks kept of one file."""


class UnreadableFile(Exception):
    """The file's own fault; the message is shown to its owner and names no path."""


class NotSure(Exception):
    """A reader that knows little is not the one for this file."""


@dataclass(slots=True)
class Notes:
    """What `ReadingNotes` of the domain says, as it is found out."""

    format: str = "text"
    encoding: str | None = None
    replaced: int = 0
    pages: int | None = None
    blank_pages: int = 0
    remarks: list[str] = field(default_factory=list[str])

    def remark(self, sentence: str) -> None:
        """Add a sentence for the file's owner, once."""
        if sentence not in self.remarks and len(self.remarks) < MAX_REMARKS:
            self.remarks.append(sentence)


class TextBuffer:
    """Text as it is read, kept within `limit` characters, and the notes on it."""

    def __init__(self, limit: int) -> None:
        self._limit: int = limit
        self._length: int = 0
        self._parts: list[str] = []
        self.notes: Notes = Notes()

    def add(self, text: str) -> None:
        """Append. Raises UnreadableFile beyond the limit, before a hostile file has filled the memory."""
        self._length += len(text)
        if self._length > self._limit:
            raise UnreadableFile(
                f"The file holds more than {self._limit:,} characters of text, more than can be searched."
            )
        self._parts.append(text)

    def __len__(self) -> int:
        """Characters so far."""
        return self._length

    def text(self) -> str:
        """All of it."""
        return "".join(self._parts)
