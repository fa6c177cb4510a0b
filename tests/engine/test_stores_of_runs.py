"""The stores a run searches: waited for while they are filled, prolonged by use, gone or expired."""

from typing import Any

import pytest

from tests.support.runs import again, heard, stored
from tests.support.searches import (
    FOODS,
    MARKER,
    SEARCH,
    answered,
    begun,
    calls_of,
    filled,
    read,
    searchable,
    searched,
    store_of,
)
from tests.support.stage import PROJECT, Stage
from threadmill.domain.run import RunStatus
from threadmill.domain.vector_store import ExpiresAfter
from threadmill.engine.objects import runs, vector_stores
from threadmill.engine.running.search_call import NO_STORE


async def test_both_stores_are_searched_and_what_is_in_both_is_found_twice(stage: Stage) -> None:
    mine, yours = await searchable(stage, FOODS), await searchable(stage, FOODS, name="again.txt")
    run = await begun(stage, assistants=mine, threads_=yours)
    await searched(stage, "Filip")
    await answered(stage, "Cake.")
    (call,) = await calls_of(stage, run)
    assert sorted(result.file_name for result in call.results) == ["again.txt", "foods.txt"]


async def test_a_run_without_stores_tells_the_model_so(stage: Stage) -> None:
    await begun(stage)
    await searched(stage, "x")
    assert heard(stage) == NO_STORE


async def test_a_store_that_is_gone_is_empty_and_the_model_is_told(stage: Stage) -> None:
    gone, there = await searchable(stage, FOODS), await searchable(stage, FOODS)
    run = await begun(stage, assistants=gone, threads_=there)
    await vector_stores.delete(stage.engine, PROJECT, gone)
    await searched(stage, "Filip")
    assert MARKER in heard(stage)
    assert f"vector store {gone} does not exist any more" in heard(stage)
    await answered(stage, "ok")
    assert (await stored(stage, run)).status is RunStatus.COMPLETED


async def test_a_store_that_was_gone_before_the_run_does_not_stop_it(stage: Stage) -> None:
    gone = await searchable(stage, FOODS)
    first = await begun(stage, threads_=gone)
    await answered(stage, "ok")
    await vector_stores.delete(stage.engine, PROJECT, gone)
    await again(stage, first.thread_id, assistant_id=first.assistant_id, tools=(SEARCH,), instructions="i")
    await searched(stage, "x")
    assert "does not exist any more" in heard(stage)


async def test_a_run_waits_for_its_threads_store_and_looks_less_and_less_often(stage: Stage) -> None:
    store_id = await filled(stage, FOODS)
    await begun(stage, threads_=store_id)
    assert stage.model.turns == []
    pauses: list[float] = []
    while len(pauses) < 7:
        pauses.append(round(stage.clock.wake_next(), 3))
        await stage.settle()
    assert pauses == [0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0]
    await read(stage, store_id)
    stage.clock.wake_next()
    await stage.settle()
    await searched(stage, "Filip")
    assert MARKER in heard(stage)


async def test_a_run_waits_no_longer_than_it_may_and_tells_the_model_what_is_missing(stage: Stage) -> None:
    store_id = await filled(stage, FOODS)
    await begun(stage, threads_=store_id)
    for _ in range(70):
        if not stage.model.turns:
            stage.clock.wake_next()
            await stage.settle()
    assert stage.clock.ticks == pytest.approx(60)
    await searched(stage, "Filip")
    assert heard(stage) == "Note: 1 of the files are still being read and are not searched yet."


async def test_a_run_does_not_wait_for_the_assistants_store_nor_without_the_tool(stage: Stage) -> None:
    store_id = await filled(stage, FOODS)
    await begun(stage, assistants=store_id)
    await begun(stage, threads_=store_id, tools=())
    assert len(stage.model.turns) == 2


async def test_a_search_waits_for_the_files_of_a_store_made_a_moment_ago(stage: Stage) -> None:
    store_id = await filled(stage, FOODS)
    await begun(stage, assistants=store_id)
    await searched(stage, "Filip")
    assert len(stage.model.turns) == 1
    await read(stage, store_id)
    stage.clock.wake_next()
    await stage.settle()
    assert MARKER in heard(stage)


async def test_a_search_does_not_wait_for_a_store_that_is_always_being_filled(stage: Stage) -> None:
    store_id = await filled(stage, FOODS)
    stage.clock.at += 8
    await begun(stage, assistants=store_id)
    await searched(stage, "Filip")
    for _ in range(10):
        if stage.clock.sleepers:
            stage.clock.wake_next()
            await stage.settle()
    assert stage.clock.ticks == pytest.approx(2)
    assert "still being read" in heard(stage)
    await searched(stage, "Filip")
    assert len(stage.model.turns) == 3


async def test_a_waiting_run_can_be_cancelled(stage: Stage) -> None:
    run = await begun(stage, threads_=await filled(stage, FOODS))
    await runs.cancel(stage.engine, PROJECT, run.thread_id, run.id)
    await stage.settle()
    assert (await stored(stage, run)).status is RunStatus.CANCELLED
    assert stage.clock.sleepers == []


@pytest.mark.parametrize("whose", ["assistants", "threads_"])
async def test_a_run_over_an_expired_store_fails_and_says_so(stage: Stage, whose: str) -> None:
    store_id = await searchable(stage, FOODS, expires_after=ExpiresAfter(1))
    stage.clock.at += 86_400
    chosen: dict[str, Any] = {whose: store_id}
    run = await begun(stage, **chosen)
    found = await stored(stage, run)
    assert found.status is RunStatus.FAILED
    assert found.last_error is not None
    assert found.last_error.message.startswith(f"Vector store {store_id} has expired")
    assert stage.model.turns == []


async def test_a_run_prolongs_the_life_of_its_stores(stage: Stage) -> None:
    store_id = await searchable(stage, FOODS, expires_after=ExpiresAfter(1))
    stage.clock.at += 86_000
    await begun(stage, assistants=store_id)
    assert (await store_of(stage, store_id)).last_active_at == stage.clock.at
