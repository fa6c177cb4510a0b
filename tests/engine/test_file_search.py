"""file_search in the engine: what the model asks for, and what it, the client and the steps are told."""

import json
from dataclasses import replace
from typing import Any

import pytest

from tests.support.runs import CALLS, deltas, heard, stored, turn
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
    steps_of,
    text_part,
)
from tests.support.stage import PROJECT, Stage
from threadmill.domain.delta import ArgumentsDelta, TextDelta, ToolCallStarted
from threadmill.domain.error import Unavailable
from threadmill.domain.ids import CallId, FileId, RunStepId, VectorStoreId
from threadmill.domain.ranking import HybridWeights
from threadmill.domain.run import RunStatus
from threadmill.domain.run_step import RunStep, RunStepStatus, RunStepType
from threadmill.domain.tool import (
    FileSearchCall,
    FileSearchTool,
    FunctionTool,
    NamedToolChoice,
    RankingOptions,
    SearchResult,
    ToolChoice,
    ToolOutput,
)
from threadmill.engine.objects import runs
from threadmill.engine.ports.model import ToolCallPiece
from threadmill.engine.ports.search_index import IndexHits, IndexQuery
from threadmill.engine.prompt import file_search_prompt
from threadmill.engine.prompt.conversation import build_conversation, message_text
from threadmill.engine.prompt.file_search_prompt import (
    NO_RESULTS,
    NO_ROOM,
    NOT_UNDERSTOOD,
    RESULTS_HEADER,
    TRUNCATED,
    parse_queries,
    parse_weights,
    render_results,
)
from threadmill.engine.running.draft import SearchDraft


async def test_a_search_is_one_delta_without_results_and_its_passages_go_to_the_model_and_the_step(
    stage: Stage,
) -> None:
    run = await begun(stage, assistants=await searchable(stage, FOODS))
    await searched(stage, "what does Filip eat")
    assert heard(stage) == f"{RESULTS_HEADER}\n\n{MARKER}\n{FOODS}"
    await answered(stage, "Cake.")
    (step,) = await steps_of(stage, run)
    (call,) = step.tool_calls
    assert isinstance(call, FileSearchCall)
    assert step.status is RunStepStatus.COMPLETED
    assert call.ranking_options == RankingOptions()
    ((result),) = call.results
    assert (result.file_name, result.content, result.attributes) == ("foods.txt", (FOODS,), "{}")
    assert 0 < result.score <= 1
    opened, *others = [one for one in await deltas(stage, run) if not isinstance(one, TextDelta)]
    assert isinstance(opened, ToolCallStarted)
    assert opened.call == FileSearchCall(call.id, RankingOptions())
    assert not others


async def test_the_tool_is_offered_as_a_function_of_several_queries_and_can_be_forced_once(stage: Stage) -> None:
    choice = ToolChoice(None, NamedToolChoice("file_search"))
    await begun(stage, tool_choice=choice)
    request = turn(stage).request
    assert [tool.name for tool in request.tools] == ["file_search"]
    assert json.loads(request.tools[0].parameters)["properties"]["queries"]["type"] == "array"
    assert request.tool_choice.named == NamedToolChoice("function", "file_search")
    await searched(stage, "x")
    assert turn(stage).request.tool_choice == ToolChoice()


async def test_a_callers_function_of_the_same_name_stays_the_callers(stage: Stage) -> None:
    run = await begun(stage, tools=(SEARCH, FunctionTool("file_search")))
    assert [tool.name for tool in turn(stage).request.tools] == ["file_search_tool", "file_search"]
    await searched(stage, "x")
    assert (await stored(stage, run)).status is RunStatus.REQUIRES_ACTION
    await runs.cancel(stage.engine, PROJECT, run.thread_id, run.id)


async def test_a_run_without_the_tool_does_not_search(stage: Stage) -> None:
    run = await begun(stage, tools=(FunctionTool("f"),))
    await searched(stage, "x")
    assert "there is no function named 'file_search'" in heard(stage)
    assert await calls_of(stage, run) == []


async def test_a_search_beside_a_function_is_answered_while_the_function_is_waited_for(stage: Stage) -> None:
    run = await begun(stage, tools=(SEARCH, FunctionTool("f")), assistants=await searchable(stage, FOODS))
    search = ToolCallPiece(1, "call_2", "file_search", '{"queries": ["Filip"]}')
    turn(stage).end(ToolCallPiece(0, "call_1", "f", '{"a": 1}'), search, CALLS, COST)
    await stage.settle()
    waiting = await stored(stage, run)
    assert waiting.status is RunStatus.REQUIRES_ACTION
    await runs.submit_tool_outputs(stage.engine, PROJECT, run.thread_id, run.id, (ToolOutput(CallId("call_1"), "out"),))
    await stage.settle()
    assert MARKER in heard(stage)
    await answered(stage, f"Cake{MARKER}.")
    assert len((await text_part(stage, run)).annotations) == 1
    arguments = [one for one in await deltas(stage, run) if isinstance(one, ArgumentsDelta)]
    assert [one.pieces for one in arguments] == [('{"a": 1}',)]


async def test_what_a_search_is_told_to_do_is_done(stage: Stage) -> None:
    texts = [f"whale number {number}" for number in range(30)]
    ocean = await searchable(stage, *texts)
    run = await begun(stage, assistants=ocean)
    await searched(stage, "whale")
    await answered(stage, "ok")
    assert len((await calls_of(stage, run))[0].results) == 20
    few = FileSearchTool(RankingOptions("auto", 0.97), max_num_results=7)
    run = await begun(stage, assistants=ocean, tools=(few,))
    await searched(stage, "whale")
    await answered(stage, "ok")
    (call,) = await calls_of(stage, run)
    assert call.ranking_options == few.ranking_options
    assert 0 < len(call.results) < 7, "the threshold cuts before the limit does"
    run = await begun(stage, assistants=ocean, tools=(FileSearchTool(max_num_results=7),))
    await searched(stage, "whale")
    await answered(stage, "ok")
    assert len((await calls_of(stage, run))[0].results) == 7


async def test_a_model_with_a_small_window_gets_few_results(stage: Stage) -> None:
    stage.model.window = 16_385
    run = await begun(stage, assistants=await searchable(stage, *(f"whale {number}" for number in range(9))))
    await searched(stage, "whale")
    await answered(stage, "ok")
    assert len((await calls_of(stage, run))[0].results) == 5


async def test_all_searches_of_a_run_leave_half_of_the_window_to_the_conversation(stage: Stage) -> None:
    stage.model.window = 200
    long = "whale " * 35
    run = await begun(stage, assistants=await searchable(stage, *(f"{long}{number}" for number in range(4))))
    await searched(stage, "whale")
    assert heard(stage).count("【4:") == 2
    for _ in range(10):
        if not heard(stage).endswith(NO_ROOM):
            await searched(stage, "whale")
    assert heard(stage).endswith(NO_ROOM)
    await answered(stage, "ok")
    passages = [render_results(call) for call in await calls_of(stage, run) if call.results]
    assert sum(len(text.split()) for text in passages) <= 100


async def test_a_passage_longer_than_the_room_is_cut_rather_than_left_out(stage: Stage) -> None:
    stage.model.window = 200
    run = await begun(stage, assistants=await searchable(stage, "whale " * 500))
    await searched(stage, "whale")
    await answered(stage, "ok")
    ((call),) = await calls_of(stage, run)
    assert call.results[0].content[0].endswith(TRUNCATED)
    assert 50 < len(call.results[0].content[0].split()) < 100


async def test_an_unknown_window_is_taken_for_a_large_one(stage: Stage) -> None:
    run = await begun(
        stage, assistants=await searchable(stage, *(f"{number} " + "whale " * 700 for number in range(30)))
    )
    await searched(stage, "whale")
    await answered(stage, "ok")
    assert len((await calls_of(stage, run))[0].results) == 20


async def test_nothing_found_is_said(stage: Stage) -> None:
    await begun(stage, assistants=await searchable(stage, FOODS))
    await searched(stage, "submarine")
    assert heard(stage) == NO_RESULTS


async def test_arguments_that_make_no_sense_are_answered_and_the_run_goes_on(stage: Stage) -> None:
    run = await begun(stage, assistants=await searchable(stage, FOODS))
    await searched(stage, arguments='{"queries": [')
    assert heard(stage) == NOT_UNDERSTOOD
    await answered(stage, "Sorry.")
    (call,) = await calls_of(stage, run)
    assert (call.queries, call.results) == ((), ())


class BrokenIndex:
    """A disk that fails."""

    async def search(self, store_id: VectorStoreId, query: IndexQuery) -> IndexHits:
        raise Unavailable(f"The index of {store_id} cannot be read.")

    async def aclose(self) -> None:
        pass


async def test_a_search_that_fails_is_told_to_the_model(stage: Stage) -> None:
    store_id = await searchable(stage, FOODS)
    await stage.search.index.aclose()
    broken: Any = BrokenIndex()
    stage.search = replace(stage.search, index=broken)
    stage.hire()
    run = await begun(stage, assistants=store_id)
    await searched(stage, "Filip")
    assert heard(stage) == f"Error: the files could not be searched. The index of {store_id} cannot be read."
    await answered(stage, "Sorry.")
    assert (await stored(stage, run)).status is RunStatus.COMPLETED


async def test_calls_are_counted_where_the_upstream_counts_nothing(stage: Stage) -> None:
    run = await begun(stage, assistants=await searchable(stage, FOODS))
    turn(stage).end(ToolCallPiece(0, None, "file_search", '{"queries": ["a b"]}'), CALLS)
    await stage.settle()
    (step,) = await steps_of(stage, run)
    assert step.usage is not None
    assert step.usage.completion_tokens == len(['{"queries":', '["a', 'b"]}'])


async def test_a_search_that_was_lost_with_its_worker_is_told_as_lost(stage: Stage) -> None:
    run = await begun(stage)
    lost = SearchDraft(CallId("call_1"), 4, RankingOptions(), ['{"queries": ["Filip"]}']).call()
    step = RunStep(
        RunStepId("s"), PROJECT, run.thread_id, run.id, run.assistant_id, 1, RunStepType.TOOL_CALLS,
        RunStepStatus.FAILED, tool_calls=(lost,),
    )  # fmt: skip
    call, answer = build_conversation(run, (), [step], {}).tail
    assert call.tool_calls[0].arguments == '{"queries": ["Filip"]}'
    assert "the server stopped" in message_text(answer)


@pytest.mark.parametrize(
    ("arguments", "queries"),
    [
        ('{"queries": ["a", "b"]}', ("a", "b")),
        ('{"queries": "a"}', ("a",)),
        ('{"query": "a", "top_k": 3}', ("a",)),
        ('{"q": "a"}', ("a",)),
        ('{"q": "a", "r": "b"}', ()),
        ('["a", 7, null, {"x": 1}]', ("a", "7")),
        ('"a"', ("a",)),
        ("what Filip eats", ("what Filip eats",)),
        ("42", ("42",)),
        ('{"queries": ["a", " a ", "", "  "]}', ("a",)),
        ('{"queries": [" a\nb "]}', ("a\nb",)),
        ('{"queries": ["\\ud800"]}', ("\ufffd",)),
        ('{"queries": ["a"', ()),
        ("{}", ()),
        ("", ()),
        ("[" * 100_000, ()),
        (json.dumps({"queries": [str(number) for number in range(99)]}), tuple("0123456789")),
        (json.dumps({"queries": "x" * 9_999}), ("x" * 4_000,)),
    ],
)
def test_arguments_are_read_as_they_may_be_meant(arguments: str, queries: tuple[str, ...]) -> None:
    assert parse_queries(arguments) == queries


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (None, HybridWeights()),
        ('{"embedding_weight": 2, "text_weight": 0.5}', HybridWeights(2.0, 0.5)),
        ('{"text_weight": 0}', HybridWeights(1.0, 0.0)),
        ('{"embedding_weight": 0, "text_weight": -1}', HybridWeights()),
        ('{"embedding_weight": 1e999, "text_weight": "much"}', HybridWeights(1e6, 1.0)),
        ("[1]", HybridWeights()),
        ("{", HybridWeights()),
    ],
)
def test_the_weights_of_the_two_halves_are_the_tools(said: str | None, expected: HybridWeights) -> None:
    assert parse_weights(RankingOptions(hybrid_search=said)) == expected


def test_notes_stand_behind_the_passages() -> None:
    result = SearchResult(FileId("f"), "a.txt", 0.5, ("one", "two"))
    call = FileSearchCall(CallId("c"), RankingOptions(), (result,), ("q",), "Note: x", 7)
    assert render_results(call) == f"{RESULTS_HEADER}\n\n【7:0†a.txt】\none\ntwo\n\nNote: x"
    assert render_results(replace(call, results=())) == "Note: x"
    assert render_results(replace(call, results=(), note="")) == ""


def test_where_there_is_no_room_at_all_nothing_is_told() -> None:
    result = SearchResult(FileId("f"), "a.txt", 0.5, ("one two",))
    assert file_search_prompt.fit_to_budget([result], 4, 0, lambda text: len(text.split())) == ()
    assert file_search_prompt.fit_to_budget([], 4, 0, len) == ()
