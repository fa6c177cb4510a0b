"""A bounded cache of decoded rows that were lately written or read: pollers, prompts and look-ups cost no thread hop.

Right because the file belongs to this process alone and every write passes `on_write`, in the order of the commits.
Bounded by rows and, with all other caches, by bytes; least recently used first out. Values are immutable, so handing them out is safe.
"""

from collections import OrderedDict
from collections.abc import Sequence

from threadmill.adapters.sqlite.row_size import message_size, row_size
from threadmill.domain.assistant import Assistant
from threadmill.domain.cache_budget import CacheBudget, CacheShare
from threadmill.domain.ids import MessageId, ThreadId
from threadmill.domain.message import Message
from threadmill.domain.run import Run
from threadmill.domain.thread import Thread
from threadmill.engine.ports.store import Delete, Insert, R, Update, Write

MAX_CACHED_ROWS = 8_192
"""Assistants, threads and runs kept."""

MAX_CACHED_MESSAGES = 50_000
"""Messages kept of all threads together."""

MAX_THREAD_MESSAGES = 1_000
"""Messages of a thread beyond which it is not kept."""


class RowCache:
    """Assistants, threads and runs by id."""

    def __init__(self, limit: int = MAX_CACHED_ROWS, budget: CacheBudget | None = None) -> None:
        self._limit: int = limit
        self._rows: OrderedDict[str, Run | Thread | Assistant] = OrderedDict()
        self._share: CacheShare = (budget or CacheBudget()).join("rows", self._evict)
        self.generation: int = 0

    def on_write(self, write: Write) -> None:
        """Follow a committed write."""
        if isinstance(write, Delete):
            # Rare, and a cascade may have taken any of them. Reads under way must not bring the dead back.
            self._rows.clear()
            self._share.add(-self._share.size)
            self.generation += 1
        elif isinstance(write, Insert | Update) and isinstance(write.row, Run | Thread | Assistant):
            self.add(write.row)

    def add(self, row: Run | Thread | Assistant) -> None:
        """Keep `row` unless a newer version is known."""
        held = self._rows.get(row.id)
        if held is None or held.version < row.version:
            self._rows[row.id] = row
            self._rows.move_to_end(row.id)
            self._share.add(row_size(row) - (0 if held is None else row_size(held)))
        if len(self._rows) > self._limit:
            self._evict()

    def _evict(self) -> None:
        _, row = self._rows.popitem(last=False)
        self._share.add(-row_size(row))

    def replace(self, row: Run) -> None:
        """The cached run changed without a new version, in nothing that takes memory."""
        self._rows[row.id] = row

    def get(self, kind: type[R], object_id: str) -> R | None:
        """The row if it is cached and of that kind."""
        row = self._rows.get(object_id)
        if not isinstance(row, kind):
            return None
        self._rows.move_to_end(object_id)
        return row


class History:
    """A thread's messages while they are being read (`is_complete` False) or kept."""

    __slots__ = ("is_complete", "messages", "size")

    def __init__(self) -> None:
        self.messages: dict[MessageId, Message] = {}
        self.is_complete: bool = False
        self.size: int = 0


class HistoryCache:
    """The messages of threads that run, oldest first."""

    def __init__(self, limit: int = MAX_CACHED_MESSAGES, budget: CacheBudget | None = None) -> None:
        self._limit: int = limit
        self._threads: OrderedDict[ThreadId, History] = OrderedDict()
        self._messages_cached: int = 0
        self._share: CacheShare = (budget or CacheBudget()).join("histories", self._evict_oldest)

    def get(self, thread_id: ThreadId) -> list[Message] | None:
        """All messages of the thread, oldest first, or None if it is not cached."""
        history = self._threads.get(thread_id)
        if history is None or not history.is_complete:
            return None
        self._threads.move_to_end(thread_id)
        return list(history.messages.values())

    def begin_read(self, thread_id: ThreadId) -> History:
        """A read of the whole thread begins; a write to it before `complete` makes what was read not worth keeping."""
        self._evict(thread_id)
        self._threads[thread_id] = history = History()
        return history

    def complete(self, thread_id: ThreadId, history: History, messages: Sequence[Message]) -> None:
        """The read that began with `history` is done."""
        if self._threads.get(thread_id) is not history or history.is_complete:
            return
        if len(messages) > MAX_THREAD_MESSAGES:
            self._evict(thread_id)
            return
        history.messages = {message.id: message for message in messages}
        history.is_complete = True
        self._messages_cached += len(messages)
        history.size = sum(map(message_size, messages))
        self._share.add(history.size)
        while self._messages_cached > self._limit:
            self._evict_oldest()

    def on_write(self, write: Write) -> None:
        """Follow a committed write."""
        if isinstance(write, Delete):
            for thread_id in list(self._threads):
                self._evict(thread_id)
        elif isinstance(write, Insert | Update) and isinstance(write.row, Message):
            self._update(write.row)

    def _update(self, message: Message) -> None:
        history = self._threads.get(message.thread_id)
        if history is None:
            return
        messages = history.messages
        known = messages.get(message.id)
        newest = next(reversed(messages.values()), None)
        in_order = known is not None or newest is None or newest.created_at <= message.created_at
        if not history.is_complete or not in_order or len(messages) >= MAX_THREAD_MESSAGES:
            self._evict(message.thread_id)
        elif known is None or known.version < message.version:
            messages[message.id] = message
            self._messages_cached += known is None
            grown = message_size(message) - (0 if known is None else message_size(known))
            history.size += grown
            self._share.add(grown)

    def _evict_oldest(self) -> None:
        # One that is still being read holds nothing and keeps its place.
        thread_id = next((thread_id for thread_id, history in self._threads.items() if history.is_complete), None)
        if thread_id is not None:
            self._evict(thread_id)

    def _evict(self, thread_id: ThreadId) -> None:
        history = self._threads.pop(thread_id, None)
        if history is not None:
            self._messages_cached -= len(history.messages)
            self._share.add(-history.size)
