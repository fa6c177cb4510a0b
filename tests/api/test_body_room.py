"""Large bodies wait for room outside: no crowd of them, and no one project, takes the memory of all."""

import asyncio
import types
from collections.abc import AsyncGenerator, Generator
from contextlib import AsyncExitStack

import pytest

from tests.support.serving import Live
from tests.support.stage import turn_of_the_loop
from threadmill.api.body_room import LARGE_BODY, BodyRoom
from threadmill.domain.ids import ProjectId

A, B = ProjectId("a"), ProjectId("b")
UNIT = LARGE_BODY + 1


class Crowd:
    """Bodies that take their room until they are told to leave."""

    def __init__(self, units: int) -> None:
        self.room = BodyRoom(units * UNIT)
        self.inside: list[str] = []
        self._ends: dict[str, asyncio.Event] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def come(self, name: str, project: ProjectId, size: int = UNIT) -> None:
        self._ends[name] = asyncio.Event()
        self._tasks[name] = asyncio.create_task(self._stay(name, project, size))
        await turn_of_the_loop()

    async def _stay(self, name: str, project: ProjectId, size: int) -> None:
        async with self.room.hold(project, size):
            self.inside.append(name)
            await self._ends[name].wait()
            self.inside.remove(name)

    def let_go(self, name: str) -> None:
        """It is told to leave, and has not got round to it."""
        self._ends[name].set()

    async def leave(self, name: str) -> None:
        self.let_go(name)
        await self._tasks[name]
        await turn_of_the_loop()

    async def give_up(self, name: str) -> None:
        self._tasks[name].cancel()
        await asyncio.wait([self._tasks[name]])
        await turn_of_the_loop()

    async def aclose(self) -> None:
        for name in list(self._tasks):
            await self.give_up(name)


@pytest.fixture
async def crowd() -> AsyncGenerator[Crowd, None]:
    made = Crowd(4)
    yield made
    await made.aclose()
    assert made.room.used == 0


async def test_a_project_has_half_of_the_room_and_others_pass_those_of_it_that_wait(crowd: Crowd) -> None:
    for name in ("a1", "a2", "a3"):
        await crowd.come(name, A)
    await crowd.come("b1", B)
    assert crowd.inside == ["a1", "a2", "b1"]
    await crowd.leave("a1")
    assert crowd.inside == ["a2", "b1", "a3"]


async def test_who_may_come_next_is_overtaken_by_no_smaller_one(crowd: Crowd) -> None:
    await crowd.come("a1", A, 2 * UNIT)
    await crowd.come("b1", B)
    await crowd.come("c1", ProjectId("c"), 2 * UNIT)
    await crowd.come("d1", ProjectId("d"))
    assert crowd.inside == ["a1", "b1"]
    await crowd.leave("b1")
    assert crowd.inside == ["a1", "c1"]
    await crowd.leave("a1")
    assert crowd.inside == ["c1", "d1"]


async def test_who_gives_up_waiting_makes_way_and_leaves_nothing_taken(crowd: Crowd) -> None:
    await crowd.come("a1", A, 2 * UNIT)
    await crowd.come("b1", B)
    await crowd.come("c1", ProjectId("c"), 2 * UNIT)
    await crowd.come("d1", ProjectId("d"))
    await crowd.give_up("c1")
    assert crowd.inside == ["a1", "b1", "d1"]


@types.coroutine
def one_step() -> Generator[None, None, None]:
    """Let each task that is ready now take its step, and none that becomes ready by that."""
    yield


async def test_who_gives_up_as_its_turn_comes_leaves_nothing_taken(crowd: Crowd) -> None:
    await crowd.come("a1", A, 2 * UNIT)
    await crowd.come("a2", A)
    crowd.let_go("a1")
    for _ in range(100):
        if crowd.inside:
            await one_step()
    assert crowd.inside == [], "a2 was in before it gave up"
    await crowd.give_up("a2")
    await crowd.give_up("a1")
    assert crowd.room.used == 0


async def test_who_gives_up_in_the_moment_room_comes_free_takes_none(crowd: Crowd) -> None:
    await crowd.come("a1", A, 2 * UNIT)
    await crowd.come("a2", A, 2 * UNIT)
    await crowd.come("a3", A)
    crowd.let_go("a1")
    await crowd.give_up("a2")
    await crowd.leave("a1")
    assert crowd.inside == ["a3"]


async def test_small_bodies_wait_for_nobody(crowd: Crowd) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(3):
            await stack.enter_async_context(crowd.room.hold(A, LARGE_BODY))
        assert crowd.room.used == 0


@pytest.mark.filterwarnings("ignore:Sending a large body")
async def test_a_crowd_of_large_bodies_is_answered_though_few_have_room_at_once(live: Live) -> None:
    body = {"messages": [{"role": "user", "content": "x" * 200_000} for _ in range(40)]}
    answers = await asyncio.gather(*(live.api.call("POST", "/threads", body) for _ in range(10)))
    assert {answer.status for answer in answers} == {200}
