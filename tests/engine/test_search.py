"""file_search in the engine: what the model asks and is told, what the client sees, what an answer cites."""

import json
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any

import pytest

from tests.support.stage import PROJECT, Stage, turn_of_the_loop
from tests.support.stage import Turn as Asked
from threadmill.adapters.memory.store import MemoryStore
from threadmill.domain.delta import AnnotationDelta, ArgumentsDelta, Delta, TextDelta, ToolCallStarted
from threadmill.domain.error import Unavailable
from threadmill.domain.ids import CallId, FileId, RunStepId, ThreadId, VectorStoreId
from threadmill.domain.message import Annotation, Message, TextPart
from threadmill.domain.new_store import NewStoreFile, NewVectorStore
from threadmill.domain.outcome import ErrorCode, Usage
from threadmill.domain.patch import NewThread
from threadmill.domain.ranking import HybridWeights
from threadmill.domain.run import NewRun, Run, RunStatus
from threadmill.domain.run_step import RunStep, RunStepStatus, RunStepType
from threadmill.domain.tool import (
    CodeInterpreterTool,
    FileSearchCall,
    FileSearchTool,
    FunctionTool,
    NamedToolChoice,
    RankingOptions,
    SearchResult,
    Tool,
    ToolChoice,
    ToolOutput,
    ToolResources,
)
from threadmill.domain.vector_store import ExpiresAfter, VectorStore, VectorStoreStatus
from threadmill.engine.objects import runs, threads, vector_stores
from threadmill.engine.ports.model import Finish, FinishReason, ModelError, ToolCallPiece
from threadmill.engine.ports.search_index import IndexHits, IndexQuery
from threadmill.engine.ports.store import StoredEvent
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
from threadmill.engine.running.search_call import NO_STORE

STOP, CALLS, COST = Finish(FinishReason.STOP), Finish(FinishReason.TOOL_CALLS), Usage(1, 1)
SEARCH = FileSearchTool()
FOODS = "Summanus eats tacos, Filip eats cake."
MARKER = "【4:0†foods.txt】"


@pytest.fixture
async def stage() -> AsyncGenerator[Stage, None]:
    made = Stage(MemoryStore())
    yield made
    await made.worker.drain(0)
    await made.search.index.aclose()


async def filled(stage: Stage, *texts: str, name: str = "foods.txt", **fields: Any) -> VectorStoreId:
    """A store with these texts as files, being read."""
    files = [NewStoreFile(await stage.file(name, text.encode())) for text in texts]
    return (await vector_stores.create(stage.engine, PROJECT, NewVectorStore(files=tuple(files), **fields))).id


async def read(stage: Stage, store_id: VectorStoreId) -> None:
    """The store's files are read."""
    while (await store_of(stage, store_id)).status(0) is VectorStoreStatus.IN_PROGRESS:
        await stage.ingester.start_pending()
        await turn_of_the_loop()


async def searchable(stage: Stage, *texts: str, **fields: Any) -> VectorStoreId:
    store_id = await filled(stage, *texts, **fields)
    await read(stage, store_id)
    return store_id


async def store_of(stage: Stage, store_id: VectorStoreId) -> VectorStore:
    return await vector_stores.retrieve(stage.engine, PROJECT, store_id)


async def begun(
    stage: Stage,
    *,
    tools: tuple[Tool, ...] = (SEARCH,),
    assistants: VectorStoreId | None = None,
    threads_: VectorStoreId | None = None,
    **fields: Any,
) -> Run:
    """A run over the stores given, that waits for the model's first word."""
    assistant = await stage.assistant(tool_resources=_of(assistants))
    thread = await threads.create(stage.engine, PROJECT, NewThread(tool_resources=_of(threads_)))
    return await again(stage, thread.id, assistant_id=assistant.id, instructions="i", tools=tools, **fields)


def _of(store_id: VectorStoreId | None) -> ToolResources:
    return ToolResources() if store_id is None else ToolResources(None, (store_id,))


async def again(stage: Stage, thread: ThreadId, **fields: Any) -> Run:
    accepted = await runs.create(stage.engine, PROJECT, thread, NewRun(**fields))
    await stage.settle()
    return accepted.run


def turn(stage: Stage) -> Asked:
    return stage.model.turns[-1]


async def searched(stage: Stage, *queries: str, arguments: str | None = None) -> None:
    """The model searches, and is asked again."""
    made = json.dumps({"queries": queries}) if arguments is None else arguments
    turn(stage).end(ToolCallPiece(0, None, "file_search", made[:5]), ToolCallPiece(0, arguments=made[5:]), CALLS, COST)
    await stage.settle()


async def answered(stage: Stage, *texts: str) -> None:
    for text in texts:
        turn(stage).say(text)
    turn(stage).end(STOP, COST)
    await stage.settle()


def heard(stage: Stage) -> str:
    """What the model was told of its last call."""
    return message_text(turn(stage).request.messages[-1])


async def stored(stage: Stage, run: Run) -> Run:
    return await runs.retrieve(stage.engine, PROJECT, run.thread_id, run.id)


async def steps_of(stage: Stage, run: Run) -> list[RunStep]:
    return [step for step in await stage.store.steps(run.id) if step.type is RunStepType.TOOL_CALLS]


async def calls_of(stage: Stage, run: Run) -> list[FileSearchCall]:
    calls = [call for step in await steps_of(stage, run) for call in step.tool_calls]
    return [call for call in calls if isinstance(call, FileSearchCall)]


async def text_part(stage: Stage, run: Run) -> TextPart:
    message: Message = (await stage.store.history(run.thread_id))[-1]
    (part,) = message.content
    assert isinstance(part, TextPart)
    return part


async def deltas(stage: Stage, run: Run) -> list[Delta]:
    tail = stage.ports.log.tail(run.id)
    return [entry async for batch in tail for entry in batch if not isinstance(entry, StoredEvent)]


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


async def test_both_stores_are_searched_and_what_is_in_both_is_found_twice(stage: Stage) -> None:
    mine, yours = await searchable(stage, FOODS), await searchable(stage, FOODS, name="again.txt")
    run = await begun(stage, assistants=mine, threads_=yours)
    await searched(stage, "Filip")
    await answered(stage, "Cake.")
    (call,) = await calls_of(stage, run)
    assert sorted(result.file_name for result in call.results) == ["again.txt", "foods.txt"]


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
    while not heard(stage).endswith(NO_ROOM):
        await searched(stage, "whale")
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
    while not stage.model.turns:
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
    while stage.clock.sleepers:
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
