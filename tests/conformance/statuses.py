"""What each request answers in each of a run's nine statuses. The tests ask for all, the conformance page prints it."""

from collections.abc import Mapping
from typing import NamedTuple

ACTIVE = ("queued", "in_progress", "requires_action", "cancelling")
ENDED = ("cancelled", "failed", "completed", "incomplete", "expired")
STATUSES = (*ACTIVE, *ENDED)


class Request(NamedTuple):
    """A request on a run or its thread."""

    name: str
    path: str


CANCEL = Request("cancel", "/threads/{thread}/runs/{run}/cancel")
SUBMIT = Request("submit_tool_outputs", "/threads/{thread}/runs/{run}/submit_tool_outputs")
MODIFY = Request("modify the run", "/threads/{thread}/runs/{run}")
MESSAGE = Request("create a message", "/threads/{thread}/messages")
RUN = Request("create a run", "/threads/{thread}/runs")

OK = ""
"""200."""

ANSWERS: Mapping[Request, Mapping[str, str]] = {
    CANCEL: {
        status: OK if status in ACTIVE[:3] else f"Cannot cancel run with status '{status}'." for status in STATUSES
    },
    SUBMIT: {
        status: OK if status == "requires_action" else f'Runs in status "{status}" do not accept tool outputs.'
        for status in STATUSES
    },
    MODIFY: {status: OK if status in ENDED else f"Cannot update run with status '{status}'." for status in STATUSES},
    MESSAGE: {
        status: OK if status in ENDED else "Can't add messages to {thread} while a run {run} is active."
        for status in STATUSES
    },
    RUN: {status: OK if status in ENDED else "Thread {thread} already has an active run {run}." for status in STATUSES},
}
"""The text of each 400; its type is invalid_request_error, its param and code are null."""
