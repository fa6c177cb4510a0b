"""Few places: who waits, in which order, and who leaves."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from tests.models.support import ask, pieces_of, text_of
from tests.support.upstream import Pause, ScriptedUpstream, Text
from threadmill.adapters.models.upstream.openai_compatible import OpenAICompatible
from threadmill.adapters.models.upstream.settings import Timeouts, UpstreamSettings
from threadmill.adapters.models.upstream.slots import Slots
from threadmill.domain.ids import ProjectId


class Told:
    """What is reported, and a way to wait for it."""

    def __init__(self) -> None:
        self.last: tuple[int, int] = (0, 0)
        self._changed: asyncio.Event = asyncio.Event()

    def report(self, answering: int, waiting: int) -> None:
        self.last = answering, waiting
        self._changed.set()

    async def until(self, answering: int, waiting: int) -> None:
        async with asyncio.timeout(5):
            while self.last != (answering, waiting):
                self._changed.clear()
                await self._changed.wait()


class Queue:
    """Slots, and who came in so far."""

    def __init__(self, count: int) -> None:
        self.told: Told = Told()
        self.slots: Slots = Slots(count, self.told.report)
        self.came_in: list[str] = []
        self._ends: dict[str, asyncio.Event] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def enter(self, *names: str, places: int) -> None:
        """One after the other; the first letter is the project."""
        for name in names:
            self._ends[name] = asyncio.Event()
            self._tasks[name] = asyncio.create_task(self._hold(name))
            count = len(self._tasks)
            await self.told.until(min(count, places), max(0, count - places))

    async def leave(self, *names: str) -> None:
        """One after the other, each to its end."""
        for name in names:
            self._ends[name].set()
            await self._tasks.pop(name)

    def let_go(self, name: str) -> None:
        self._ends[name].set()

    async def cancel(self, name: str) -> None:
        self._tasks[name].cancel()
        await asyncio.wait([self._tasks.pop(name)])

    async def _hold(self, name: str) -> None:
        async with self.slots.hold(ProjectId(name[0])):
            self.came_in.append(name)
            await self._ends[name].wait()


async def test_the_oldest_comes_first() -> None:
    queue = Queue(2)
    names = [f"a{number}" for number in range(6)]
    await queue.enter(*names, places=2)
    assert queue.came_in == names[:2]
    await queue.leave("a1", "a0", *names[2:])
    assert queue.came_in == names
    assert queue.told.last == (0, 0)


async def test_a_project_that_holds_none_comes_before_one_that_holds_some() -> None:
    queue = Queue(2)
    await queue.enter("a1", "a2", "a3", "a4", "b1", "b2", places=2)
    await queue.leave("a1", "a2", "b1", "a3", "b2", "a4")
    assert queue.came_in == ["a1", "a2", "b1", "a3", "b2", "a4"]


async def test_one_who_is_cancelled_while_waiting_leaves_the_queue() -> None:
    queue = Queue(1)
    await queue.enter("a1", "a2", "a3", places=1)
    await queue.cancel("a2")
    assert queue.told.last == (1, 1)
    await queue.leave("a1", "a3")
    assert queue.came_in == ["a1", "a3"]


async def test_who_is_cancelled_in_the_moment_a_place_comes_free_takes_none() -> None:
    queue = Queue(1)
    await queue.enter("a1", "a2", "a3", places=1)
    queue.let_go("a1")
    await queue.cancel("a2")
    await queue.leave("a1", "a3")
    assert queue.came_in == ["a1", "a3"]
    assert queue.told.last == (0, 0)


async def test_a_place_given_in_the_moment_of_a_cancellation_is_not_lost() -> None:
    queue = Queue(1)
    await queue.enter("a1", "a2", "a3", places=1)
    queue.let_go("a1")
    await queue.told.until(1, 1)  # the place is a2's, who does not know it yet
    await queue.cancel("a2")
    await queue.leave("a3")
    assert queue.told.last == (0, 0)


@pytest.mark.parametrize("failing", [False, True])
async def test_no_time_out_runs_for_those_who_wait_and_every_end_makes_room(failing: bool) -> None:
    told = Told()
    async with AsyncExitStack() as stack:
        upstream = await stack.enter_async_context(ScriptedUpstream())
        timeouts = Timeouts(first_token=5, between_tokens=5, attempts=1)
        model = OpenAICompatible(
            UpstreamSettings(upstream.url, timeouts=timeouts, max_concurrent=1),
            report_slots=told.report,
        )
        stack.push_async_callback(model.aclose)
        pause = Pause()
        upstream.answer(pause, Text("first"))
        if failing:
            upstream.fail(400, {"message": "no"})
        upstream.answer(Text("second"))
        first = asyncio.create_task(pieces_of(model, ask()))
        await pause.reached.wait()
        others = [asyncio.create_task(pieces_of(model, ask())) for _ in range(1 + failing)]
        await told.until(1, 1 + failing)
        assert len(upstream.requests) == 1
        pause.go.set()
        assert text_of(await first) == "first"
        answers = await asyncio.gather(*others, return_exceptions=True)
        assert text_of([piece for one in answers if isinstance(one, list) for piece in one]) == "second"
        assert told.last == (0, 0)
