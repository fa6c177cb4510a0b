"""The check of whole streams finds what would break an official client."""

from typing import Any

import pytest

from tests.support.order import OrderError, StreamOrder

Event = tuple[str, Any]

MADE: Event = ("thread.message.created", {"id": "m", "content": []})
SAID: Event = (
    "thread.message.delta",
    {"id": "m", "delta": {"content": [{"index": 0, "type": "text", "text": {"value": "x"}}]}},
)
GAP: Event = (
    "thread.message.delta",
    {"id": "m", "delta": {"content": [{"index": 1, "type": "text", "text": {"value": "x"}}]}},
)
ENDED: Event = ("thread.message.completed", {"id": "m", "content": [{"type": "text", "text": {"value": "x"}}]})
EMPTY: Event = ("thread.message.completed", {"id": "m", "content": []})
STEP: Event = ("thread.run.step.created", {"id": "s"})
CALL: Any = {"index": 0, "id": "c", "type": "function", "function": {}}
FIRST: Event = ("thread.run.step.delta", {"id": "s", "delta": {"step_details": {"tool_calls": [CALL]}}})
MORE: Event = ("thread.run.step.delta", {"id": "s", "delta": {"step_details": {"tool_calls": [{"index": 0}]}}})
OVER: Event = ("thread.run.completed", {})
DONE: Event = ("done", "[DONE]")

WRONG: dict[str, list[Event]] = {
    "a delta without its message": [SAID],
    "a message twice": [MADE, SAID, ENDED, MADE],
    "a message inside another": [MADE, ("thread.message.created", {"id": "n", "content": []})],
    "a part left out": [MADE, GAP],
    "a text that is not what was streamed": [MADE, SAID, EMPTY],
    "a delta behind its message's end": [MADE, SAID, ENDED, SAID],
    "a step's delta without its step": [FIRST],
    "a step twice": [STEP, STEP],
    "a call without its id": [STEP, MORE],
    "a call's id twice": [STEP, FIRST, FIRST],
    "an end without the run's": [("thread.run.in_progress", {}), DONE],
    "an end with a message open": [MADE, OVER, DONE],
    "an event behind the end": [OVER, DONE, OVER],
}


@pytest.mark.parametrize("name", WRONG)
def test_a_stream_that_would_break_a_client_is_found(name: str) -> None:
    *before, last = WRONG[name]
    order = StreamOrder()
    for event, data in before:
        order.see(event, data)
    with pytest.raises(OrderError):
        order.see(*last)


def test_a_stream_as_it_should_be_is_let_through() -> None:
    order = StreamOrder()
    for event, data in (MADE, SAID, SAID, STEP, FIRST, MORE):
        order.see(event, data)
    order.see("thread.message.completed", {"id": "m", "content": [{"type": "text", "text": {"value": "xx"}}]})
    order.see(*OVER)
    order.see(*DONE)
