"""Cursor pages (behaviour.md 8.4)."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

T = TypeVar("T")


class Order(StrEnum):
    """Sort order by created_at, then by insertion."""

    ASC = "asc"
    DESC = "desc"


@dataclass(frozen=True, slots=True)
class PageQuery:
    """`limit` items behind `after` and in front of `before`, both read in `order`. Cursors are object ids."""

    limit: int = 20
    order: Order = Order.DESC
    after: str | None = None
    before: str | None = None


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page; `has_more` says whether the list goes on behind the last item."""

    items: Sequence[T]
    has_more: bool
