"""Whatever the background tasks ask the world for may fail, each call once in turn: it is told, and all work gets done."""

import asyncio
import sys
import time
from dataclasses import replace
from typing import Any

import pytest

from tests.support.runs import STOP, begun, stored
from tests.support.stage import PROJECT, Stage, turn_of_the_loop
from threadmill.adapters.memory.store import MemoryStore
from threadmill.domain.file import File, FilePurpose, NewFile
from threadmill.domain.ids import FileId
from threadmill.domain.new_store import NewStoreFile, NewVectorStore
from threadmill.domain.outcome import Usage
from threadmill.domain.run import NewRun, Run, RunStatus
from threadmill.domain.tool import ToolResources
from threadmill.domain.vector_store import VectorStore
from threadmill.engine.documents import ingester
from threadmill.engine.documents.ingester import Ingester
from threadmill.engine.engine import Engine
from threadmill.engine.objects import files, runs, vector_stores
from threadmill.engine.ports.model import ToolCallPiece
from threadmill.engine.running.worker import Worker
from threadmill.engine.storage.file_creation import open_blob_writer

THREADS_TURN = 0.0001
"""Seconds in which a thread that writes an index may take the interpreter: loops that sweep all the time let it go and
have it back before another thread has woken up."""


class Fault:
    """Raises a bug once, at the call made in place `place`, of all that the background tasks make. Notes all places."""

    def __init__(self, place: str | None) -> None:
        self.place = place
        self.places: dict[str, None] = {}
        self.thrown = place is None

    def wrap(self, port: Any) -> Any:
        return _Faulty(port, self)

    def meet(self, name: str) -> None:
        task = asyncio.current_task()
        if task is not None and task.get_name().startswith("run_"):
            return  # a run that meets a bug is another story
        place = f"{name} {_awaiters()}"
        self.places[place] = None
        if place == self.place and not self.thrown:
            self.thrown = True
            raise RuntimeError("a bug")


def _awaiters() -> str:
    """The functions of the engine that wait for this call, innermost first."""
    frame, names = sys._getframe(3), list[str]()  # pyright: ignore[reportPrivateUsage] - the only way to a coroutine's awaiter
    while frame is not None and "/threadmill/" in frame.f_code.co_filename:
        names.append(f"{frame.f_code.co_name}:{frame.f_lineno}")
        frame = frame.f_back
    return " < ".join(names)


class _Faulty:
    def __init__(self, port: Any, fault: Fault) -> None:
        self._port = port
        self._fault = fault

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)

        async def call(*arguments: Any, **named: Any) -> Any:
            self._fault.meet(name)
            return await method(*arguments, **named)

        return call


class Work:
    """Something for every background task: runs overdue, orphaned and queued, a file to read and one to delete."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.overdue: Run
        self.orphan: Run
        self.queued: Run
        self.expired: FileId
        self.store: VectorStore

    async def prepare(self) -> None:
        stage = self.stage
        self.overdue = await begun(stage, "f")
        stage.model.turns[0].end(ToolCallPiece(0, "call_1", "f", "{}"), STOP, Usage(1, 1))
        await stage.settle()
        self.expired = await self._file_that_expires()
        assistant = await stage.assistant(tool_resources=ToolResources((self.expired,)))
        given = NewVectorStore(files=(NewStoreFile(self.expired), NewStoreFile(await stage.file("a.txt"))))
        self.store = await vector_stores.create(stage.engine, PROJECT, given)
        stage.clock.at += 500
        self.orphan = await begun(stage)
        elsewhere, thread = replace(stage.engine, executes=False), await stage.thread("hi")
        self.queued = (await runs.create(elsewhere, PROJECT, thread.id, NewRun(assistant.id))).run
        stage.clock.at += 150
        stage.hire()

    async def _file_that_expires(self) -> FileId:
        async with open_blob_writer(self.stage.ports) as writer:
            await writer.write(b"soon gone")
            new = NewFile("b.txt", FilePurpose.ASSISTANTS, expires_after=600)
            return (await files.create(self.stage.engine, PROJECT, new, writer)).id

    async def is_done(self) -> bool:
        stage = self.stage
        statuses = [(await stored(stage, run)).status for run in (self.overdue, self.orphan, self.queued)]
        if statuses != [RunStatus.EXPIRED, RunStatus.IN_PROGRESS, RunStatus.IN_PROGRESS]:
            return False
        if await stage.store.get(File, PROJECT, self.expired) is not None:
            return False
        counts = (await vector_stores.retrieve(stage.engine, PROJECT, self.store.id)).file_counts
        return counts.in_progress == 0 and counts.total == 1


def tended(stage: Stage, fault: Fault) -> Engine:
    """An engine that asks the world through the fault."""
    wrap, ports = fault.wrap, stage.ports
    search = replace(
        ports.search, chunks=wrap(ports.search.chunks), stores=wrap(ports.search.stores), index=wrap(ports.search.index)
    )
    store: Any = wrap(stage.store)
    faulty = replace(
        ports, store=store, queue=store, files=wrap(ports.files), blobs=_Blobs(ports.blobs, fault), search=search
    )
    note = stage.engine.report
    worker = Worker(faulty, stage.settings, note)
    return Engine(faulty, stage.settings, worker, Ingester(faulty, 2, 1, note), note)


class _Blobs(_Faulty):
    """Reading gives a generator, which is none of the calls that are awaited."""

    def read(self, key: str) -> Any:
        return self._port.read(key)


async def played(place: str | None) -> list[str]:
    """All places of calls, once all the work is done by the background tasks, though the call in `place` throws once."""
    stage, fault = Stage(MemoryStore(), sweep_interval=0.0, lease=0), Fault(place)
    work = Work(stage)
    await work.prepare()
    engine = tended(stage, fault)
    tending = asyncio.ensure_future(engine.run_background_tasks())
    engine.worker.wake()
    async with asyncio.timeout(30):
        while not (fault.thrown and await work.is_done()):
            await turn_of_the_loop()
            time.sleep(THREADS_TURN)  # lint: allow tests_do_not_sleep because threads starve beside a loop that spins
            assert not tending.done(), place
    assert bool(stage.surprises) is (place is not None), place
    places = list(fault.places)
    tending.cancel()
    await asyncio.gather(tending, return_exceptions=True)
    executions = [task for task in asyncio.all_tasks() if task.get_name().startswith("run_")]
    for task in executions:  # those of the worker that was lost too
        task.cancel()
    await asyncio.gather(*executions, return_exceptions=True)
    await stage.search.index.aclose()
    return places


async def test_a_bug_at_any_call_of_any_background_task_is_told_and_all_work_is_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ingester, "RETRY_SECONDS", 0.0)
    places = await played(None)
    calls = {place.partition(" ")[0] for place in places}
    assert {"queued", "pending", "extend_leases", "overdue", "lease_expired", "expired", "apply", "steps"} <= calls
    assert {"sealed", "keep", "upsert", "holding", "referencing_objects", "remove", "get"} <= calls
    for place in places:
        await played(place)
