"""A stream shown for reading: text as it is written, a line for every other event."""

import json
from collections.abc import Iterator
from typing import TextIO

from threadmill.cli.resources.color import Colorizer, clean
from threadmill.cli.resources.command_spec import Json
from threadmill.cli.resources.events import Event


class StreamPrinter:
    """Tells events to `out` as they come."""

    def __init__(self, out: TextIO, colorizer: Colorizer) -> None:
        self._out: TextIO = out
        self._color: Colorizer = colorizer
        self._open: bool = False

    def print_event(self, event: Event) -> None:
        """One event."""
        data = event.data if isinstance(event.data, dict) else {}
        if event.name.endswith(".delta"):
            self._write("".join(_delta_texts(data.get("delta"))), event.name)
        elif event.name != "done":
            self._line(event.name, data)
        self._out.flush()

    def end_line(self) -> None:
        """End a line that is still being written."""
        if self._open:
            self._out.write("\n")
            self._open = False

    def _write(self, text: str, name: str) -> None:
        style = "bold" if name == "thread.message.delta" else "dim"
        self._out.write("\n".join(self._color(style, clean(line)) for line in text.split("\n")))
        self._open = (self._open or bool(text)) and not text.endswith("\n")

    def _line(self, name: str, data: dict[str, Json]) -> None:
        self.end_line()
        shown = [clean(str(data[key])) for key in ("id", "status") if data.get(key)]
        style = "bad" if name == "error" or "error" in name else "key"
        self._out.write(f"{self._color(style, f'{name:<30}')} {self._color('dim', '  '.join(shown))}".rstrip() + "\n")
        for line in (*_required_calls(data), *_problems(data)):
            self._out.write(f"  {clean(line)}\n")


def _delta_texts(delta: Json) -> Iterator[str]:
    """The texts a delta adds: message text, a call's name and arguments, code."""
    if isinstance(delta, list):
        for item in delta:
            yield from _delta_texts(item)
    elif isinstance(delta, dict):
        for key, value in delta.items():
            if isinstance(value, str) and key in ("value", "name", "arguments", "input", "refusal", "logs"):
                yield f"{value} " if key == "name" else value
            elif key != "annotations":
                yield from _delta_texts(value)


def _required_calls(data: dict[str, Json]) -> Iterator[str]:
    """What a run waits for, and how to answer it."""
    action = data.get("required_action")
    submit = action.get("submit_tool_outputs") if isinstance(action, dict) else None
    calls = submit.get("tool_calls") if isinstance(submit, dict) else None
    ids: list[str] = []
    for call in calls if isinstance(calls, list) else ():
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(call, dict) and isinstance(function, dict):
            ids.append(str(call.get("id")))
            yield f"{call.get('id')}  {function.get('name')}({function.get('arguments')})"
    if ids:
        outputs = " ".join(f"--tool-output '{{tool_call_id: {one}, output: ...}}'" for one in ids)
        where = f"--thread-id {data.get('thread_id')} --run-id {data.get('id')}"
        yield f"answer with: threadmill beta:threads:runs submit-tool-outputs {where} {outputs} --stream"


def _problems(data: dict[str, Json]) -> Iterator[str]:
    for key in ("last_error", "incomplete_details"):
        if trouble := data.get(key):
            yield f"{key}: {json.dumps(trouble, ensure_ascii=False)}"
