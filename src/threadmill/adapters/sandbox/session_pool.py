"""Sessions by thread: who has one, who waits for it, and when it ends. The same over every back end."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, suppress
from dataclasses import dataclass, field

from threadmill.adapters.sandbox.backend import Backend, LiveSession
from threadmill.adapters.sandbox.output_gate import OutputBudget, fetched, gated
from threadmill.domain.ids import ThreadId
from threadmill.engine.ports.clock import Clock
from threadmill.engine.ports.sandbox import Ended, Output, SandboxUnavailable, SessionLossReason, Started

RECENT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """Seconds a session may be idle and live in all; how many live at once, the longest idle making room.

    `call_output` and `session_output`: bytes of files and pictures that may come out of one call, and of a session.
    """

    idle: float = 20 * 60
    age: float = 60 * 60
    max_sessions: int = 64
    call_output: int = 256 << 20
    session_output: int = 1 << 30


@dataclass(slots=True)
class SessionSlot:
    """A thread's slot: its session, if it has one, and why it lost the last.

    `users` hold or await the lock; `running` is the execution that holds it. `put_paths` are the paths put into the session,
    which `is_new` until a `start` has told of it. `loss_untold`: its variables were lost and nobody has heard of it yet.
    """

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    session: LiveSession | None = None
    created_at: float = 0.0
    used: float = 0.0
    users: int = 0
    running: asyncio.Task[None] | None = None
    lost: SessionLossReason | None = None
    put_paths: set[str] = field(default_factory=set[str])
    is_new: bool = False
    loss_untold: bool = False
    budget: OutputBudget = field(default_factory=lambda: OutputBudget(0, 0))


class SessionPool:
    """See the Sandbox port."""

    def __init__(self, backend: Backend, limits: PoolLimits, clock: Clock) -> None:
        self._backend, self._limits, self._clock = backend, limits, clock
        self._slots: dict[ThreadId, SessionSlot] = {}
        self._capacity = asyncio.Condition()
        self._opening = 0
        self._executions: set[asyncio.Task[None]] = set()
        self._reaping: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def unavailable_reason(self) -> str | None:
        """See the port."""
        return self._backend.unavailable_reason

    async def start(self, thread: ThreadId) -> Started:
        """See the port."""
        async with _SlotLease(self._slot(thread), self) as slot:
            await self._session(slot)
            lost = slot.lost or (SessionLossReason.KILLED if slot.loss_untold else None)
            started = Started(slot.is_new, lost, frozenset(slot.put_paths))
            slot.is_new, slot.lost, slot.loss_untold = False, None, False
            return started

    async def execute(self, thread: ThreadId, code: str) -> AsyncGenerator[Output, None]:
        """See the port. A task reads the session to its end, whatever becomes of who listens."""
        outputs: asyncio.Queue[Output | Exception | None] = asyncio.Queue()
        slot = self._slot(thread)
        task = asyncio.create_task(self._run(slot, code, outputs))
        self._executions.add(task)
        task.add_done_callback(self._executions.discard)
        try:
            while (output := await outputs.get()) is not None:
                if isinstance(output, Exception):
                    raise output
                if isinstance(output, Ended):
                    slot.loss_untold = False  # who listens hears it now
                yield output
        finally:
            if slot.running is task:
                await self.interrupt(thread)
            else:
                task.cancel()

    async def _run(self, slot: SessionSlot, code: str, outputs: "asyncio.Queue[Output | Exception | None]") -> None:
        try:
            async with _SlotLease(slot, self):
                session = await self._session(slot)
                slot.running = asyncio.current_task()
                try:
                    async for output in gated(session.execute(code), slot.budget):
                        slot.loss_untold = slot.loss_untold or (isinstance(output, Ended) and not output.state_kept)
                        outputs.put_nowait(output)
                finally:
                    slot.running = None
        except Exception as error:  # noqa: BLE001 - whoever listens raises it
            outputs.put_nowait(error)
        finally:
            outputs.put_nowait(None)

    async def put(self, thread: ThreadId, path: str, content: AsyncIterator[bytes]) -> None:
        """See the port."""
        async with _SlotLease(self._slot(thread), self) as slot:
            await (await self._session(slot)).put(path, content)
            slot.put_paths.add(path)

    async def get(self, thread: ThreadId, path: str) -> AsyncGenerator[bytes, None]:
        """See the port."""
        async with _SlotLease(self._slot(thread), self) as slot:
            session = await self._session(slot)
            async with aclosing(fetched(path, session.get(path), slot.budget)) as pieces:
                async for piece in pieces:
                    yield piece

    async def interrupt(self, thread: ThreadId) -> None:
        """See the port."""
        slot = self._slots.get(thread)
        if slot is not None and slot.session is not None and slot.running is not None:
            await slot.session.interrupt()

    async def close(self, thread: ThreadId | None = None) -> None:
        """See the port."""
        if thread is not None:
            slot = self._slots.pop(thread, None)
            if slot is not None:
                await self._end(slot, None)
            return
        self._closed = True
        if self._reaping is not None:
            self._reaping.cancel()
        for each in list(self._slots):
            await self.close(each)
        await self._backend.close()
        await asyncio.gather(*self._executions, return_exceptions=True)

    def start_reaper(self) -> None:
        """From now on end what was idle too long or is too old, until closed."""
        self._reaping = asyncio.create_task(self._reap())

    async def _reap(self) -> None:
        while True:
            await asyncio.sleep(min(30.0, self._limits.idle / 4))
            await self.expire()

    async def expire(self) -> int:
        """End now what is over its time and not in use; how many that were."""
        for thread, slot in list(self._slots.items()):
            if slot.session is None and not slot.users and self._clock.monotonic() - slot.used >= self._limits.age:
                del self._slots[thread]
        unused = [slot for slot in self._slots.values() if not slot.users]
        due = [(slot, loss) for slot in unused if (loss := self._expiry_reason(slot)) is not None]
        for slot, loss in due:
            await self._end(slot, loss)
        return len(due)

    def _expiry_reason(self, slot: SessionSlot) -> SessionLossReason | None:
        """Why the slot's session may not be used any more; None if it may, or if there is none."""
        if slot.session is None:
            return None
        now = self._clock.monotonic()
        if not slot.session.alive:
            return SessionLossReason.KILLED
        if now - slot.used >= self._limits.idle:
            return SessionLossReason.IDLE
        return SessionLossReason.AGE if now - slot.created_at >= self._limits.age else None

    async def _session(self, slot: SessionSlot) -> LiveSession:
        """The slot's session, made if need be; the caller has the slot's lock."""
        if self._closed:
            raise SandboxUnavailable("The server is shutting down.")
        loss = self._expiry_reason(slot)
        if loss is not None:
            await self._end(slot, loss)
        if slot.session is None:
            slot.session = await self._open(slot)
        return slot.session

    def _slot(self, thread: ThreadId) -> SessionSlot:
        return self._slots.setdefault(thread, SessionSlot())

    async def _open(self, slot: SessionSlot) -> LiveSession:
        await self._make_room()
        try:
            session = await self._backend.open()
        finally:
            async with self._capacity:
                self._opening -= 1
                self._capacity.notify_all()
        slot.created_at = slot.used = self._clock.monotonic()
        slot.is_new = True
        slot.budget = OutputBudget(self._limits.call_output, self._limits.session_output)
        return session

    async def _make_room(self) -> None:
        """Wait until one more session may be opened, ending the longest idle if all slots are taken."""
        async with self._capacity:
            while self._open_count() >= self._limits.max_sessions:
                if (idle := self._longest_idle()) is not None:
                    await self._end(idle, SessionLossReason.EVICTED)
                    continue
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._capacity.wait(), 1.0)
            self._opening += 1

    def _longest_idle(self) -> SessionSlot | None:
        """Whom to evict: nobody who was used just now, for between a start and its execution files are put."""
        recent = self._clock.monotonic() - RECENT_SECONDS
        idle = [slot for slot in self._slots.values() if slot.session and not slot.users and slot.used <= recent]
        return min(idle, key=lambda slot: slot.used, default=None)

    def _open_count(self) -> int:
        return self._opening + sum(slot.session is not None for slot in self._slots.values())

    async def _end(self, slot: SessionSlot, loss: SessionLossReason | None) -> None:
        # A session nobody was told of leaves the reason of the one before it standing.
        session, slot.session = slot.session, None
        slot.lost = (slot.lost if slot.is_new else None) or loss
        slot.put_paths.clear()
        if session is not None:
            await session.close()

    async def release(self, slot: SessionSlot) -> None:
        """A use of a slot is over: note the time, bury a dead session, let who waits for room look again."""
        slot.used = self._clock.monotonic()
        if slot.session is not None and not slot.session.alive:
            await self._end(slot, SessionLossReason.KILLED)
        slot.users -= 1
        slot.lock.release()
        async with self._capacity:
            self._capacity.notify_all()


class _SlotLease:
    """One use of a slot, alone; an old session is replaced before it begins, never during."""

    def __init__(self, slot: SessionSlot, sessions: SessionPool) -> None:
        self._slot, self._sessions = slot, sessions

    async def __aenter__(self) -> SessionSlot:
        self._slot.users += 1
        try:
            await self._slot.lock.acquire()
        except BaseException:
            self._slot.users -= 1
            raise
        return self._slot

    async def __aexit__(self, *_: object) -> None:
        await self._sessions.release(self._slot)
