"""The live log: one append-only list per run, and a future for each reader that waits (ADR-0002).

Publishing appends and never waits. A reader keeps a cursor; what gathers while it is busy comes as one batch. A log
that is closed is kept for a while, so that a client who comes a moment later still gets every delta.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field
from sys import getsizeof

from threadmill.domain.cache_budget import CacheBudget, CacheShare
from threadmill.domain.delta import Delta, RefusalDelta, TextDelta
from threadmill.domain.error import Unavailable
from threadmill.domain.event import ends_run, ends_stream
from threadmill.domain.ids import RunId
from threadmill.domain.message import Message, TextPart
from threadmill.domain.run import Run
from threadmill.engine.ports.event_log import Entry
from threadmill.engine.ports.store import Store, StoredEvent

MAX_CLOSED_ENTRIES = 20_000
"""Entries beyond which a closed log is not kept: to weigh it would hold the event loop for too long."""

ENTRY_SIZE = 400
"""Bytes of an entry without its texts."""


class SlowReader(Unavailable):
    """A reader lags so far behind that it is cut off."""


@dataclass(slots=True)
class _RunLog:
    """One run's entries since this process began to hear of it. `first` is the sequence number it begins with."""

    entries: list[Entry] = field(default_factory=list[Entry])
    first: int = 0
    last: int = 0
    out_of_order: dict[int, StoredEvent] = field(default_factory=dict[int, StoredEvent])
    waiters: "list[asyncio.Future[None]]" = field(default_factory=list["asyncio.Future[None]"])
    closed: bool = False
    followers: int = 0
    """Readers who stay while the run waits for its client."""
    size: int = 0
    """Bytes of the entries, once it is closed."""

    def wake(self) -> None:
        waiters, self.waiters = self.waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    def wait(self) -> "asyncio.Future[None]":
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiters.append(waiter)
        return waiter


class LocalEventLog:
    """See the port `EventLog`. `max_lag` is in entries."""

    def __init__(self, store: Store, max_lag: int = 200_000, budget: CacheBudget | None = None) -> None:
        self._store: Store = store
        self._max_lag: int = max_lag
        self._logs: dict[RunId, _RunLog] = {}
        self._closed: OrderedDict[RunId, _RunLog] = OrderedDict()
        self._is_stopping: bool = False
        self._share: CacheShare = (budget or CacheBudget()).join("closed_logs", self._evict)

    def publish(self, run_id: RunId, events: Sequence[StoredEvent]) -> None:
        """See the port. Two writers may come here in the other order than they committed: a gap is waited for."""
        log = self._open(run_id, events[0].seq)
        log.out_of_order.update((event.seq, event) for event in events)
        while (event := log.out_of_order.pop(log.last + 1, None)) is not None:
            log.entries.append(event)
            log.last = event.seq
        log.wake()
        self._close_if_done(run_id, log)

    def _close_if_done(self, run_id: RunId, log: _RunLog) -> None:
        if not log.entries or not _ends_streams(log.entries[-1]):
            return
        if not log.followers or _ends_run(log.entries[-1]):
            self.close(run_id)

    def _open(self, run_id: RunId, seq: int) -> _RunLog:
        log = self._logs.get(run_id)
        if log is None:
            log = self._closed.pop(run_id, None)
            if log is not None:
                self._share.add(-log.size)
                log.closed = False
            if log is None or log.last + 1 < seq:
                log = _RunLog(first=seq, last=seq - 1)
            self._logs[run_id] = log
        return log

    def publish_delta(self, run_id: RunId, delta: Delta) -> None:
        """See the port."""
        log = self._logs.get(run_id)
        if log is not None:
            log.entries.append(delta)
            if log.waiters:
                log.wake()

    def close(self, run_id: RunId) -> None:
        """See the port."""
        log = self._logs.pop(run_id, None)
        if log is None:
            return
        log.closed = True
        log.wake()
        if len(log.entries) <= MAX_CLOSED_ENTRIES:
            log.size = sum(map(_entry_size, log.entries))
            self._closed[run_id] = log
            self._share.add(log.size)

    def _evict(self) -> None:
        _, old = self._closed.popitem(last=False)
        self._share.add(-old.size)

    def close_all(self) -> None:
        """The process stops: readers end when they have read all."""
        self._is_stopping = True
        for run_id in list(self._logs):
            self.close(run_id)

    async def tail(
        self, run_id: RunId, after: int = 0, *, is_whole: bool = False
    ) -> AsyncGenerator[Sequence[Entry], None]:
        """See the port."""
        is_last = _ends_run if is_whole else _ends_streams
        log = self._logs.get(run_id) or self._closed.get(run_id)
        if log is None or log.first > after + 1:
            stored = await self._store.events(run_id, after)
            log = self._logs.get(run_id) or self._closed.get(run_id)
            # What memory holds too is read from there, with its deltas.
            older = [event for event in stored if log is None or event.seq < log.first]
            if older:
                stop = _first(is_last, older)
                yield older if stop is None else older[: stop + 1]
                if stop is not None:
                    return
            if log is None:
                log = self._open(run_id, (older[-1].seq if older else after) + 1)
        if is_whole and log.closed and not self._is_stopping and log.entries and not _ends_run(log.entries[-1]):
            log = self._open(run_id, log.last + 1)  # its run waits for its client
        log.followers += is_whole
        try:
            async for batch in self._read(log, _index_after(log, after), is_last):
                yield batch
        finally:
            log.followers -= is_whole
            if self._logs.get(run_id) is log:
                self._close_if_done(run_id, log)

    async def _read(
        self, log: _RunLog, cursor: int, is_last: Callable[[Entry], bool]
    ) -> AsyncGenerator[Sequence[Entry], None]:
        while True:
            end = len(log.entries)
            if end - cursor > self._max_lag:
                raise SlowReader("You read this stream too slowly; poll the run, or stream it again.")
            batch = log.entries[cursor:end]
            stop = _first(is_last, batch)
            if stop is not None:
                yield batch[: stop + 1]
                return
            if batch:
                yield batch
                cursor = end
            elif log.closed:
                return
            else:
                await log.wait()


def _index_after(log: _RunLog, after: int) -> int:
    """Right behind event `after`: deltas that followed it come again, a reader cannot say which it has."""
    for index in range(len(log.entries) - 1, -1, -1):
        entry = log.entries[index]
        if isinstance(entry, StoredEvent) and entry.seq <= after:
            return index + 1
    return 0


def _entry_size(entry: Entry) -> int:
    """Bytes of an entry; an event's are those of the texts in it, which it mostly shares with others."""
    if not isinstance(entry, StoredEvent):
        return (
            ENTRY_SIZE + sum(map(getsizeof, entry.pieces))
            if isinstance(entry, TextDelta | RefusalDelta)
            else ENTRY_SIZE
        )
    subject = entry.event.subject
    if isinstance(subject, Message):
        return ENTRY_SIZE + sum(getsizeof(part.value) for part in subject.content if isinstance(part, TextPart))
    if isinstance(subject, Run):
        return ENTRY_SIZE + getsizeof(subject.instructions)
    return ENTRY_SIZE


def _ends_streams(entry: Entry) -> bool:
    return isinstance(entry, StoredEvent) and ends_stream(entry.event)


def _ends_run(entry: Entry) -> bool:
    return isinstance(entry, StoredEvent) and ends_run(entry.event)


def _first(is_last: Callable[[Entry], bool], batch: Sequence[Entry]) -> int | None:
    return next((index for index, entry in enumerate(batch) if is_last(entry)), None)
