"""What a reader was not sure of, kept beside a file's chunks: `completed` must mean read."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ReadingNotes:
    """How a file was read.

    `encoding`: None where the format has its own. `replaced`: characters that stand for bytes that mean nothing.
    `pages`: None where there are none; `blank_pages` of them have no text. `remarks`: sentences for the file's owner.
    """

    format: str
    encoding: str | None = None
    replaced: int = 0
    pages: int | None = None
    blank_pages: int = 0
    remarks: tuple[str, ...] = ()

    def doubts(self) -> Sequence[str]:
        """What may be missing or wrong in the text, as sentences; none where everything was read."""
        found = list(self.remarks)
        if self.replaced:
            found.append(
                f"{self.replaced:,} characters mean nothing in {self.encoding or 'its encoding'} and were replaced."
            )
        if self.blank_pages:
            found.append(f"{self.blank_pages:,} of {self.pages:,} pages have no text.")
        return found
