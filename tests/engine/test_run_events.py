"""A run's whole log: whoever reads it, whenever and from wherever, sees what follows without a gap or a repetition."""

import asyncio

import pytest

from tests.support.runs import CALLS, STOP, begun, stored, told
from tests.support.stage import PROJECT, Stage
from threadmill.api.numbered_frames import NumberedFrames
from threadmill.domain.error import InvalidRequest
from threadmill.domain.ids import CallId
from threadmill.domain.run import Run
from threadmill.domain.tool import ToolOutput
from threadmill.engine.objects import run_events, runs
from threadmill.engine.ports.model import ToolCallPiece
from threadmill.wire.request.query import EventPlace, event_place

START = EventPlace()


async def frames(stage: Stage, run: Run, place: EventPlace = START) -> list[bytes]:
    """All that a reader gets from `place` on, frame by frame."""
    framing = NumberedFrames(place, include_content=False)
    follow = await run_events.follow(stage.engine, await stored(stage, run), place.seq)
    return [
        frame for batch in [framing(entries) async for entries in follow] for frame in batch.split(b"\n\n") if frame
    ]


def id_of(frame: bytes) -> str:
    return frame.partition(b"\n")[0].decode().removeprefix("id: ")


def name_of(frame: bytes) -> str:
    return frame.split(b"\n")[1].decode().removeprefix("event: ")


async def answer(stage: Stage, run: Run) -> None:
    """The client answers the call, the model says its last words."""
    outputs = (ToolOutput(CallId("call_1"), "out"),)
    await runs.submit_tool_outputs(stage.engine, PROJECT, run.thread_id, run.id, outputs)
    await stage.settle()
    stage.model.turns[-1].say("It is", " rainy")
    stage.model.turns[-1].end(".", STOP)
    await stage.settle()


async def waiting(stage: Stage) -> Run:
    """A run that waits for its client."""
    run = await begun(stage, "f")
    stage.model.turns[0].say("Let", " me", " see")
    stage.model.turns[0].end(ToolCallPiece(0, "call_1", "f", "{}"), CALLS)
    await stage.settle()
    return run


async def test_a_reader_stays_while_the_run_waits_for_its_client_and_leaves_at_its_end(stage: Stage) -> None:
    run = await waiting(stage)
    reading = asyncio.create_task(frames(stage, run))
    await stage.settle()
    assert not reading.done()
    await answer(stage, run)
    seen = await reading
    names = [name_of(frame) for frame in seen]
    assert [name for name in names if "delta" not in name] == await told(stage, run)
    assert names[-1] == "thread.run.completed"
    assert b"".join(seen).count(b"thread.message.delta") > 4


async def test_a_reader_cut_at_any_frame_comes_back_to_exactly_that_place(stage: Stage) -> None:
    run = await waiting(stage)
    await answer(stage, run)
    whole = await frames(stage, run)
    assert len({id_of(frame) for frame in whole}) == len(whole)
    for number, frame in enumerate(whole, 1):
        assert await frames(stage, run, event_place(id_of(frame))) == whole[number:], id_of(frame)


async def test_what_is_in_no_memory_any_more_comes_folded_into_the_events_that_closed_it(stage: Stage) -> None:
    run = await waiting(stage)
    await answer(stage, run)
    whole = await frames(stage, run)
    events = [frame for frame in whole if "." not in id_of(frame)]
    stage.hire()
    assert await frames(stage, run) == events
    place = id_of(next(frame for frame in whole if "." in id_of(frame)))
    known = event_place(place).seq
    assert await frames(stage, run, event_place(place)) == events[known:]


async def test_a_reader_of_a_run_that_waits_over_a_restart_sees_it_go_on(stage: Stage) -> None:
    run = await waiting(stage)
    stage.hire()
    reading = asyncio.create_task(frames(stage, run))
    await stage.settle()
    await answer(stage, run)
    events = [name_of(frame) for frame in await reading if "." not in id_of(frame)]
    assert events == await told(stage, run)


async def test_a_reader_who_leaves_a_waiting_run_does_not_disturb_those_who_stay(stage: Stage) -> None:
    run = await waiting(stage)
    readers = [asyncio.create_task(frames(stage, run)) for _ in range(3)]
    await stage.settle()
    readers[0].cancel()
    await asyncio.wait(readers[:1])
    await answer(stage, run)
    assert await readers[1] == await readers[2] == await frames(stage, run)


async def test_who_has_read_the_last_event_gets_nothing_more_and_an_unknown_one_is_refused(stage: Stage) -> None:
    run = await waiting(stage)
    await answer(stage, run)
    last = (await stage.store.events(run.id))[-1].seq
    assert await frames(stage, run, EventPlace(last)) == []
    with pytest.raises(InvalidRequest, match=f"No event found with id '{last + 1}' in this run."):
        await run_events.follow(stage.engine, run, last + 1)
    for wrong in ("x", "-1", "1.2.3", "9" * 16):
        with pytest.raises(InvalidRequest, match="Invalid type for 'after'"):
            event_place(wrong)
