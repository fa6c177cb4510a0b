"""Loops outside of the engine: whatever one meets is told, `/readyz` says so while it lasts, and it goes on."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from tests.contracts.test_session_pool import Sessions, ended, thread
from tests.support.chunks import STORE, HeldChunks, file_of
from tests.support.stage import FakeClock, turn_of_the_loop
from tests.support.waiting import until
from threadmill.adapters.blobs import factory as blobs
from threadmill.adapters.models.upstream.known_models import RETRY_SECONDS, KnownModels
from threadmill.adapters.sandbox.session_pool import SessionPool
from threadmill.adapters.sandbox.session_slot import PoolLimits
from threadmill.adapters.search.local_index import LocalSearchIndex
from threadmill.adapters.search.store_index import StoreIndex
from threadmill.adapters.system.troubles import LoggedTroubles
from threadmill.api.connections import Connections
from threadmill.api.server import Server, config
from threadmill.domain.error import Unavailable
from threadmill.engine.ports.model import ModelError, ModelInfo
from threadmill.engine.ports.search_index import IndexQuery

BUG = ValueError("a bug")


async def ended_task(task: "asyncio.Task[Any]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


class BrokenClock(FakeClock):
    """Raises while it is broken."""

    broken = False

    def precise(self) -> float:
        return float(self.now())

    def monotonic(self) -> float:
        if self.broken:
            raise BUG
        return super().monotonic()


async def test_the_loop_that_ends_idle_sessions_goes_on() -> None:
    clock, backend, troubles = BrokenClock(), Sessions(), LoggedTroubles()
    pool = SessionPool(backend, PoolLimits(idle=0.0), clock)
    await ended(pool, 1)
    clock.broken = True
    pool.start_reaper(troubles)
    await until("the trouble to be known", lambda: bool(troubles.current()), turn_of_the_loop)
    assert troubles.current() == {"ending idle sessions of code_interpreter": "ValueError"}
    clock.broken = False
    await until("the session to end", lambda: backend.living == 0, turn_of_the_loop)
    await until("the trouble to be over", lambda: not troubles.current(), turn_of_the_loop)
    await pool.close()


async def test_a_session_whose_end_fails_keeps_no_other_from_ending_and_nobody_from_beginning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock, backend = FakeClock(), Sessions()
    pool = SessionPool(backend, PoolLimits(max_sessions=2, idle=10.0), clock)
    for number in (1, 2):
        await ended(pool, number)

    async def fails() -> None:
        raise BUG

    backend.opened[0].close = fails
    clock.ticks += 10
    assert await pool.expire() == 2
    assert not backend.opened[1].alive
    await ended(pool, 3)
    await ended(pool, 4)
    assert [text for text in caplog.messages if "did not end as it should" in text] != []
    await pool.close(thread(1))
    await pool.close()


async def test_an_index_that_cannot_be_laid_to_rest_is_told_and_what_waits_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    source = HeldChunks()
    index = LocalSearchIndex(tmp_path, source)
    a, b = file_of("file-a", "apples"), file_of("file-b", "pears")
    source.keep(a, b)
    late: list[asyncio.Task[None]] = []
    loop = asyncio.get_running_loop()

    def fails(_: StoreIndex) -> None:
        if not late:  # somebody comes in that very moment
            loop.call_soon_threadsafe(lambda: late.append(asyncio.create_task(index.upsert(STORE, b))))
        while not late:
            pass
        raise KeyError("a bug")

    await index.upsert(STORE, a)
    monkeypatch.setattr(StoreIndex, "finish_merges", fails)
    monkeypatch.setattr("threadmill.adapters.search.local_index.LINGER_SECONDS", 0.0)
    await until("the other to come", lambda: bool(late), turn_of_the_loop)
    async with asyncio.timeout(30):
        await late[0]
    monkeypatch.undo()
    hits = await index.search(STORE, IndexQuery("pears"))
    assert [hit.file_id for hit in hits.lexical] == ["file-b"]
    assert "An index could not be laid to rest" in caplog.messages
    await index.aclose()


class Bucket:
    """Sweeps that fail, each in its way, until one does not."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.swept = asyncio.Event()

    async def sweep(self, in_use: object) -> int:
        del in_use
        await turn_of_the_loop()
        if self.errors:
            raise self.errors.pop(0)
        self.swept.set()
        return 0


async def nobody(keys: Sequence[str]) -> frozenset[str]:
    del keys
    return frozenset()


async def test_the_sweep_of_a_shared_store_goes_on() -> None:
    bucket, troubles = Bucket(Unavailable("The store does not answer."), BUG), LoggedTroubles()
    seen: set[str] = set()
    sweep = blobs._sweep_daily  # pyright: ignore[reportPrivateUsage] - the loop itself
    sweeping = asyncio.create_task(sweep(cast("Any", bucket), nobody, 0.0, troubles))
    while not bucket.swept.is_set():
        seen |= set(troubles.current().values())
        await turn_of_the_loop()
    await until("the trouble to be over", lambda: not troubles.current(), turn_of_the_loop)
    assert seen == {"The store does not answer.", "ValueError"}
    await ended_task(sweeping)


async def test_a_list_of_models_that_nobody_foresaw_is_asked_for_again_and_not_at_once() -> None:
    clock, answers = FakeClock(), list[Exception]([BUG])
    asked = 0

    async def ask() -> Sequence[ModelInfo]:
        nonlocal asked
        asked += 1
        if answers:
            raise answers.pop()
        return [ModelInfo("m", 0, "x")]

    known = KnownModels(ask, clock.monotonic)
    with pytest.raises(ModelError, match="cannot be read"):
        await known.fresh()
    assert (await known.last(None), asked) == ((), 1)
    clock.ticks += RETRY_SECONDS
    assert [info.id for info in await known.fresh()] == ["m"]
    await known.aclose()


class BrokenConnections(Connections):
    """Cannot be looked through."""

    def sweep(self) -> None:
        raise BUG


async def test_a_connection_that_cannot_be_looked_at_does_not_end_the_server(caplog: pytest.LogCaptureFixture) -> None:
    async def nothing(*_: object) -> None:
        pass

    server = Server(config(nothing, BrokenConnections()), nothing, lambda: None)
    assert not await server.on_tick(0)
    assert "Looking through the connections failed" in caplog.messages
