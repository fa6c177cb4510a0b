"""Use cases of messages: create, retrieve, list, modify, delete (behaviour.md 4)."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from threadmill.domain.assistant import Metadata
from threadmill.domain.error import Conflict, VersionConflict, messages_locked, no_message, no_thread
from threadmill.domain.ids import MessageId, ProjectId, RunId, ThreadId
from threadmill.domain.message import Message, MessageStatus, NewMessage
from threadmill.domain.page import Page, PageQuery
from threadmill.domain.thread import Thread
from threadmill.domain.tool import ToolResources
from threadmill.engine.engine import Engine
from threadmill.engine.objects.attachments import attach_files, attached_ids, check_messages
from threadmill.engine.ports.store import Delete, Insert, Scope, ThreadCapacity, ThreadIsFree, Update, WriteSet
from threadmill.engine.storage.retry import change

MESSAGES_AT_ONCE = 250
"""Made between two turns of the event loop: ten thousand at once would hold every stream for a tenth of a second."""


async def new_messages(
    engine: Engine, project: ProjectId, thread_id: ThreadId, said: Sequence[NewMessage]
) -> tuple[Message, ...]:
    """The messages callers said, not stored yet. Whatever the role, they belong to no assistant and no run."""
    now, made = engine.ports.clock.now(), list[Message]()
    for new in said:
        if made and len(made) % MESSAGES_AT_ONCE == 0:
            await asyncio.sleep(0)
        made.append(
            Message(
                id=engine.ports.ids.message(),
                project=project,
                thread_id=thread_id,
                created_at=now,
                role=new.role,
                content=new.content,
                completed_at=now,
                attachments=new.attachments,
                metadata=new.metadata,
            )
        )
    return tuple(made)


async def create(engine: Engine, project: ProjectId, thread_id: ThreadId, new: NewMessage) -> Message:
    """Add a message to a thread without an active run (behaviour.md 1.4). Raises NotFound, ThreadLocked, ThreadFull, InvalidRequest."""
    before = await _require_thread(engine, project, thread_id)
    await check_messages(engine.ports, project, [new])

    async def attempt() -> Message:
        thread = await _require_thread(engine, project, thread_id)
        (message,) = await new_messages(engine, project, thread_id, [new])
        found = await attach_files(engine.ports, project, thread.tool_resources, [new])
        writes = (*found.writes, *with_resources(thread, found.resources), Insert(message))
        guards = (ThreadIsFree(thread_id), *capacity_guard(engine, thread_id, [new]), *found.guards)
        try:
            await engine.ports.store.apply(WriteSet(writes, guards))
        except VersionConflict:
            await _require_thread(engine, project, thread_id)
            active = await engine.ports.store.active_run(thread_id)
            if active is not None:
                raise messages_locked(thread_id, active.id) from None
            raise
        return message

    # Who only says something changes nothing of the thread: nobody has to wait for that.
    ids = (thread_id, *attached_ids(before.tool_resources, [new])) if new.attachments else ()
    made = await change(engine.ports, ids, attempt)
    wake_ingester_for(engine, [new])
    return made


def wake_ingester_for(engine: Engine, said: Sequence[NewMessage]) -> None:
    """Have the files read that the messages may have handed to a vector store."""
    if any(message.attachments for message in said):
        engine.ingester.wake()


def capacity_guard(engine: Engine, thread_id: ThreadId, said: Sequence[NewMessage]) -> tuple[ThreadCapacity, ...]:
    """The guard that the thread can hold what is said; none for nothing."""
    return (ThreadCapacity(thread_id, len(said), engine.settings.max_messages),) if said else ()


def with_resources(thread: Thread, resources: ToolResources) -> tuple[Update, ...]:
    """What has to be written so that the thread has these resources; nothing if it has."""
    if resources == thread.tool_resources:
        return ()
    return (Update(replace(thread, tool_resources=resources, version=thread.version + 1), thread.version),)


async def _require_thread(engine: Engine, project: ProjectId, thread_id: ThreadId) -> Thread:
    thread = await engine.ports.store.get(Thread, project, thread_id)
    if thread is None:
        raise no_thread(thread_id)
    return thread


async def retrieve(engine: Engine, project: ProjectId, thread_id: ThreadId, message_id: MessageId) -> Message:
    """One message of the thread; one that a run is writing here with all its text so far. Raises NotFound."""
    message = await engine.ports.store.get(Message, project, message_id)
    if message is None or message.thread_id != thread_id:
        await _require_thread(engine, project, thread_id)
        raise no_message(message_id)
    return engine.worker.so_far(message)


async def page(
    engine: Engine, project: ProjectId, thread_id: ThreadId, query: PageQuery, run_id: RunId | None
) -> Page[Message]:
    """Messages of the thread, of one run if asked. Raises NotFound, InvalidRequest for a bad cursor."""
    await _require_thread(engine, project, thread_id)
    found = await engine.ports.store.page(Message, Scope(project, thread_id, run_id), query)
    return replace(found, items=[engine.worker.so_far(message) for message in found.items])


async def modify(
    engine: Engine, project: ProjectId, thread_id: ThreadId, message_id: MessageId, metadata: Metadata | None
) -> Message:
    """Replace the metadata. Raises NotFound, Conflict."""

    async def attempt() -> Message:
        before = await _retrieve_closed(engine, project, thread_id, message_id)
        if metadata is None:
            return before
        after = replace(before, metadata=metadata, version=before.version + 1)
        await engine.ports.store.apply(WriteSet((Update(after, before.version),)))
        return after

    return await change(engine.ports, (message_id,), attempt)


async def _retrieve_closed(engine: Engine, project: ProjectId, thread_id: ThreadId, message_id: MessageId) -> Message:
    """The message, unless a run is writing it right now: only its worker changes it then."""
    message = await retrieve(engine, project, thread_id, message_id)
    if message.status is MessageStatus.IN_PROGRESS:
        raise Conflict(f"Can't change message {message_id} while run {message.run_id} is writing it.")
    return message


async def delete(engine: Engine, project: ProjectId, thread_id: ThreadId, message_id: MessageId) -> None:
    """Remove the message. Raises NotFound."""
    await _retrieve_closed(engine, project, thread_id, message_id)
    try:
        await engine.ports.store.apply(WriteSet((Delete(Message, message_id),)))
    except VersionConflict:
        raise no_message(message_id) from None
