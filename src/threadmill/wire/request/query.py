"""Query parameters of lists and ids in paths (behaviour.md 8.3 and 8.4)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from threadmill.domain.ids import RunId
from threadmill.domain.page import Order, PageQuery
from threadmill.wire.request import validation_error

INCLUDE_VALUE = "step_details.tool_calls[*].file_search.results[*].content"


def includes_content(query: list[str]) -> bool:
    """Whether `include[]` asks for search results' content. Raises InvalidRequest for anything else (behaviour.md 1.8)."""
    for value in query:
        if value != INCLUDE_VALUE:
            raise validation_error.bad_value(value, [INCLUDE_VALUE], "include")
    return bool(query)


MAX_PAGE, DEFAULT_PAGE = 100, 20


def page_query(query: Mapping[str, str], *, max_limit: int = MAX_PAGE, default_limit: int = DEFAULT_PAGE) -> PageQuery:
    """Limit 1..`most` (`usual`), order asc or desc (desc), after, before (behaviour.md 8.4). Raises InvalidRequest."""
    order = query.get("order") or Order.DESC
    if order not in tuple(Order):
        raise validation_error.bad_value(order, tuple(Order), "order")
    limit = _limit(query.get("limit") or str(default_limit), max_limit)
    return PageQuery(limit, Order(order), query.get("after") or None, query.get("before") or None)


_INTEGER = re.compile(r"-?[0-9]{1,18}")


def _limit(text: str, max_limit: int) -> int:
    if not _INTEGER.fullmatch(text):
        raise validation_error.wrong_type("limit", "an integer", text)
    limit = int(text)
    if limit < 1:
        raise validation_error.out_of_range("limit", limit, 1, above=False)
    if limit > max_limit:
        raise validation_error.out_of_range("limit", limit, max_limit, above=True)
    return limit


@dataclass(frozen=True, slots=True)
class EventPlace:
    """Where a reader of a run's events stands: behind event `seq`, and `deltas` of those that followed it."""

    seq: int = 0
    deltas: int = 0


_EVENT_ID = re.compile(r"([0-9]{1,15})(?:\.([0-9]{1,15}))?")


def event_place(text: str | None) -> EventPlace:
    """The place behind an SSE id of a run's events, `7` or `7.3`; the start for none. Raises InvalidRequest."""
    if not text:
        return EventPlace()
    found = _EVENT_ID.fullmatch(text)
    if found is None:
        raise validation_error.wrong_type("after", "the id of an event", text)
    return EventPlace(int(found[1]), int(found[2] or 0))


def run_filter(query: Mapping[str, str]) -> RunId | None:
    """`run_id` of a message list."""
    return RunId(query["run_id"]) if query.get("run_id") else None


_ID_PREFIX = {
    "upload_id": "upload",
    "thread_id": "thread",
    "run_id": "run",
    "message_id": "msg",
    "assistant_id": "asst",
    "step_id": "step",
    "vector_store_id": "vs",
    "batch_id": "vsfb",
    "file_id": "file",
}


def check_id(value: str, param: str) -> str:
    """The id, if it begins as ids of that parameter do; Invalid otherwise (behaviour.md 8.3)."""
    prefix = _ID_PREFIX[param]
    if not value.startswith(prefix):
        raise validation_error.bad_id(value, prefix, param)
    return value
