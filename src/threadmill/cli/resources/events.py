"""A stream of server-sent events, from lines to events, and what its end means for the exit code."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from threadmill.cli.resources.command_spec import Json
from threadmill.cli.resources.error import CliError, ExitCode

FAILURE_EVENTS = frozenset({"thread.run.failed", "thread.run.cancelled", "thread.run.expired", "thread.run.incomplete"})


@dataclass(frozen=True, slots=True)
class Event:
    """One event as the clients see it: its name and its data."""

    name: str
    data: Json

    def value(self) -> dict[str, Json]:
        """The event as one JSON object."""
        return {"event": self.name, "data": self.data}


def parse_events(lines: Iterable[bytes]) -> Iterator[Event]:
    """Events as their lines come. Raises CliError when the stream stops before `done`."""
    name, data = "", list[str]()
    for raw in lines:
        line = raw.decode(errors="replace").rstrip("\r\n")
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            name = value
        elif field == "data" and line:
            data.append(value)
        elif not line and data:
            yield Event(name, _data("\n".join(data)))
            if name == "done":
                return
            name, data = "", []
    text = "The stream broke off before its end."
    raise CliError(
        text, ExitCode.CONNECTION, "The run goes on; look at it with `threadmill beta:threads:runs retrieve`."
    )


def _data(text: str) -> Json:
    try:
        return json.loads(text)
    except ValueError:
        return text


def error_of(event: Event) -> CliError | None:
    """How a stream with this event as its last one failed; None for events that end well or end nothing."""
    data = event.data if isinstance(event.data, dict) else {}
    if event.name == "error":
        error = data.get("error", data)
        message = error.get("message") if isinstance(error, dict) else None
        return CliError(f"The stream ended with an error: {message or event.data}", ExitCode.SERVER, body=event.data)
    if event.name not in FAILURE_EVENTS:
        return None
    reason = data.get("last_error") or data.get("incomplete_details") or {}
    why = (reason.get("message") or reason.get("reason")) if isinstance(reason, dict) else None
    text = f"The run ended {event.name.rpartition('.')[2]}" + (f": {why}" if why else ".")
    code = reason.get("code") if isinstance(reason, dict) else None
    return CliError(text, ExitCode.RUN, details={"run": str(data.get("id")), **({"code": str(code)} if code else {})})
