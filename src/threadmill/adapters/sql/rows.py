"""A row as a SQL store keeps it, and back."""

from typing import Any, TypeVar, cast

from threadmill.adapters.sql import statements as s
from threadmill.adapters.sql.codec import decode, encode
from threadmill.adapters.sql.shared_parts import SplitRun, join, split
from threadmill.domain.run import Run
from threadmill.engine.ports.store import Row

R = TypeVar("R", bound=Row)


def split_row(row: Row) -> SplitRun:
    """All columns of a row but none of its parts: those are the caller's to write."""
    columns = s.columns_of(row)
    if not isinstance(row, Run):
        data = encode(row)
        return SplitRun(data, columns | {"data": data})
    stored = split(row)
    return SplitRun(stored.data, columns | stored.columns | {"data": stored.data}, stored.parts)


def join_row(kind: type[R], found: tuple[Any, ...]) -> R:
    """The row of the columns that `statements` selects of a row."""
    row = join(found[0], *found[3:5]) if kind is Run else decode(kind, found[0])
    return cast("R", s.with_columns(row, found[1:-1]))


def row_size(kind: type[Row], found: tuple[Any, ...]) -> int:
    """Bytes of what is stored."""
    return sum(len(part or b"") for part in (found[0], *found[3:5])) if kind is Run else len(found[0])
