"""Use cases of threads: create, retrieve, list (ours), modify, delete (behaviour.md 5)."""

from dataclasses import replace

from threadmill.domain.error import Unreadable, VersionConflict, no_thread
from threadmill.domain.ids import ProjectId, ThreadId
from threadmill.domain.message import Message
from threadmill.domain.page import Page, PageQuery
from threadmill.domain.patch import NewThread, ThreadPatch
from threadmill.domain.run import Run
from threadmill.domain.thread import Thread
from threadmill.engine.engine import Engine
from threadmill.engine.objects.attachments import attach_files, attached_ids, check_messages, check_resources
from threadmill.engine.objects.messages import capacity_guard, new_messages
from threadmill.engine.objects.store_file_insertion import check_files_supported
from threadmill.engine.ports.store import Delete, Insert, Scope, Update, WriteSet
from threadmill.engine.storage.retention import REMOVED
from threadmill.engine.storage.retry import change
from threadmill.engine.storage.thread_belongings import delete_belongings


async def check_new(engine: Engine, project: ProjectId, new: NewThread) -> None:
    """Everything the request names exists. Raises InvalidRequest, NotFound."""
    await check_resources(engine.ports, project, new.tool_resources)
    await check_messages(engine.ports, project, new.messages)
    if new.new_store is not None:
        await check_files_supported(
            engine.ports, project, new.new_store.files, "tool_resources.file_search.vector_stores"
        )


async def new_thread(
    engine: Engine, project: ProjectId, new: NewThread
) -> tuple[Thread, tuple[Message, ...], WriteSet]:
    """The thread a checked request asks for, its messages, and what has to be written for all. Raises InvalidRequest."""
    now = engine.ports.clock.now()
    found = await attach_files(engine.ports, project, new.tool_resources, new.messages, new.new_store)
    thread = Thread(engine.ports.ids.thread(), project, now, new.metadata, found.resources)
    messages = await new_messages(engine, project, thread.id, new.messages)
    guards = (*capacity_guard(engine, thread.id, new.messages), *found.guards)
    return thread, messages, WriteSet((Insert(thread), *found.writes, *map(Insert, messages)), guards)


async def create(engine: Engine, project: ProjectId, new: NewThread) -> Thread:
    """Store a new thread with its first messages. Raises ThreadFull, InvalidRequest for files, NotFound for a store."""
    await check_new(engine, project, new)

    async def attempt() -> Thread:
        thread, _, writes = await new_thread(engine, project, new)
        await engine.ports.store.apply(writes)
        return thread

    made = await change(engine.ports, attached_ids(new.tool_resources, new.messages), attempt)
    engine.ingester.wake()
    return made


async def retrieve(engine: Engine, project: ProjectId, thread_id: ThreadId) -> Thread:
    """One thread. Raises NotFound."""
    thread = await engine.ports.store.get(Thread, project, thread_id)
    if thread is None:
        raise no_thread(thread_id)
    return thread


async def page(engine: Engine, project: ProjectId, query: PageQuery) -> Page[Thread]:
    """The project's threads (an addition of ours). Raises InvalidRequest for a bad cursor."""
    return await engine.ports.store.page(Thread, Scope(project), query)


async def modify(engine: Engine, project: ProjectId, thread_id: ThreadId, patch: ThreadPatch) -> Thread:
    """Change metadata and tool resources, each as a whole. Raises NotFound, InvalidRequest for files that do not exist."""
    await retrieve(engine, project, thread_id)
    await check_resources(engine.ports, project, patch.tool_resources)

    async def attempt() -> Thread:
        before = await retrieve(engine, project, thread_id)
        after = replace(
            before,
            metadata=before.metadata if patch.metadata is None else patch.metadata,
            tool_resources=before.tool_resources if patch.tool_resources is None else patch.tool_resources,
            version=before.version + 1,
        )
        await engine.ports.store.apply(WriteSet((Update(after, before.version),)))
        return after

    return await change(engine.ports, (thread_id,), attempt)


async def delete(engine: Engine, project: ProjectId, thread_id: ThreadId) -> None:
    """Remove the thread with all that belongs to it. A run active on it is stopped. Raises NotFound."""
    thread = await retrieve(engine, project, thread_id)
    if (retention := engine.ports.retention) is not None:
        while await retention.shrink(thread_id, REMOVED):
            pass  # a long thread that went at once would keep everybody else's writes waiting
    active = await _active_run(engine, thread_id)
    try:
        await engine.ports.store.apply(WriteSet((Delete(Thread, thread_id),)))
    except VersionConflict:
        raise no_thread(thread_id) from None
    if active is not None:
        engine.worker.interrupt(active.id)
        engine.ports.log.close(active.id)
    await engine.ports.sandbox.close(thread_id)
    if engine.settings.delete_thread_files:
        await delete_belongings(engine.ports, thread)


async def _active_run(engine: Engine, thread_id: ThreadId) -> Run | None:
    """None, too, for one that cannot be read: nobody executes it, and it goes with its thread."""
    try:
        return await engine.ports.store.active_run(thread_id)
    except Unreadable:
        return None
