"""Cursor pages (behaviour.md 8.4)."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

T = TypeVar("T")


class Order(StrEnum):
    """Sort order by created_at, then by insertion."""

    ASC = "asc"
    DESC = "desc"


MAX_PAGE_BYTES = 8 * 1024 * 1024
"""Of a page's rows as they are stored. A page ends in front of the row that would be more, but never before its first."""


@dataclass(frozen=True, slots=True)
class PageQuery:
    """At most `limit` items behind `after` and in front of `before`, both read in `order`. Cursors are object ids."""

    limit: int = 20
    order: Order = Order.DESC
    after: str | None = None
    before: str | None = None


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page; `has_more` says whether the list goes on behind the last item."""

    items: Sequence[T]
    has_more: bool


def take_page(rows: Iterable[T], limit: int, size: Callable[[T], int]) -> tuple[list[T], bool]:
    """The rows of one page, `limit` of them at most, and whether there is one more; looks no further than that one."""
    taken: list[T] = []
    left = MAX_PAGE_BYTES
    for row in rows:
        left -= size(row)
        if len(taken) == limit or (taken and left < 0):
            return taken, True
        taken.append(row)
    return taken, False
