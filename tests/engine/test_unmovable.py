"""What a background task cannot do to one object it does to the others: each kind of object, the bad one first."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.support.runs import stored
from tests.support.stage import PROJECT, Stage
from tests.support.stores import read, rows_of
from threadmill.adapters.memory.store import MemoryStore
from threadmill.domain.error import Unavailable, Unreadable
from threadmill.domain.file import File, FilePurpose, NewFile
from threadmill.domain.new_store import NewStoreFile, NewVectorStore
from threadmill.domain.run import NewRun, Run, RunStatus
from threadmill.domain.upload import NewUpload, Upload
from threadmill.domain.vector_store import FileErrorCode
from threadmill.engine.objects import files, runs, uploads, vector_stores
from threadmill.engine.ports.store import Insert, Update, WriteSet
from threadmill.engine.storage.file_creation import open_blob_writer

NEVER = ValueError("a value that no column takes")


class Stubborn(MemoryStore):
    """One object cannot be written."""

    def __init__(self) -> None:
        super().__init__()
        self.bad: str | None = None
        self.error: Exception = NEVER

    async def apply(self, write_set: WriteSet) -> int:
        for write in write_set.writes:
            if (write.row.id if isinstance(write, Insert | Update) else write.id) == self.bad:
                raise self.error
        return await super().apply(write_set)


async def expiring_file(stage: Stage, name: str) -> str:
    async with open_blob_writer(stage.ports) as writer:
        await writer.write(b"x")
        new = NewFile(name, FilePurpose.ASSISTANTS, expires_after=3_600)
        return (await files.create(stage.engine, PROJECT, new, writer)).id


async def upload(stage: Stage, name: str) -> str:
    new = NewUpload(name, FilePurpose.USER_DATA, 1, "text/plain")
    return (await uploads.create(stage.engine, PROJECT, new)).id


@pytest.mark.parametrize(
    ("make", "kind", "work", "told"),
    [
        (expiring_file, File, "_delete_expired", "file {} has expired and could not be deleted"),
        (upload, Upload, "_end_uploads", "upload {} could not be ended"),
    ],
)
async def test_what_cannot_end_is_told_once_and_the_others_behind_it_end(
    make: Callable[[Stage, str], Awaitable[str]], kind: Any, work: str, told: str
) -> None:
    store = Stubborn()
    stage = Stage(store)
    store.bad, good = await make(stage, "bad"), await make(stage, "good")
    before = await store.get(kind, PROJECT, good)
    stage.clock.at += 3_600
    for _ in range(2):
        await getattr(stage.engine, work)()
    assert await store.get(kind, PROJECT, good) != before
    assert stage.surprises == [f"{told.format(store.bad)}: {NEVER!r}"]
    bad, store.bad = store.bad, None
    await getattr(stage.engine, work)()
    assert len(stage.worker.unmovable) == 0, "it was moved after all"
    assert bad not in stage.surprises[1:]


async def test_a_run_that_cannot_be_claimed_takes_no_place_and_those_behind_it_begin() -> None:
    store = Stubborn()
    stage = Stage(store, max_runs=2)
    assistant, elsewhere = await stage.assistant(), replace(stage.engine, executes=False)

    async def queued() -> Run:
        return (await runs.create(elsewhere, PROJECT, (await stage.thread("hi")).id, NewRun(assistant.id))).run

    bad, good = await queued(), await queued()
    store.bad = bad.id
    for _ in range(3):
        await stage.worker.claim_waiting()
    await stage.settle()
    assert (await stored(stage, good)).status is RunStatus.IN_PROGRESS
    assert stage.surprises == [f"run {bad.id} could not be claimed: {NEVER!r}"]
    store.bad = None
    await stage.worker.claim_waiting()
    assert (await stored(stage, bad)).status is RunStatus.IN_PROGRESS, "the other place is free still"
    await stage.worker.drain(0)


async def test_a_database_that_is_away_blames_no_object() -> None:
    store = Stubborn()
    stage = Stage(store)
    store.bad, store.error = await upload(stage, "a"), Unavailable("The disk is full.")
    stage.clock.at += 3_600
    with pytest.raises(Unavailable):
        await stage.engine._end_uploads()  # pyright: ignore[reportPrivateUsage] - what the background does
    assert (stage.surprises, len(stage.worker.unmovable)) == ([], 0)


class Damaged(MemoryStore):
    """Files cannot be understood."""

    async def get(self, kind: Any, project: Any, object_id: str) -> Any:
        if kind is File:
            raise Unreadable(f"The file '{object_id}' cannot be read.")
        return await super().get(kind, project, object_id)


async def test_a_file_whose_row_is_damaged_fails_in_its_store_and_says_so() -> None:
    stage = Stage(Damaged())
    file_id = await stage.file("a.txt")
    new = NewVectorStore(files=(NewStoreFile(file_id),))
    store = await vector_stores.create(stage.engine, PROJECT, new)
    await read(stage)
    (row,) = await rows_of(stage, store.id)
    assert row.last_error is not None
    assert (row.last_error.code, row.last_error.message) == (
        FileErrorCode.SERVER_ERROR,
        f"The file '{file_id}' cannot be read.",
    )
    await stage.search.index.aclose()
