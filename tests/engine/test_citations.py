"""Markers in an answer: whole however they come, and each with its annotation."""

import json
from typing import Any

import pytest

from tests.support.runs import CALLS, again, deltas, heard, stored, turn
from tests.support.searches import (
    COST,
    FOODS,
    MARKER,
    SEARCH,
    answered,
    begun,
    calls_of,
    searchable,
    searched,
    text_part,
)
from tests.support.stage import PROJECT, Stage
from threadmill.domain.delta import AnnotationDelta, Delta, TextDelta
from threadmill.domain.message import Annotation, TextPart
from threadmill.domain.outcome import ErrorCode
from threadmill.domain.run import RunStatus
from threadmill.domain.tool import (
    CodeInterpreterTool,
    ToolResources,
)
from threadmill.engine.objects import runs
from threadmill.engine.ports.model import Finish, FinishReason, ModelError, ToolCallPiece
from threadmill.engine.prompt.conversation import message_text


@pytest.mark.parametrize(
    "pieces",
    [
        ["Cake", MARKER, "."],
        ["Cake【", "4", ":0", "†foods", ".txt】."],
        [*f"Cake{MARKER}."],
        [f"Cake{MARKER}."],
    ],
)
async def test_a_marker_comes_whole_with_its_annotation_however_the_model_splits_it(
    stage: Stage, pieces: list[str]
) -> None:
    run = await begun(stage, assistants=await searchable(stage, FOODS))
    await searched(stage, "Filip")
    await answered(stage, *pieces)
    part = await text_part(stage, run)
    ((call),) = await calls_of(stage, run)
    cited = Annotation("file_citation", MARKER, 4, 4 + len(MARKER), call.results[0].file_id)
    assert part == TextPart(f"Cake{MARKER}.", (cited,))
    assert part.value[cited.start_index : cited.end_index] == MARKER
    said = await deltas(stage, run)
    assert [one.annotation for one in said if isinstance(one, AnnotationDelta)] == [cited]
    assert "".join(_text(one) for one in said) == part.value


def _text(delta: Delta) -> str:
    match delta:
        case TextDelta():
            return "".join(delta.pieces)
        case AnnotationDelta():
            return delta.annotation.text
        case _:
            return ""


async def test_a_marker_that_names_nothing_is_left_as_text(stage: Stage) -> None:
    run = await begun(stage, assistants=await searchable(stage, FOODS))
    await searched(stage, "Filip")
    await answered(stage, "Cake【4:1†foods.txt】【5:0†foods.txt】.")
    assert await text_part(stage, run) == TextPart("Cake【4:1†foods.txt】【5:0†foods.txt】.")


@pytest.mark.parametrize("finish", [Finish(FinishReason.LENGTH), ModelError(ErrorCode.SERVER_ERROR, "cut")])
async def test_half_a_marker_is_not_lost_when_the_model_is_cut_off(stage: Stage, finish: Any) -> None:
    run = await begun(stage, assistants=await searchable(stage, FOODS))
    await searched(stage, "Filip")
    turn(stage).say("Cake【4:0†fo")
    if isinstance(finish, Finish):
        turn(stage).end(finish, COST)
    else:
        turn(stage).fail(finish)
    await stage.settle()
    assert await text_part(stage, run) == TextPart("Cake【4:0†fo")
    assert "".join(_text(one) for one in await deltas(stage, run)) == "Cake【4:0†fo"


async def test_half_a_marker_is_not_lost_when_the_run_is_cancelled(stage: Stage) -> None:
    run = await begun(stage, assistants=await searchable(stage, FOODS))
    await searched(stage, "Filip")
    turn(stage).say("Cake【4:0†fo")
    await stage.settle()
    await runs.cancel(stage.engine, PROJECT, run.thread_id, run.id)
    await stage.settle()
    assert (await stored(stage, run)).status is RunStatus.CANCELLED
    assert await text_part(stage, run) == TextPart("Cake【4:0†fo")


async def test_every_search_of_a_run_has_the_next_number_and_stays_in_the_prompt_as_it_was(stage: Stage) -> None:
    run = await begun(stage, assistants=await searchable(stage, FOODS))
    await searched(stage, "Filip", "cake")
    first = heard(stage)
    arguments = json.dumps({"queries": ["tacos"]})
    pieces = [ToolCallPiece(at, None, "file_search", arguments) for at in (0, 1)]
    turn(stage).end(*pieces, CALLS, COST)
    await stage.settle()
    *_, call, answer, calls, second, third = turn(stage).request.messages
    assert [one.arguments for one in call.tool_calls] == ['{"queries": ["Filip", "cake"]}']
    assert message_text(answer) == first
    assert len(calls.tool_calls) == 2
    assert "【5:0†foods.txt】" in message_text(second)
    assert "【6:0†foods.txt】" in message_text(third)
    await answered(stage, "Cake【6:0†foods.txt】 and tacos【4:0†foods.txt】.")
    assert len((await text_part(stage, run)).annotations) == 2


async def test_a_later_run_numbers_on_and_can_repeat_a_citation_of_an_earlier_answer(stage: Stage) -> None:
    run = await begun(stage, assistants=await searchable(stage, FOODS))
    await searched(stage, "Filip")
    await answered(stage, f"Cake{MARKER}.")
    (cited,) = (await text_part(stage, run)).annotations
    later = await again(stage, run.thread_id, assistant_id=run.assistant_id, tools=(SEARCH,), instructions="i")
    await searched(stage, "tacos")
    assert "【5:0†foods.txt】" in heard(stage)
    await answered(stage, f"As I said{MARKER}, and tacos【5:0†foods.txt】.")
    assert [one.file_id for one in (await text_part(stage, later)).annotations] == [cited.file_id] * 2


async def test_code_that_is_linked_and_a_passage_that_is_cited_are_told_apart(stage: Stage) -> None:
    tools = (SEARCH, CodeInterpreterTool())
    stores = await searchable(stage, FOODS)
    table = await stage.file("t.csv")
    assistant = await stage.assistant(tool_resources=ToolResources((table,), (stores,)))
    thread = await stage.thread("hi")
    run = await again(stage, thread.id, assistant_id=assistant.id, tools=tools)
    await searched(stage, "Filip")
    await answered(stage, f"Cake{MARKER}, see [it](sandbox:/mnt/data/{table}){MARKER[:5]}", f"{MARKER[5:]}.")
    part = await text_part(stage, run)
    assert [one.type for one in part.annotations] == ["file_citation", "file_path", "file_citation"]
    assert [part.value[one.start_index : one.end_index] for one in part.annotations] == [
        one.text for one in part.annotations
    ]
    said = await deltas(stage, run)
    assert "".join(_text(one) for one in said) == part.value
    assert [one.number for one in said if isinstance(one, AnnotationDelta)] == [0, 1, 2]
    await again(stage, thread.id, assistant_id=assistant.id, tools=tools)
    await searched(stage, "tacos")
    assert "【5:0†foods.txt】" in heard(stage), "links have no number"
