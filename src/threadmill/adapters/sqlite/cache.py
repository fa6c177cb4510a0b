"""What was lately written or read, kept decoded: pollers, prompts and look-ups of hot objects cost no thread hop.

Right because the file belongs to this process alone and every write passes `remember`, in the order of the commits.
Bounded by rows, least recently used first out. Values are immutable, so handing them out is safe.
"""

from collections import OrderedDict
from collections.abc import Sequence

from threadmill.domain.assistant import Assistant
from threadmill.domain.ids import MessageId, ThreadId
from threadmill.domain.message import Message
from threadmill.domain.run import Run
from threadmill.domain.thread import Thread
from threadmill.engine.ports.store import Delete, R, Row, Write

ROWS = 8_192
"""Assistants, threads and runs kept."""

MESSAGES = 50_000
"""Messages of hot threads kept altogether."""

LONGEST = 1_000
"""Messages of a thread beyond which it is not kept."""


class HotRows:
    """Assistants, threads and runs by id."""

    def __init__(self, limit: int = ROWS) -> None:
        self._limit: int = limit
        self._rows: OrderedDict[str, Row] = OrderedDict()
        self.generation: int = 0

    def remember(self, write: Write) -> None:
        """Follow a committed write."""
        if isinstance(write, Delete):
            # Rare, and a cascade may have taken any of them. Reads under way must not bring the dead back.
            self._rows.clear()
            self.generation += 1
        elif isinstance(write.row, Run | Thread | Assistant):
            self.keep(write.row)

    def keep(self, row: Row) -> None:
        """Keep `row` unless a newer version is known."""
        held = self._rows.get(row.id)
        if held is None or held.version < row.version:
            self._rows[row.id] = row
            self._rows.move_to_end(row.id)
        if len(self._rows) > self._limit:
            self._rows.popitem(last=False)

    def replace(self, row: Row) -> None:
        """The row changed without a new version."""
        self._rows[row.id] = row

    def get(self, kind: type[R], object_id: str) -> R | None:
        """The row if it is hot and of that kind."""
        row = self._rows.get(object_id)
        return row if isinstance(row, kind) else None


class History:
    """A thread's messages while they are being read (`whole` False) or kept."""

    __slots__ = ("messages", "whole")

    def __init__(self) -> None:
        self.messages: dict[MessageId, Message] = {}
        self.whole: bool = False


class HotHistories:
    """The messages of threads that run, oldest first."""

    def __init__(self, limit: int = MESSAGES) -> None:
        self._limit: int = limit
        self._threads: OrderedDict[ThreadId, History] = OrderedDict()
        self._kept: int = 0

    def get(self, thread_id: ThreadId) -> list[Message] | None:
        """All messages of the thread, oldest first, or None if it is not hot."""
        history = self._threads.get(thread_id)
        if history is None or not history.whole:
            return None
        self._threads.move_to_end(thread_id)
        return list(history.messages.values())

    def begin(self, thread_id: ThreadId) -> History:
        """A read of the whole thread begins; a write to it before `fill` makes what was read not worth keeping."""
        self._forget(thread_id)
        self._threads[thread_id] = history = History()
        return history

    def fill(self, thread_id: ThreadId, history: History, messages: Sequence[Message]) -> None:
        """The read that began with `history` is done."""
        if self._threads.get(thread_id) is not history or history.whole:
            return
        if len(messages) > LONGEST:
            self._forget(thread_id)
            return
        history.messages = {message.id: message for message in messages}
        history.whole = True
        self._kept += len(messages)
        while self._kept > self._limit:
            self._forget(next(iter(self._threads)))

    def remember(self, write: Write) -> None:
        """Follow a committed write."""
        if isinstance(write, Delete):
            for thread_id in list(self._threads):
                self._forget(thread_id)
        elif isinstance(write.row, Message):
            self._follow(write.row)

    def _follow(self, message: Message) -> None:
        history = self._threads.get(message.thread_id)
        if history is None:
            return
        messages = history.messages
        known = messages.get(message.id)
        newest = next(reversed(messages.values()), None)
        in_order = known is not None or newest is None or newest.created_at <= message.created_at
        if not history.whole or not in_order or len(messages) >= LONGEST:
            self._forget(message.thread_id)
        elif known is None or known.version < message.version:
            messages[message.id] = message
            self._kept += known is None

    def _forget(self, thread_id: ThreadId) -> None:
        history = self._threads.pop(thread_id, None)
        if history is not None:
            self._kept -= len(history.messages)
