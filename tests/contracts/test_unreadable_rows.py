"""A row of another version, or a damaged one, in each table: it is told with its id, and hurts its own object only."""

import asyncio
import shutil
import sqlite3
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.runs import STOP, again, begun, stored
from tests.support.stage import PROJECT, Stage
from tests.support.stores import filled, found, read
from threadmill.adapters.sql.statements import TABLE_OF
from threadmill.adapters.sqlite.store import SqliteStore
from threadmill.adapters.system.troubles import LoggedTroubles
from threadmill.domain.assistant import Assistant
from threadmill.domain.error import NotFound, Unreadable
from threadmill.domain.file import File, FilePurpose
from threadmill.domain.ids import AssistantId, FileId, ThreadId, UploadId, VectorStoreId
from threadmill.domain.message import Message, MessageRole, NewMessage, TextPart
from threadmill.domain.new_store import NewStoreFile
from threadmill.domain.outcome import Usage
from threadmill.domain.page import PageQuery
from threadmill.domain.patch import NewAssistant, NewThread
from threadmill.domain.run import Run, RunStatus
from threadmill.domain.run_step import RunStep
from threadmill.domain.thread import Thread
from threadmill.domain.tool import ToolResources
from threadmill.domain.upload import NewUpload, UploadPart
from threadmill.domain.vector_store import VectorStore, VectorStoreFile
from threadmill.engine.objects import assistants, file_batches, files, messages, threads, uploads
from threadmill.engine.ports.store import Scope
from threadmill.engine.storage.file_creation import open_blob_writer

KINDS: tuple[Any, ...] = tuple(TABLE_OF)


@dataclass(frozen=True)
class World:
    """Two of each kind, on disk."""

    path: Path
    blobs: Path
    rows: dict[Any, list[str]]
    scopes: dict[Any, Scope]
    thread: ThreadId
    store: VectorStoreId
    upload: UploadId
    named: FileId
    """A file that an assistant, a thread and a store name."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return asyncio.run(_filled(tmp_path_factory.mktemp("world") / "threadmill.db"))


async def _filled(path: Path) -> World:
    stage = Stage(await SqliteStore.open(path, LoggedTroubles()))
    run = await begun(stage)
    stage.model.turns[0].end("x", STOP, Usage(1, 1))
    await stage.settle()
    await messages.create(stage.engine, PROJECT, run.thread_id, NewMessage(MessageRole.USER, (TextPart("and?"),)))
    second = await again(stage, run.thread_id, assistant_id=run.assistant_id)
    stage.model.turns[1].end("y", STOP, Usage(1, 1))
    await stage.settle()
    store, other = await filled(stage, "a red fox", "a blue fox"), await filled(stage)
    named = await stage.file("named.txt")
    for _ in range(2):
        await file_batches.create(stage.engine, PROJECT, store.id, [NewStoreFile(named)])
    await read(stage)
    resources = ToolResources((named,))
    holder = await assistants.create(stage.engine, PROJECT, NewAssistant("m", tool_resources=resources))
    holding = await threads.create(stage.engine, PROJECT, NewThread(tool_resources=resources))
    upload = await uploads.create(stage.engine, PROJECT, NewUpload("a", FilePurpose.USER_DATA, 2, "text/plain"))
    await uploads.create(stage.engine, PROJECT, NewUpload("b", FilePurpose.USER_DATA, 2, "text/plain"))
    parts = [await _part(stage, upload.id) for _ in range(2)]
    scopes: dict[Any, Scope] = {
        Message: Scope(PROJECT, thread_id=run.thread_id),
        Run: Scope(PROJECT, thread_id=run.thread_id),
        RunStep: Scope(PROJECT, run_id=run.id),
        VectorStoreFile: Scope(PROJECT, vector_store_id=store.id),
        UploadPart: Scope(PROJECT, upload_id=upload.id),
    }
    rows = {kind: await _ids(stage, kind, scopes.get(kind, Scope(PROJECT))) for kind in KINDS}
    rows[Assistant], rows[Thread] = [holder.id], [holding.id]
    rows[UploadPart], rows[Run] = [parts[0]], [second.id]
    rows[VectorStore] = [other.id]
    await stage.search.index.aclose()
    await stage.store.close()
    return World(path, stage.directory, rows, scopes, run.thread_id, store.id, upload.id, named)


async def _part(stage: Stage, upload: UploadId) -> str:
    async with open_blob_writer(stage.ports) as writer:
        await writer.write(b"x")
        return (await uploads.add_part(stage.engine, PROJECT, upload, writer)).id


async def _ids(stage: Stage, kind: Any, scope: Scope) -> list[str]:
    return [row.id for row in (await stage.store.page(kind, scope, PageQuery(100))).items]


@asynccontextmanager
async def damaged(world: World, path: Path, kind: Any, row_id: str) -> AsyncGenerator[Stage, None]:
    """A server on a copy of the world in which one row says nothing."""
    copy = path / "threadmill.db"
    shutil.copy(world.path, copy)
    damage(copy, kind, row_id)
    stage = Stage(await SqliteStore.open(copy, LoggedTroubles()))
    shutil.copytree(world.blobs, stage.directory, dirs_exist_ok=True)
    stage.ids._last = 1_000  # pyright: ignore[reportPrivateUsage] - none of the world's ids again
    try:
        yield stage
    finally:
        await stage.worker.drain(0)
        await stage.search.index.aclose()
        await stage.store.close()


def damage(path: Path, kind: Any, row_id: str) -> None:
    """The row says nothing any more."""
    with closing(sqlite3.connect(path)) as raw:
        raw.execute(f"UPDATE {TABLE_OF[kind].name} SET data = '{{}}' WHERE id = ?", (row_id,))
        assert raw.total_changes == 1
        raw.commit()


@pytest.mark.parametrize("kind", KINDS)
async def test_lists_give_the_others_and_the_row_itself_is_told_by_its_id(
    world: World, tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: Any
) -> None:
    row_id = world.rows[kind][-1]
    async with damaged(world, tmp_path, kind, row_id) as stage:
        scope = world.scopes.get(kind, Scope(PROJECT))
        left = await _ids(stage, kind, scope)
        with pytest.raises(Unreadable, match=f"'{row_id}' cannot be read"):
            await stage.store.get(kind, PROJECT, row_id)
        assert await _ids(stage, kind, scope) == left
        assert row_id not in left
        told = [text for text in caplog.messages if f"{row_id} cannot be read and is left alone" in text]
        assert len(told) == 1, "once"
        await everything_else_works(world, stage, kind)


async def everything_else_works(world: World, stage: Stage, kind: Any) -> None:
    """An answer on the thread, a search, and the deletion of a file that the row may name."""
    run = await again(stage, world.thread, assistant_id=await _assistant(stage))
    stage.model.turns[-1].end("still here", STOP, Usage(1, 1))
    await stage.settle()
    assert (await stored(stage, run)).status is RunStatus.COMPLETED
    assert len(await found(stage, world.store, "fox")) == (1 if kind is File else 2)
    if kind is not File:
        await files.delete(stage.engine, PROJECT, world.named)
    await threads.delete(stage.engine, PROJECT, world.thread)
    stage.clock.at += 10**6
    await stage.engine._sweep_runs()  # pyright: ignore[reportPrivateUsage] - what the background does
    await stage.engine._delete_expired()  # pyright: ignore[reportPrivateUsage]
    await stage.engine._end_uploads()  # pyright: ignore[reportPrivateUsage]
    assert stage.surprises == []


async def _assistant(stage: Stage) -> AssistantId:
    return (await assistants.create(stage.engine, PROJECT, NewAssistant("m"))).id


async def test_a_thread_whose_active_run_cannot_be_read_says_so_and_can_be_deleted(tmp_path: Path) -> None:
    path = tmp_path / "threadmill.db"
    before = Stage(await SqliteStore.open(path, LoggedTroubles()))
    run = await begun(before)
    await before.worker.drain(0)
    await before.store.close()
    damage(path, Run, run.id)
    stage = Stage(await SqliteStore.open(path, LoggedTroubles()))
    stage.ids._last = 1_000  # pyright: ignore[reportPrivateUsage] - none of the ids before
    with pytest.raises(Unreadable, match=f"'{run.id}' cannot be read"):
        await again(stage, run.thread_id, assistant_id=run.assistant_id)
    await threads.delete(stage.engine, PROJECT, run.thread_id)
    with pytest.raises(NotFound):
        await threads.retrieve(stage.engine, PROJECT, run.thread_id)
    await stage.store.close()
