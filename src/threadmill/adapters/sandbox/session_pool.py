"""Sessions by thread: who has one, who waits for it, and when it ends. The same over every back end."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, suppress
from dataclasses import dataclass, field

from threadmill.adapters.sandbox.backend import Backend, LiveSession
from threadmill.domain.ids import ThreadId
from threadmill.engine.ports.clock import Clock
from threadmill.engine.ports.sandbox import Ended, Loss, Output, SandboxRefused, Started

_JUST_NOW = 10.0


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """Seconds a session may be idle and live in all; how many live at once, the longest idle making room."""

    idle: float = 20 * 60
    age: float = 60 * 60
    most: int = 64


@dataclass(slots=True)
class Place:
    """A thread's place: its session, if it has one, and why it lost the last.

    `users` hold or await the lock; `running` is the execution that holds it. `held` are the paths put into the session,
    which `is_new` until a `start` has told of it. `forgot`: its variables were lost and nobody has heard of it yet.
    """

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    session: LiveSession | None = None
    born: float = 0.0
    used: float = 0.0
    users: int = 0
    running: asyncio.Task[None] | None = None
    lost: Loss | None = None
    held: set[str] = field(default_factory=set[str])
    is_new: bool = False
    forgot: bool = False


class ThreadSessions:
    """See the Sandbox port."""

    def __init__(self, backend: Backend, lifetimes: Lifetimes, clock: Clock) -> None:
        self._backend, self._lifetimes, self._clock = backend, lifetimes, clock
        self._places: dict[ThreadId, Place] = {}
        self._room = asyncio.Condition()
        self._opening = 0
        self._executions: set[asyncio.Task[None]] = set()
        self._tending: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def refusal(self) -> str | None:
        """See the port."""
        return self._backend.refusal

    async def start(self, thread: ThreadId) -> Started:
        """See the port."""
        async with _Use(self._place(thread), self) as place:
            await self._session(place)
            lost = place.lost or (Loss.KILLED if place.forgot else None)
            started = Started(place.is_new, lost, frozenset(place.held))
            place.is_new, place.lost, place.forgot = False, None, False
            return started

    async def execute(self, thread: ThreadId, code: str) -> AsyncGenerator[Output, None]:
        """See the port. A task reads the session to its end, whatever becomes of who listens."""
        outputs: asyncio.Queue[Output | Exception | None] = asyncio.Queue()
        place = self._place(thread)
        task = asyncio.create_task(self._run(place, code, outputs))
        self._executions.add(task)
        task.add_done_callback(self._executions.discard)
        try:
            while (output := await outputs.get()) is not None:
                if isinstance(output, Exception):
                    raise output
                if isinstance(output, Ended):
                    place.forgot = False  # who listens hears it now
                yield output
        finally:
            if place.running is task:
                await self.interrupt(thread)
            else:
                task.cancel()

    async def _run(self, place: Place, code: str, outputs: "asyncio.Queue[Output | Exception | None]") -> None:
        try:
            async with _Use(place, self):
                session = await self._session(place)
                place.running = asyncio.current_task()
                try:
                    async for output in session.execute(code):
                        place.forgot = place.forgot or (isinstance(output, Ended) and not output.state_kept)
                        outputs.put_nowait(output)
                finally:
                    place.running = None
        except Exception as error:  # noqa: BLE001 - whoever listens raises it
            outputs.put_nowait(error)
        finally:
            outputs.put_nowait(None)

    async def put(self, thread: ThreadId, path: str, content: AsyncIterator[bytes]) -> None:
        """See the port."""
        async with _Use(self._place(thread), self) as place:
            await (await self._session(place)).put(path, content)
            place.held.add(path)

    async def get(self, thread: ThreadId, path: str) -> AsyncGenerator[bytes, None]:
        """See the port."""
        async with _Use(self._place(thread), self) as place:
            session = await self._session(place)
            async with aclosing(session.get(path)) as pieces:
                async for piece in pieces:
                    yield piece

    async def interrupt(self, thread: ThreadId) -> None:
        """See the port."""
        place = self._places.get(thread)
        if place is not None and place.session is not None and place.running is not None:
            await place.session.interrupt()

    async def close(self, thread: ThreadId | None = None) -> None:
        """See the port."""
        if thread is not None:
            place = self._places.pop(thread, None)
            if place is not None:
                await self._end(place, None)
            return
        self._closed = True
        if self._tending is not None:
            self._tending.cancel()
        for each in list(self._places):
            await self.close(each)
        await self._backend.close()
        await asyncio.gather(*self._executions, return_exceptions=True)

    def tend(self) -> None:
        """From now on end what was idle too long or is too old, until closed."""
        self._tending = asyncio.create_task(self._tend())

    async def _tend(self) -> None:
        while True:
            await asyncio.sleep(min(30.0, self._lifetimes.idle / 4))
            await self.expire()

    async def expire(self) -> int:
        """End now what is over its time and not in use; how many that were."""
        for thread, place in list(self._places.items()):
            if (
                place.session is None
                and not place.users
                and self._clock.monotonic() - place.used >= self._lifetimes.age
            ):
                del self._places[thread]
        unused = [place for place in self._places.values() if not place.users]
        due = [(place, loss) for place in unused if (loss := self._over(place)) is not None]
        for place, loss in due:
            await self._end(place, loss)
        return len(due)

    def _over(self, place: Place) -> Loss | None:
        """Why the place's session may not be used any more; None if it may, or if there is none."""
        if place.session is None:
            return None
        now = self._clock.monotonic()
        if not place.session.alive:
            return Loss.KILLED
        if now - place.used >= self._lifetimes.idle:
            return Loss.IDLE
        return Loss.AGE if now - place.born >= self._lifetimes.age else None

    async def _session(self, place: Place) -> LiveSession:
        """The place's session, made if need be; the caller has the place's lock."""
        if self._closed:
            raise SandboxRefused("The server is shutting down.")
        loss = self._over(place)
        if loss is not None:
            await self._end(place, loss)
        if place.session is None:
            place.session = await self._opened(place)
        return place.session

    def _place(self, thread: ThreadId) -> Place:
        return self._places.setdefault(thread, Place())

    async def _opened(self, place: Place) -> LiveSession:
        await self._make_room()
        try:
            session = await self._backend.open()
        finally:
            async with self._room:
                self._opening -= 1
                self._room.notify_all()
        place.born = place.used = self._clock.monotonic()
        place.is_new = True
        return session

    async def _make_room(self) -> None:
        """Wait until one more session may be opened, ending the longest idle if all places are taken."""
        async with self._room:
            while self._living() >= self._lifetimes.most:
                if (idle := self._longest_idle()) is not None:
                    await self._end(idle, Loss.EVICTED)
                    continue
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._room.wait(), 1.0)
            self._opening += 1

    def _longest_idle(self) -> Place | None:
        """Whom to evict: nobody who was used just now, for between a start and its execution files are put."""
        recent = self._clock.monotonic() - _JUST_NOW
        idle = [place for place in self._places.values() if place.session and not place.users and place.used <= recent]
        return min(idle, key=lambda place: place.used, default=None)

    def _living(self) -> int:
        return self._opening + sum(place.session is not None for place in self._places.values())

    async def _end(self, place: Place, loss: Loss | None) -> None:
        # A session nobody was told of leaves the reason of the one before it standing.
        session, place.session = place.session, None
        place.lost = (place.lost if place.is_new else None) or loss
        place.held.clear()
        if session is not None:
            await session.close()

    async def leave(self, place: Place) -> None:
        """A use of a place is over: note the time, bury a dead session, let who waits for room look again."""
        place.used = self._clock.monotonic()
        if place.session is not None and not place.session.alive:
            await self._end(place, Loss.KILLED)
        place.users -= 1
        place.lock.release()
        async with self._room:
            self._room.notify_all()


class _Use:
    """One use of a place, alone; an old session is replaced before it begins, never during."""

    def __init__(self, place: Place, sessions: ThreadSessions) -> None:
        self._place, self._sessions = place, sessions

    async def __aenter__(self) -> Place:
        self._place.users += 1
        try:
            await self._place.lock.acquire()
        except BaseException:
            self._place.users -= 1
            raise
        return self._place

    async def __aexit__(self, *_: object) -> None:
        await self._sessions.leave(self._place)
