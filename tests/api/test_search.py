"""file_search over HTTP, through the official SDK: what its users rely on. By words only: no network, no embeddings."""

import json
from collections.abc import AsyncGenerator
from typing import Any

import pytest
import pytest_asyncio
from openai import AsyncAssistantEventHandler, AsyncOpenAI
from openai.types.beta.threads import FileCitationAnnotation, Message, Text, TextContentBlock
from openai.types.beta.threads.runs import FileSearchToolCall, RunStep, ToolCall, ToolCallsStepDetails

from tests.support import scripted as up
from tests.support.scripted import ScriptedUpstream
from tests.support.serving import Live, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")

TOOL: Any = {"type": "file_search"}
CONTENT: Any = ["step_details.tool_calls[*].file_search.results[*].content"]
FOODS = "The favorite food of several people:\n- Summanus Ferdinand: tacos\n- Filip Carola: cake"
DOCUMENTS = {
    "favorite_foods.txt": FOODS,
    "whales.md": "# Whales\n\nThe blue whale is the largest animal that ever lived. It eats krill.",
    "räder ö.html": "<html><body><p>A bicycle has two wheels, a tricycle three.</p></body></html>",
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def upstream() -> AsyncGenerator[ScriptedUpstream, None]:
    async with up.scripted_upstream() as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory, upstream: ScriptedUpstream) -> AsyncGenerator[Live, None]:
    async with serving(tmp_path_factory.mktemp("search"), upstream=upstream.url) as live:
        yield live


@pytest_asyncio.fixture(loop_scope="module")
async def client(server: Live) -> AsyncGenerator[AsyncOpenAI, None]:
    async with AsyncOpenAI(base_url=server.url, api_key="k") as made:
        yield made


async def file(client: AsyncOpenAI, name: str, text: str) -> str:
    return (await client.files.create(file=(name, text.encode()), purpose="assistants")).id


async def library(client: AsyncOpenAI) -> str:
    """A vector store with the three documents, read."""
    store = await client.vector_stores.create()
    files = [(name, text.encode()) for name, text in DOCUMENTS.items()]
    batch = await client.vector_stores.file_batches.upload_and_poll(store.id, files=files)
    assert batch.file_counts.completed == len(DOCUMENTS)
    return store.id


async def librarian(client: AsyncOpenAI, model: str = "rehearsal", **options: Any) -> str:
    """An assistant that answers from the documents."""
    tool: Any = {**TOOL, "file_search": options} if options else TOOL
    resources: Any = {"file_search": {"vector_store_ids": [await library(client)]}}
    return (await client.beta.assistants.create(model=model, tools=[tool], tool_resources=resources)).id


def text_of(message: Message) -> Text:
    (block,) = message.content
    assert isinstance(block, TextContentBlock)
    return block.text


def cited(text: Text) -> list[tuple[str, str]]:
    """What each citation selects in the text, and its file."""
    found: list[tuple[str, str]] = []
    for one in text.annotations:
        assert isinstance(one, FileCitationAnnotation)
        assert text.value[one.start_index : one.end_index] == one.text
        found.append((one.text, one.file_citation.file_id))
    return found


def search_of(steps: list[RunStep]) -> FileSearchToolCall:
    """The one search of a run."""
    found = [step.step_details for step in steps if isinstance(step.step_details, ToolCallsStepDetails)]
    (call,) = [call for details in found for call in details.tool_calls]
    assert isinstance(call, FileSearchToolCall)
    return call


async def test_an_assistant_answers_from_three_documents_with_citations(client: AsyncOpenAI) -> None:
    script = (
        "search:\n  whale food\n  favorite food of Filip\n  wheels of a bicycle\n---\n"
        "say: Krill【4:0†whales.md】, cake【4:1†favorite_foods.txt】, two【4:2†räder ö.html】【9:9†no】. {{output}}"
    )
    thread = await client.beta.threads.create(messages=[{"role": "user", "content": script}])
    run = await client.beta.threads.runs.create_and_poll(
        thread_id=thread.id, assistant_id=await librarian(client), include=CONTENT
    )
    assert run.status == "completed", run.last_error
    text = text_of((await client.beta.threads.messages.list(thread.id)).data[0])
    assert len(cited(text)) == 6, "three by hand, three in what the tool told"
    assert "【9:9†no】." in text.value
    steps = (await client.beta.threads.runs.steps.list(run.id, thread_id=thread.id, include=CONTENT)).data
    results = search_of(steps).file_search.results
    assert results is not None
    assert {one.file_name for one in results} == set(DOCUMENTS)
    assert [file_id for _, file_id in cited(text)[:3]] == [one.file_id for one in results]
    assert all(0 <= one.score <= 1 for one in results)


async def test_results_have_their_texts_only_where_these_are_asked_for(client: AsyncOpenAI) -> None:
    script = "search: Filip\n---\nsay: Cake."
    thread = await client.beta.threads.create(messages=[{"role": "user", "content": script}])
    assistant = await librarian(client, max_num_results=2, ranking_options={"score_threshold": 0.25})
    run = await client.beta.threads.runs.create_and_poll(thread_id=thread.id, assistant_id=assistant)
    runs = client.beta.threads.runs
    plain = (await runs.steps.list(run.id, thread_id=thread.id)).data
    (step,) = [one for one in plain if one.type == "tool_calls"]
    whole = await runs.steps.retrieve(step.id, thread_id=thread.id, run_id=run.id, include=CONTENT)
    without, found = search_of(plain).file_search, search_of([whole]).file_search
    assert without.ranking_options is not None
    assert (without.ranking_options.ranker, without.ranking_options.score_threshold) == ("default_2024_08_21", 0.25)
    assert without.results is not None
    assert found.results is not None
    assert [one.content for one in without.results] == [None]
    assert found.results[0].content is not None
    assert [part.text for part in found.results[0].content] == [FOODS]


class Handler(AsyncAssistantEventHandler):
    """Keeps what the SDK adds up."""

    def __init__(self) -> None:
        super().__init__()
        self.text: Any = None
        self.deltas: list[Any] = []
        self.begun: list[Any] = []
        self.steps: list[RunStep] = []

    async def on_tool_call_created(self, tool_call: ToolCall) -> None:
        self.begun.append(tool_call.model_copy(deep=True))

    async def on_run_step_done(self, run_step: RunStep) -> None:
        self.steps.append(run_step)

    async def on_text_delta(self, delta: Any, snapshot: Text) -> None:
        self.deltas.append(delta)
        self.text = snapshot.model_copy(deep=True)


@pytest.mark.parametrize("by", ["one character", "one piece", "words"])
async def test_what_the_sdk_adds_up_is_what_is_stored(client: AsyncOpenAI, upstream: ScriptedUpstream, by: str) -> None:
    said = "Cake【4:0†favorite_foods.txt】, says【4:0†favorite_foods.txt】 it【4:【4:8†x】 😀【4:0†favorite_foods.txt】【4:0†fav"
    pieces = {"one character": [*said], "one piece": [said], "words": said.replace(" ", "| ").split("|")}[by]
    upstream.answer(up.calls(("call_a", "file_search", '{"queries": ["Filip Carola"]}')), up.text(*pieces))
    thread = await client.beta.threads.create(messages=[{"role": "user", "content": "What does Filip like?"}])
    handler, assistant = Handler(), await librarian(client, "gpt-test")
    async with client.beta.threads.runs.stream(
        thread_id=thread.id, assistant_id=assistant, include=CONTENT, event_handler=handler
    ) as stream:
        run = await stream.get_final_run()
    stored = text_of((await client.beta.threads.messages.list(thread.id)).data[0])
    assert stored.value == said
    assert len(cited(stored)) == 3
    added = [{k: v for k, v in one.items() if k != "index"} for one in _plain(handler.text)["annotations"]]
    assert _plain(handler.text)["value"] == said
    assert [_without_quote(one) for one in added] == _plain(stored)["annotations"]
    whole = [delta.annotations for delta in handler.deltas if delta.annotations]
    assert [(len(one), one[0].text) for one in whole] == [(1, "【4:0†favorite_foods.txt】")] * 3
    (begun,) = handler.begun
    assert begun.file_search.results == []
    (told,) = upstream.asked[-1].body["messages"][-1:]
    assert "【4:0†favorite_foods.txt】" in told["content"]
    listed = (await client.beta.threads.runs.steps.list(run.id, thread_id=thread.id, include=CONTENT)).data
    assert _plain(search_of(handler.steps)) == _plain(search_of(listed))


def _plain(value: Any) -> Any:
    return json.loads(value.model_dump_json(exclude_unset=True))


def _without_quote(annotation: dict[str, Any]) -> dict[str, Any]:
    file_id = annotation["file_citation"]["file_id"]
    return {**annotation, "file_citation": {"file_id": file_id}}


async def test_a_file_attached_to_a_message_can_be_searched_by_the_run_right_behind_it(client: AsyncOpenAI) -> None:
    foods = await file(client, "favorite_foods.txt", FOODS)
    assistant = await client.beta.assistants.create(model="rehearsal", tools=[TOOL])
    thread = await client.beta.threads.create()
    await client.beta.threads.messages.create(
        thread.id,
        role="user",
        content="search: Filip\n---\nsay: Cake【4:0†favorite_foods.txt】.",
        attachments=[{"file_id": foods, "tools": [TOOL]}],
    )
    run = await client.beta.threads.runs.create_and_poll(thread_id=thread.id, assistant_id=assistant.id)
    assert run.status == "completed", run.last_error
    text = text_of((await client.beta.threads.messages.list(thread.id, run_id=run.id)).data[0])
    assert cited(text) == [("【4:0†favorite_foods.txt】", foods)]


async def test_a_search_can_be_forced(client: AsyncOpenAI) -> None:
    thread = await client.beta.threads.create(messages=[{"role": "user", "content": "Which example is there?"}])
    run = await client.beta.threads.runs.create_and_poll(
        thread_id=thread.id, assistant_id=await librarian(client), tool_choice=TOOL
    )
    assert run.status == "completed", run.last_error
    assert run.tool_choice is not None
    assert json.loads(run.model_dump_json())["tool_choice"]["type"] == "file_search"
    assert search_of((await client.beta.threads.runs.steps.list(run.id, thread_id=thread.id)).data)


async def test_every_answer_of_a_search_keeps_to_the_schema(server: Live, client: AsyncOpenAI) -> None:
    assistant, api = await librarian(client), server.api
    thread = await api.thread("search: Filip\n---\nsay: Cake【4:0†favorite_foods.txt】.")
    query = "?include[]=step_details.tool_calls%5B%2A%5D.file_search.results%5B%2A%5D.content"
    events = await api.stream(f"/threads/{thread}/runs{query}", {"assistant_id": assistant})
    names = [event.name for event in events if event.name != "thread.message.delta"]
    assert names[3:7] == [f"thread.run.step.{name}" for name in ("created", "in_progress", "delta", "completed")]
    (delta,) = [event.data for event in events if event.name == "thread.run.step.delta"]
    (call,) = delta["delta"]["step_details"]["tool_calls"]
    ranking = {"ranker": "default_2024_08_21", "score_threshold": 0.0}
    assert (call["index"], call["file_search"]) == (0, {"ranking_options": ranking, "results": []})
    run = next(event.data for event in events if event.name == "thread.run.created")["id"]
    shown = await api.ok("GET", f"/threads/{thread}/runs/{run}/steps{query}")
    (completed,) = [e.data for e in events if e.name == "thread.run.step.completed" and e.data["type"] == "tool_calls"]
    assert completed["step_details"] == shown["data"][-1]["step_details"]
    assert completed["step_details"]["tool_calls"][0]["file_search"]["results"][0]["content"][0]["text"] == FOODS
