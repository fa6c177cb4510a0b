"""Between the network and the decoder: cuts a byte stream into the data of Server-Sent Events, in bounded memory."""

MAX_EVENT_BYTES = 4 * 1024 * 1024
"""Bytes one event may have, comments and field names included."""

_BOM = b"\xef\xbb\xbf"


class EventTooLarge(Exception):
    """An event outgrew the bound; the stream cannot be read on."""


class SseParser:
    """Feed it network reads, get each event's data. Any cutting of the same bytes gives the same events.

    Understands CRLF, LF and CR line ends, data of several lines, comments, and a stream that ends without its last
    blank line. Fields other than `data` are left out; an event without data is none.
    """

    __slots__ = ("_limit", "_pending", "_pending_cr")

    def __init__(self, limit: int = MAX_EVENT_BYTES) -> None:
        self._limit: int = limit
        self._pending: bytearray = bytearray()
        self._pending_cr: bool = False

    def feed(self, data: bytes) -> list[bytes]:
        """The data of all events that `data` completes. Raises EventTooLarge."""
        if self._pending_cr or b"\r" in data:
            data = self._normalise_newlines(data)
        if self._pending:
            data = self._join(data)
        head, separator, rest = data.rpartition(b"\n\n")
        if rest:
            self._pending += rest
            self._check_size(len(rest))
        return self._events(head) if separator else []

    def end(self) -> list[bytes]:
        """The stream ended: the data of an event that lacks its blank line."""
        head = bytes(self._pending)
        self._pending.clear()
        return self._events(head)

    def _normalise_newlines(self, data: bytes) -> bytes:
        """Line ends as LF. A CR at the very end waits: its LF may be the next byte."""
        if self._pending_cr:
            data = b"\r" + data
        self._pending_cr = data.endswith(b"\r")
        if self._pending_cr:
            data = data[:-1]
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _join(self, data: bytes) -> bytes:
        """Everything pending and `data`; nothing while no event is complete, so a long event is never copied twice."""
        pending = self._pending
        seen = len(pending)
        pending += data
        if pending.find(b"\n\n", max(0, seen - 1)) < 0:
            self._check_size(len(pending))
            return b""
        joined = bytes(pending)
        pending.clear()
        return joined

    def _events(self, head: bytes) -> list[bytes]:
        events: list[bytes] = []
        small = len(head) <= self._limit
        for block in head.split(b"\n\n"):
            if small and block.startswith(b"data: ") and block.find(b"\n") < 0:
                events.append(block[6:])
            elif (data := self._data(block)) is not None:
                events.append(data)
        return events

    def _data(self, block: bytes) -> bytes | None:
        """The data lines of a block, joined."""
        self._check_size(len(block))
        lines: list[bytes] = []
        for line in block.split(b"\n"):
            name, _, value = line.removeprefix(_BOM).partition(b":")
            if name == b"data":
                lines.append(value[1:] if value.startswith(b" ") else value)
        return b"\n".join(lines) if lines else None

    def _check_size(self, size: int) -> None:
        if size > self._limit:
            raise EventTooLarge
