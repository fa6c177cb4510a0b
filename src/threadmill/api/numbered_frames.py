"""SSE frames of a run's events where every delta has an id too, so that a reader comes back to exactly its place."""

from collections.abc import Sequence

from threadmill.engine.ports.event_log import Entry
from threadmill.engine.ports.store import StoredEvent
from threadmill.wire.request.query import EventPlace
from threadmill.wire.sse_delta import delta_frame
from threadmill.wire.sse_event import event_frame


class NumberedFrames:
    """Events have their sequence number as id, the deltas behind event 7 have 7.1 and so on.

    They are counted from the log, which is the same for every reader. What stands before `place` is left out.
    """

    def __init__(self, place: EventPlace, *, include_content: bool) -> None:
        self._seq: int = place.seq
        self._known: int = place.deltas
        self._deltas: int = 0
        self._include_content: bool = include_content

    def __call__(self, entries: Sequence[Entry]) -> bytes:
        """The entries as SSE, in one piece for one write."""
        return b"".join(map(self._frame, entries))

    def _frame(self, entry: Entry) -> bytes:
        if not isinstance(entry, StoredEvent):
            # No line of a frame is blank: its data is one line of JSON.
            return b"".join(map(self._numbered, delta_frame(entry).split(b"\n\n")[:-1]))
        self._seq, self._known, self._deltas = entry.seq, 0, 0
        return event_frame(entry.seq, entry.event, include_content=self._include_content)

    def _numbered(self, frame: bytes) -> bytes:
        self._deltas += 1
        return b"" if self._deltas <= self._known else b"id: %d.%d\n%b\n\n" % (self._seq, self._deltas, frame)
