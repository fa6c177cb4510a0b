"""What the official accumulators demand of a stream as a whole (behaviour.md 3.5): every stream of every test is held to it."""

from typing import Any

Json = dict[str, Any]

LAST = frozenset(
    f"thread.run.{status}"
    for status in ("requires_action", "cancelled", "failed", "completed", "expired", "incomplete")
)
"""Without one of these before `done`, Node throws "Final run has not been received"."""


class OrderError(AssertionError):
    """A stream an official client would choke on."""


class StreamOrder:
    """One stream's events in order; `see` raises OrderError."""

    def __init__(self) -> None:
        self._open_message = ""
        self._messages: set[str] = set()
        self._steps: set[str] = set()
        self._parts: list[str] = []
        self._calls: dict[str, int] = {}
        self._last_run = ""
        self._done = False

    def see(self, name: str, data: Any) -> None:
        """The next event."""
        _demand(not self._done, f"{name} behind done")
        if name == "done":
            self._end()
        elif name.startswith("thread.message."):
            self._message(name.removeprefix("thread.message."), data)
        elif name.startswith("thread.run.step."):
            self._step(name.removeprefix("thread.run.step."), data)
        elif name.startswith("thread.run."):
            self._last_run = name
        elif name == "error":
            self._last_run = ""

    def _end(self) -> None:
        self._done = True
        _demand(self._last_run in LAST | {""}, f"done behind {self._last_run}")
        _demand(not self._open_message, f"done while {self._open_message} is open")

    def _message(self, what: str, data: Json) -> None:
        if what == "created":
            _demand(not self._open_message, f"{data['id']} created while {self._open_message} is open")
            _demand(data["id"] not in self._messages, f"{data['id']} created twice")
            _demand(data["content"] == [], f"{data['id']} created with content")
            self._messages.add(data["id"])
            self._open_message, self._parts = data["id"], []
            return
        _demand(data["id"] == self._open_message, f"message.{what} of {data['id']}, open is {self._open_message!r}")
        if what == "delta":
            for part in data["delta"]["content"]:
                self._part(part)
        elif what in ("completed", "incomplete"):
            self._open_message = ""
            told = [_text(part) for part in data["content"]]
            _demand(told == self._parts, f"{data['id']} ends as {told}, streamed were {self._parts}")

    def _part(self, part: Json) -> None:
        index = part["index"]
        _demand(index <= len(self._parts), f"part {index} behind {len(self._parts)} parts")
        _demand(index >= len(self._parts) - 1, f"part {index} goes on behind part {len(self._parts) - 1}")
        if index == len(self._parts):
            self._parts.append("")
        self._parts[index] += _text(part)

    def _step(self, what: str, data: Json) -> None:
        if what == "created":
            _demand(data["id"] not in self._steps, f"{data['id']} created twice")
            self._steps.add(data["id"])
        elif what == "delta":
            _demand(data["id"] in self._steps, f"step.delta of {data['id']}, which this stream did not create")
            for call in data["delta"]["step_details"]["tool_calls"]:
                self._call(data["id"], call)

    def _call(self, step: str, call: Json) -> None:
        known = self._calls.get(step, 0)
        _demand(call["index"] <= known, f"call {call['index']} behind {known} calls")
        _demand(("id" in call) == (call["index"] == known), f"call {call['index']} of {known} with or without an id")
        self._calls[step] = max(known, call["index"] + 1)


def _text(part: Json) -> str:
    text = part.get("text", {}).get("value", "")
    return text or part.get("refusal", "")


def _demand(holds: bool, otherwise: str) -> None:
    if not holds:
        raise OrderError(otherwise)
