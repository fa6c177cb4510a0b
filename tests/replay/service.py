"""The service's objects as behaviour.md describes them, and a scribe that writes them down as exchanges.

Everything is written by hand after the facts collected there; nothing here comes from our server's code.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from tools.replay.recording import Recording, read

Json: TypeAlias = dict[str, Any]

NOW = 1_761_861_000
FILES: Json = {"code_interpreter": {"file_ids": []}}


def made_id(prefix: str, name: str) -> str:
    """An id with 24 characters behind its prefix, readable all the same."""
    return f"{prefix}_{name:0<24}"[: len(prefix) + 25]


def assistant(key: str, at: int = 0, **fields: Any) -> Json:
    shown: Json = {
        "id": made_id("asst", key),
        "object": "assistant",
        "created_at": NOW + at,
        "name": None,
        "description": None,
        "model": "gpt-4o",
        "instructions": None,
        "tools": [],
        "top_p": 1.0,
        "temperature": 1.0,
        "reasoning_effort": None,
        "tool_resources": {},
        "metadata": {},
        "response_format": "auto",
    }
    return shown | fields


def thread(key: str, at: int = 0, **fields: Any) -> Json:
    shown: Json = {"id": made_id("thread", key), "object": "thread", "created_at": NOW + at}
    shown |= {"metadata": {}, "tool_resources": {}}
    return shown | fields


def text_part(value: str) -> Json:
    return {"type": "text", "text": {"value": value, "annotations": []}}


def message(name: str, of: Json, text: str, at: int = 0, by: Json | None = None, **fields: Any) -> Json:
    """A message over REST; `by` is the run that wrote it."""
    return {
        "id": made_id("msg", name),
        "object": "thread.message",
        "created_at": NOW + at,
        "assistant_id": by and by["assistant_id"],
        "thread_id": of["id"],
        "run_id": by and by["id"],
        "role": "assistant" if by else "user",
        "content": [text_part(text)],
        "attachments": [],
        "metadata": {},
    } | fields


def told(shown: Json, status: str, at: int, reason: str | None = None) -> Json:
    """The same message as events show it."""
    state: Json = {
        "status": status,
        "incomplete_details": reason and {"reason": reason},
        "incomplete_at": NOW + at if status == "incomplete" else None,
        "completed_at": NOW + at if status == "completed" else None,
    }
    names = list(shown)
    cut = names.index("role")
    head, rest = {name: shown[name] for name in names[:cut]}, {name: shown[name] for name in names[cut:]}
    whole = head | state | rest
    return whole if status != "in_progress" else whole | {"content": []}


def usage(prompt: int = 20, completion: int = 5) -> Json:
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_token_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }


def function(name: str, description: str = "does it") -> tuple[Json, Json]:
    """A function tool as it is asked for and as it is shown."""
    parameters = {"type": "object", "properties": {"of": {"type": "string"}}}
    asked = {"type": "function", "function": {"name": name, "description": description, "parameters": parameters}}
    shown = {"name": name, "description": description, "parameters": parameters, "strict": False}
    return asked, {"type": "function", "function": shown}


def call(name: str, function: str, arguments: str) -> Json:
    return {"id": made_id("call", name), "type": "function", "function": {"name": function, "arguments": arguments}}


def required(*calls: Json) -> Json:
    return {"type": "submit_tool_outputs", "submit_tool_outputs": {"tool_calls": list(calls)}}


_ENDS = {"completed": "completed_at", "incomplete": "completed_at", "failed": "failed_at", "cancelled": "cancelled_at"}


def run(name: str, of: Json, by: Json, status: str = "queued", at: int = 0, **fields: Any) -> Json:
    """A run in a status, with the timestamps that go with it (behaviour.md 1.3)."""
    shown: Json = {
        "id": made_id("run", name),
        "object": "thread.run",
        "created_at": NOW + at,
        "assistant_id": by["id"],
        "thread_id": of["id"],
        "status": status,
        "started_at": None if status == "queued" else NOW + at + 1,
        "expires_at": None if status in _ENDS else NOW + at + 600,
        "cancelled_at": None,
        "failed_at": None,
        "completed_at": None,
        "required_action": None,
        "last_error": None,
        "model": by["model"],
        "instructions": by["instructions"],
        "tools": by["tools"],
        "tool_resources": {},
        "metadata": {},
        "temperature": 1.0,
        "top_p": 1.0,
        "reasoning_effort": None,
        "max_completion_tokens": None,
        "max_prompt_tokens": None,
        "truncation_strategy": {"type": "auto", "last_messages": None},
        "incomplete_details": None,
        "usage": usage() if status in (*_ENDS, "expired") else None,
        "response_format": by["response_format"],
        "tool_choice": "auto",
        "parallel_tool_calls": True,
    }
    if status in _ENDS:
        shown[_ENDS[status]] = NOW + at + 2
    return shown | fields


def step(name: str, of: Json, details: Json, status: str = "completed", at: int = 0, **fields: Any) -> Json:
    """A step as fetched after its run ended, unless `expires_at` is given."""
    return {
        "id": made_id("step", name),
        "object": "thread.run.step",
        "created_at": NOW + at,
        "run_id": of["id"],
        "assistant_id": of["assistant_id"],
        "thread_id": of["thread_id"],
        "type": details["type"],
        "status": status,
        "cancelled_at": NOW + at if status == "cancelled" else None,
        "completed_at": NOW + at if status == "completed" else None,
        "expires_at": None,
        "failed_at": NOW + at if status == "failed" else None,
        "last_error": None,
        "step_details": details,
        "usage": usage() if status == "completed" else None,
    } | fields


def writing(shown: Json) -> Json:
    return {"type": "message_creation", "message_creation": {"message_id": shown["id"]}}


def calling(*calls: Json, outputs: dict[str, str | None] | None = None) -> Json:
    given = outputs or {}
    answered = [one | {"function": one["function"] | {"output": given.get(one["id"])}} for one in calls]
    return {"type": "tool_calls", "tool_calls": answered}


def listing(*data: Json, has_more: bool = False) -> Json:
    ends = (data[0]["id"], data[-1]["id"]) if data else (None, None)
    return {"object": "list", "data": list(data), "first_id": ends[0], "last_id": ends[1], "has_more": has_more}


def deleted(shown: Json) -> Json:
    return {"id": shown["id"], "object": f"{shown['object']}.deleted", "deleted": True}


def error(message: str, param: str | None = None, code: str | None = None) -> Json:
    return {"error": {"message": message, "type": "invalid_request_error", "param": param, "code": code}}


def text_delta(shown: Json, piece: str, *, first: bool = False) -> tuple[str, Json]:
    text: Json = {"value": piece} | ({"annotations": []} if first else {})
    delta = {"content": [{"index": 0, "type": "text", "text": text}]}
    return "thread.message.delta", {"id": shown["id"], "object": "thread.message.delta", "delta": delta}


def call_delta(of: Json, index: int, **members: Any) -> tuple[str, Json]:
    grown = {"index": index} | members
    details = {"type": "tool_calls", "tool_calls": [grown]}
    return "thread.run.step.delta", {
        "id": of["id"],
        "object": "thread.run.step.delta",
        "delta": {"step_details": details},
    }


def call_opened(of: Json, index: int, made: Json) -> tuple[str, Json]:
    function = {"name": made["function"]["name"], "arguments": "", "output": None}
    return call_delta(of, index, id=made["id"], type="function", function=function)


def call_grown(of: Json, index: int, piece: str) -> tuple[str, Json]:
    return call_delta(of, index, type="function", function={"arguments": piece})


class Book:
    """Recordings written by hand, as functions; each recording is called as its function."""

    def __init__(self) -> None:
        self._pages: list[Callable[[Scribe], None]] = []

    def __call__(self, write: "Callable[[Scribe], None]") -> "Callable[[Scribe], None]":
        """Take one in."""
        self._pages.append(write)
        return write

    def scribes(self) -> "list[Scribe]":
        """All of them, written."""
        found = [(Scribe(write.__name__), write) for write in self._pages]
        for scribe, write in found:
            write(scribe)
        return [scribe for scribe, _ in found]


@dataclass
class Scribe:
    """Writes a recording exchange by exchange."""

    name: str
    written: list[Json] = field(default_factory=list[Json])

    def says(self, method: str, path: str, asked: Any, shown: Any, status: int = 200) -> None:
        kind = "application/octet-stream" if path.endswith("/content") else "application/json"
        headers = {"content-type": kind, "openai-version": "2020-10-01"}
        response = {"status": status, "headers": headers, "body": shown}
        self.written.append({"request": {"method": method, "path": path, "body": asked}, "response": response})

    def streams(self, path: str, asked: Json, *events: tuple[str, Json], done: bool = True) -> None:
        headers = {"content-type": "text/event-stream; charset=utf-8", "openai-version": "2020-10-01"}
        frames: list[Json] = [{"event": name, "data": data} for name, data in events]
        if done:
            frames.append({"event": "done", "data": "[DONE]"})
        request = {"method": "POST", "path": path, "body": asked | {"stream": True}}
        response = {"status": 200, "headers": headers, "events": frames}
        self.written.append({"request": request, "response": response})

    def makes(self, shown: Json, asked: Json | None = None) -> Json:
        """POST of an assistant or thread."""
        self.says(
            "POST", f"/{shown['object']}s", {"model": "gpt-4o"} | (asked or {}) if "model" in shown else asked, shown
        )
        return shown

    def tells(self, shown: Json) -> Json:
        """POST of a user's message."""
        asked = {"role": shown["role"], "content": shown["content"][0]["text"]["value"]}
        self.says("POST", f"/threads/{shown['thread_id']}/messages", asked, shown)
        return shown

    def starts(self, shown: Json, **asked: Any) -> Json:
        """POST of a run."""
        body = {"assistant_id": shown["assistant_id"]} | asked
        self.says("POST", f"/threads/{shown['thread_id']}/runs", body, shown)
        return shown

    def polls(self, *shown: Json) -> None:
        """GETs of a run."""
        for one in shown:
            self.says("GET", f"/threads/{one['thread_id']}/runs/{one['id']}", None, one)

    def submits(self, shown: Json, outputs: dict[str, str]) -> None:
        """POST of tool outputs."""
        asked = {"tool_outputs": [{"tool_call_id": one, "output": said} for one, said in outputs.items()]}
        self.says("POST", f"/threads/{shown['thread_id']}/runs/{shown['id']}/submit_tool_outputs", asked, shown)

    def text(self) -> str:
        return json.dumps(self.written, ensure_ascii=False)

    def recording(self) -> Recording:
        return read(self.name, self.text())

    def save(self, directory: Path) -> None:
        (directory / f"{self.name}.json").write_text(self.text())
