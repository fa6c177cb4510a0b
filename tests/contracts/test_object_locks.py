"""What ObjectLocks keeps: a fair queue for each object, which nobody who leaves it can spoil."""

import asyncio
from collections.abc import Coroutine

import pytest

from tests.support.stage import turn_of_the_loop
from threadmill.adapters.system.object_locks import ProcessObjectLocks
from threadmill.domain.error import DatabaseUnavailable, Unavailable


async def begun(coroutine: Coroutine[None, None, None]) -> asyncio.Task[None]:
    """A task that has come as far as it can by itself."""
    task = asyncio.create_task(coroutine)
    for _ in range(3):
        await turn_of_the_loop()
    return task


async def test_those_who_want_one_object_get_it_in_the_order_they_came() -> None:
    locks, order = ProcessObjectLocks(), list[int]()

    async def client(number: int) -> None:
        async with locks.hold(["a"]):
            await turn_of_the_loop()
            order.append(number)

    async with asyncio.timeout(10):
        await asyncio.gather(*(client(number) for number in range(64)))
    assert order == list(range(64))
    assert len(locks) == 0


async def test_who_wants_another_object_does_not_wait() -> None:
    locks = ProcessObjectLocks()
    async with asyncio.timeout(10), locks.hold(["a", "c"]), locks.hold(["b"]):
        assert len(locks) == 3


async def test_several_objects_are_taken_in_one_order_so_nobody_waits_for_ever() -> None:
    locks, done = ProcessObjectLocks(), 0

    async def client(number: int) -> None:
        nonlocal done
        ids = ["a", "b", "c", "a"]
        async with locks.hold(ids if number % 2 else ids[::-1]):
            await turn_of_the_loop()
            done += 1

    async with asyncio.timeout(10):
        await asyncio.gather(*(client(number) for number in range(64)))
    assert (done, len(locks)) == (64, 0)


async def test_who_is_cancelled_leaves_the_queue_and_what_was_taken() -> None:
    locks, order = ProcessObjectLocks(), list[str]()

    async def client(name: str, *ids: str) -> None:
        async with locks.hold(ids):
            order.append(name)

    async with asyncio.timeout(10):
        async with locks.hold(["b"]):
            gone = await begun(client("gone", "a", "b"))
            later = await begun(client("later", "b"))
            other = await begun(client("other", "a"))
            gone.cancel()
            await asyncio.gather(gone, return_exceptions=True)
            await other
            assert order == ["other"]
        await later
    assert (order, len(locks)) == (["other", "later"], 0)


async def test_who_fails_lets_the_next_one_in() -> None:
    locks = ProcessObjectLocks()
    with pytest.raises(TimeoutError, match="of the body"):
        async with locks.hold(["a"]):
            raise TimeoutError("of the body")
    async with asyncio.timeout(10), locks.hold(["a"]):
        pass
    assert len(locks) == 0


async def test_waiting_has_an_end_that_is_told_in_words() -> None:
    locks = ProcessObjectLocks(patience=0.01)
    async with asyncio.timeout(10), locks.hold(["a"]):
        with pytest.raises(Unavailable, match="Too many requests change this object at the same time"):
            async with locks.hold(["a"]):
                raise AssertionError("two hold one object")
    async with asyncio.timeout(10), locks.hold(["a"]):
        assert len(locks) == 1


async def test_who_waited_for_one_that_found_the_database_locked_is_told_so_and_does_not_find_out_again() -> None:
    locks, tried = ProcessObjectLocks(), list[int]()
    inside, go = asyncio.Event(), asyncio.Event()

    async def client(number: int) -> None:
        async with locks.hold(["a"]):
            tried.append(number)
            inside.set()
            await go.wait()
            raise DatabaseUnavailable("database is locked")

    first = asyncio.ensure_future(client(0))
    await inside.wait()
    waiting = [await begun(client(number)) for number in range(1, 4)]
    go.set()
    outcomes = await asyncio.gather(first, *waiting, return_exceptions=True)
    assert [str(outcome) for outcome in outcomes] == ["database is locked"] * 4
    assert tried == [0]
    with pytest.raises(DatabaseUnavailable):
        await client(4)
    assert (tried, len(locks)) == ([0, 4], 0), "who comes later tries"
