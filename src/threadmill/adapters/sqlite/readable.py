"""Rows that background tasks read in batches: one that cannot be read takes nobody's place."""

import logging
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

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

    def read(self, rows: Sequence[tuple[str, RawRow]], decode: Callable[[RawRow], T]) -> list[T]:
        """What `decode` makes of each (id, row); never raises."""
        found: list[T] = []
        for row_id, row in rows:
            try:
                found.append(decode(row))
            except Exception as error:  # noqa: BLE001 - whatever is wrong with one row, the others go on
                self._tell(row_id, error)
        return found

    def _tell(self, row_id: str, error: Exception) -> None:
        if row_id not in self._bad:
            self._bad.add(row_id)
            # Without a traceback, which would show the row.
            LOG.error("%s %s cannot be read and is left alone (%s)", self._noun, row_id, type(error).__name__)
