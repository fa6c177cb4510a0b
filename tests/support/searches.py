"""Runs on the stage that search: their stores, their calls, and what was answered."""

import json
from typing import Any

from tests.support.runs import CALLS, STOP, again, turn
from tests.support.stage import PROJECT, Stage, turn_of_the_loop
from tests.support.waiting import until
from threadmill.domain.ids import VectorStoreId
from threadmill.domain.message import Message, TextPart
from threadmill.domain.new_store import NewStoreFile, NewVectorStore
from threadmill.domain.outcome import Usage
from threadmill.domain.patch import NewThread
from threadmill.domain.run import Run
from threadmill.domain.run_step import RunStep, RunStepType
from threadmill.domain.tool import (
    FileSearchCall,
    FileSearchTool,
    Tool,
    ToolResources,
)
from threadmill.domain.vector_store import VectorStore, VectorStoreStatus
from threadmill.engine.objects import threads, vector_stores
from threadmill.engine.ports.model import ToolCallPiece

COST = Usage(1, 1)
SEARCH = FileSearchTool()
FOODS = "Summanus eats tacos, Filip eats cake."
MARKER = "【4:0†foods.txt】"


async def filled(stage: Stage, *texts: str, name: str = "foods.txt", **fields: Any) -> VectorStoreId:
    """A store with these texts as files, being read."""
    files = [NewStoreFile(await stage.file(name, text.encode())) for text in texts]
    return (await vector_stores.create(stage.engine, PROJECT, NewVectorStore(files=tuple(files), **fields))).id


async def read(stage: Stage, store_id: VectorStoreId) -> None:
    """The store's files are read."""

    async def is_read() -> bool:
        await stage.ingester.start_pending()
        return (await store_of(stage, store_id)).status(0) is not VectorStoreStatus.IN_PROGRESS

    await until("the files of the store to be read", is_read, turn_of_the_loop)


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
