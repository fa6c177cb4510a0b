"""Sessions by thread: who has one, who waits for it, and when it ends. The same over every back end."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from threadmill.adapters.sandbox.backend import Backend, LiveSession, MemoryUse
from threadmill.adapters.sandbox.output_gate import OutputBudget, fetched, gated
from threadmill.adapters.sandbox.session_slot import PoolLimits, SessionSlot
from threadmill.domain.ids import RunId, ThreadId
from threadmill.engine.ports.clock import Clock
from threadmill.engine.ports.sandbox import Ended, EndReason, Output, SandboxUnavailable, SessionLossReason, Started
from threadmill.engine.ports.troubles import Troubles, attempt

LOG = logging.getLogger("threadmill")

_OVER_MEMORY = (
    "The sessions of all conversations together used more memory than they may ({} MB), and this one the most. "
    "All variables and files are lost."
)


class SessionPool:
    """See the Sandbox port."""

    def __init__(self, backend: Backend, limits: PoolLimits, clock: Clock) -> None:
        self._backend, self._limits, self._clock = backend, limits, clock
        self._slots: dict[ThreadId, SessionSlot] = {}
        self._waiting: list[asyncio.Future[None]] = []
        self._opening = 0
        self._ending: set[asyncio.Task[None]] = set()
        self._executions: set[asyncio.Task[None]] = set()
        self._reaping: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def unavailable_reason(self) -> str | None:
        """See the port."""
        return self._backend.unavailable_reason

    async def start(self, thread: ThreadId, run: RunId | None = None) -> Started:
        """See the port."""
        async with _SlotLease(self._slot(thread), self) as slot:
            await self._session(slot)
            if run is not None:
                slot.keep_for(run)
            lost = slot.lost or (SessionLossReason.KILLED if slot.loss_untold else None)
            started = Started(slot.is_new, lost, frozenset(slot.put_paths))
            slot.is_new, slot.lost, slot.loss_untold = False, None, False
            return started

    def release(self, thread: ThreadId, run: RunId, seconds: float = 0) -> None:
        """See the port."""
        slot = self._slots.get(thread)
        if slot is not None and slot.keeper == run:
            slot.kept_until = self._clock.monotonic() + seconds
            self._admit()

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
            if slot.running is task and slot.session is not None:
                await slot.session.interrupt()
            else:
                task.cancel()

    async def _run(self, slot: SessionSlot, code: str, outputs: "asyncio.Queue[Output | Exception | None]") -> None:
        try:
            async with _SlotLease(slot, self):
                session = await self._session(slot)
                slot.running = asyncio.current_task()
                try:
                    async for output in gated(self._measured(slot, session, code), slot.budget):
                        slot.loss_untold = slot.loss_untold or (isinstance(output, Ended) and not output.state_kept)
                        outputs.put_nowait(output)
                finally:
                    slot.running = slot.verdict = None
        except Exception as error:  # noqa: BLE001 - whoever listens raises it
            outputs.put_nowait(error)
        finally:
            outputs.put_nowait(None)

    async def _measured(self, slot: SessionSlot, session: LiveSession, code: str) -> AsyncGenerator[Output, None]:
        """Outputs; what is told of memory between them is kept, and may end an execution."""
        async for output in session.execute(code):
            if isinstance(output, MemoryUse):
                slot.memory = 0 if slot.verdict is not None else output.size
                self._shed_memory()
            else:
                yield slot.verdict if slot.verdict is not None and isinstance(output, Ended) else output

    async def put(self, thread: ThreadId, path: str, content: AsyncIterator[bytes]) -> None:
        """See the port."""
        async with _SlotLease(self._slot(thread), self) as slot:
            await (await self._session(slot)).put(path, slot.counted(content))
            slot.put_paths.add(path)

    async def get(self, thread: ThreadId, path: str) -> AsyncGenerator[bytes, None]:
        """See the port."""
        async with _SlotLease(self._slot(thread), self) as slot:
            session = await self._session(slot)
            async with aclosing(fetched(path, session.get(path), slot.budget)) as pieces:
                async for piece in pieces:
                    yield piece

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
        self._admit()
        for each in list(self._slots):
            await self.close(each)
        await self._backend.close()
        await asyncio.gather(*self._executions, *self._ending, return_exceptions=True)

    def start_reaper(self, troubles: Troubles) -> None:
        """From now on end what was idle too long or is too old, until closed."""
        self._reaping = asyncio.create_task(self._reap(troubles))

    async def _reap(self, troubles: Troubles) -> None:
        while True:
            await asyncio.sleep(min(5.0, self._limits.idle / 4))
            await attempt(troubles, "ending idle sessions of code_interpreter", self.expire)

    async def expire(self) -> int:
        """End now what is over its time and not in use; how many that were. Who waits looks again."""
        for thread, slot in list(self._slots.items()):
            if slot.session is None and not slot.users and self._clock.monotonic() - slot.used >= self._limits.age:
                del self._slots[thread]
        unused = [slot for slot in self._slots.values() if not slot.users]
        due = [(slot, loss) for slot in unused if (loss := self._expiry_reason(slot)) is not None]
        for slot, loss in due:
            await self._end(slot, loss)
        self._admit()
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
        return slot.session or await self._open(slot)

    def _slot(self, thread: ThreadId) -> SessionSlot:
        return self._slots.setdefault(thread, SessionSlot())

    async def _open(self, slot: SessionSlot) -> LiveSession:
        await self._wait_for_room()
        try:
            session = await self._backend.open()
        except BaseException:
            self._opening -= 1
            self._admit()
            raise
        self._opening -= 1
        slot.opened(
            session, self._clock.monotonic(), OutputBudget(self._limits.call_output, self._limits.session_output)
        )
        return session

    async def _wait_for_room(self) -> None:
        """Until one more session may be opened, which is counted as being opened then. Raises SandboxUnavailable."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        self._admit()
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled() and turn.exception() is None:  # it was let in in that very moment
                self._opening -= 1
            self._admit()
            raise

    def _admit(self) -> None:
        """Let in who waited longest, as long as there is room; for the others put away what nobody keeps."""
        self._waiting = [turn for turn in self._waiting if not turn.cancelled()]
        while self._waiting:
            if self._closed:
                self._waiting.pop(0).set_exception(SandboxUnavailable("The server is shutting down."))
            elif self._has_room():
                self._opening += 1
                self._waiting.pop(0).set_result(None)
            elif len(self._ending) >= len(self._waiting) or not self._evict_one():
                return

    def _has_room(self) -> bool:
        open_count = self._opening + len(self._ending) + sum(slot.session is not None for slot in self._slots.values())
        return open_count == 0 or (open_count < self._limits.max_sessions and self._memory() < self._limits.memory)

    def _memory(self) -> int:
        return sum(slot.memory for slot in self._slots.values())

    def _evict_one(self) -> bool:
        """Put away the session that nobody uses or keeps for the longest time; False if there is none."""
        now = self._clock.monotonic()
        idle = [slot for slot in self._slots.values() if slot.is_idle(now)]
        if not idle:
            return False
        session = min(idle, key=lambda slot: slot.used).detach(SessionLossReason.EVICTED)
        assert session is not None
        self._end_soon(session)
        return True

    def _shed_memory(self) -> None:
        """Beyond the bound of all: what nobody keeps is put away; if that is not enough, the largest execution ends."""
        while self._memory() > self._limits.memory:
            if self._evict_one():
                continue
            running = [slot for slot in self._slots.values() if slot.running is not None and slot.verdict is None]
            largest = max(running, key=lambda slot: slot.memory, default=None)
            if largest is None or largest.session is None:
                return
            message = _OVER_MEMORY.format(self._limits.memory >> 20)
            largest.verdict, largest.memory = Ended(EndReason.OUT_OF_MEMORY, message, state_kept=False), 0
            self._end_soon(largest.session)

    def _end_soon(self, session: LiveSession) -> None:
        """It takes a place until the last of its processes is gone."""
        task = asyncio.create_task(_close(session))
        self._ending.add(task)
        task.add_done_callback(self._has_ended)

    def _has_ended(self, task: asyncio.Task[None]) -> None:
        self._ending.discard(task)
        self._admit()

    async def _end(self, slot: SessionSlot, loss: SessionLossReason | None) -> None:
        session = slot.detach(loss)
        if session is not None:
            await _close(session)

    async def give_back(self, slot: SessionSlot) -> None:
        """A use of a slot is over: note the time, bury a dead session, let who waits for room look again."""
        slot.used = self._clock.monotonic()
        if slot.session is not None and not slot.session.alive:
            await self._end(slot, SessionLossReason.KILLED)
        slot.users -= 1
        slot.lock.release()
        self._admit()


async def _close(session: LiveSession) -> None:
    """What goes wrong at a session's end is told, and stops no other's: its thread is done with it."""
    try:
        await session.close()
    except Exception:
        LOG.exception("A session of code_interpreter did not end as it should")


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
        await self._sessions.give_back(self._slot)
