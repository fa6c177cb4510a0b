"""Bytes of an SSE response -> the data of each event. Bounded, and tolerant of what upstreams really send."""

MAX_EVENT = 4 * 1024 * 1024
"""Bytes of one event; more is an upstream gone wrong."""


class EventTooLarge(Exception):
    """An event grew past MAX_EVENT."""


class Splitter:
    """Feed it what the network gave; it returns whole events' data. Takes LF, CRLF, comments, several data lines."""

    def __init__(self) -> None:
        self._rest: bytes = b""

    def feed(self, received: bytes) -> list[bytes]:
        """The data of each event completed by `received`. Raises EventTooLarge."""
        data = self._rest + received if self._rest else received
        if b"\r" in data:
            # A CR at the very end may be half of a CRLF: it waits for its other half.
            held = b"\r" if data.endswith(b"\r") else b""
            data = data[: len(data) - len(held)].replace(b"\r\n", b"\n").replace(b"\r", b"\n") + held
        events = data.split(b"\n\n")
        self._rest = events.pop()
        if len(self._rest) > MAX_EVENT:
            raise EventTooLarge
        return [found for event in events if (found := data_of(event)) is not None]

    def end(self) -> list[bytes]:
        """The last event of a stream that lacks its final blank line."""
        rest, self._rest = self._rest.replace(b"\r", b"\n"), b""
        found = data_of(rest.rstrip(b"\n"))
        return [] if found is None else [found]


def data_of(event: bytes) -> bytes | None:
    """An event's data lines, joined; None if it has none."""
    if event.startswith(b"data: ") and b"\n" not in event:
        return event[6:]
    lines = [line[5:].removeprefix(b" ") for line in event.split(b"\n") if line.startswith(b"data:")]
    return b"\n".join(lines) if lines else None
