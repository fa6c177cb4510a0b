"""Rows that are read many at once: one that cannot be read takes nobody's place and hides no other."""

import logging
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from threadmill.domain.error import Unreadable

LOG = logging.getLogger("threadmill")

T = TypeVar("T")
RawRow = tuple[Any, ...]


class ReadableRows:
    """Tells each row that cannot be read, of another version or damaged, once by its id; it is left alone.

    `noun` is what the log calls such a row. The ids of bad rows are kept, so that a batch is read that much longer.
    """

    def __init__(self, noun: str) -> None:
        self._noun: str = noun
        self._bad: set[str] = set()

    def to_read(self, limit: int) -> int:
        """How many rows to ask for if `limit` are wanted."""
        return limit + len(self._bad)

    def read(self, rows: Iterable[tuple[str, RawRow]], decode: Callable[[RawRow], T]) -> list[T]:
        """What `decode` makes of each (id, row); never raises."""
        found: list[T] = []
        for row_id, row in rows:
            try:
                found.append(decode(row))
            except Exception as error:  # noqa: BLE001 - whatever is wrong with one row, the others go on
                self._tell(row_id, error)
        return found

    def read_one(self, row_id: str, row: RawRow, decode: Callable[[RawRow], T]) -> T:
        """What `decode` makes of a row that is asked for by its id. Raises Unreadable."""
        for found in self.read([(row_id, row)], decode):
            return found
        text = f"The {self._noun} '{row_id}' cannot be read: it is damaged, or of another version of this server."
        raise Unreadable(text)

    def _tell(self, row_id: str, error: Exception) -> None:
        if row_id not in self._bad:
            self._bad.add(row_id)
            # Without a traceback, which would show the row.
            LOG.error("%s %s cannot be read and is left alone (%s)", self._noun, row_id, type(error).__name__)


class ReadableTables:
    """The rows of each kind, told by the kind's own noun."""

    def __init__(self) -> None:
        self._rows: dict[type, ReadableRows] = {}

    def of(self, kind: type) -> ReadableRows:
        """Those of one kind: of `VectorStoreFile` each is a vector store file."""
        noun = re.sub("(?<!^)(?=[A-Z])", " ", kind.__name__).lower()
        return self._rows.setdefault(kind, ReadableRows(noun))


def by_last(rows: Sequence[RawRow]) -> Iterable[tuple[str, RawRow]]:
    """Rows whose id stands at their end."""
    return ((row[-1], row) for row in rows)


def by_first(rows: Sequence[RawRow]) -> Iterable[tuple[str, RawRow]]:
    """Rows whose id stands at their beginning."""
    return ((row[0], row) for row in rows)
