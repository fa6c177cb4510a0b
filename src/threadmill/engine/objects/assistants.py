"""Use cases of assistants: create, retrieve, list, modify, delete (behaviour.md 6)."""

from dataclasses import fields, replace

from threadmill.domain.assistant import Assistant
from threadmill.domain.error import VersionConflict, no_assistant
from threadmill.domain.ids import AssistantId, ProjectId
from threadmill.domain.page import Page, PageQuery
from threadmill.domain.patch import AssistantPatch, NewAssistant
from threadmill.engine.engine import Engine
from threadmill.engine.objects.attachments import check_resources
from threadmill.engine.objects.store_file_insertion import build_store, check_files_supported
from threadmill.engine.ports.store import Delete, Insert, Scope, Update, Write, WriteSet
from threadmill.engine.storage.retry import change


async def create(engine: Engine, project: ProjectId, new: NewAssistant) -> Assistant:
    """Store a new assistant, with the vector store it asks for. Raises InvalidRequest for files that do not exist, NotFound."""
    await check_resources(engine.ports, project, new.tool_resources)
    values = {field.name: getattr(new, field.name) for field in fields(new) if field.name != "new_store"}
    now = engine.ports.clock.now()
    assistant = Assistant(id=engine.ports.ids.assistant(), project=project, created_at=now, **values)
    writes: tuple[Write, ...] = ()
    if new.new_store is not None:
        await check_files_supported(
            engine.ports, project, new.new_store.files, "tool_resources.file_search.vector_stores"
        )
        made = build_store(engine.ports, project, new.new_store)
        resources = replace(assistant.tool_resources, vector_store_ids=(made.store.id,))
        assistant, writes = replace(assistant, tool_resources=resources), made.writes
    await engine.ports.store.apply(WriteSet((*writes, Insert(assistant))))
    engine.ingester.wake()
    return assistant


async def retrieve(engine: Engine, project: ProjectId, assistant_id: AssistantId) -> Assistant:
    """One assistant. Raises NotFound."""
    assistant = await engine.ports.store.get(Assistant, project, assistant_id)
    if assistant is None:
        raise no_assistant(assistant_id)
    return assistant


async def page(engine: Engine, project: ProjectId, query: PageQuery) -> Page[Assistant]:
    """The project's assistants. Raises InvalidRequest for a bad cursor."""
    return await engine.ports.store.page(Assistant, Scope(project), query)


async def modify(engine: Engine, project: ProjectId, assistant_id: AssistantId, patch: AssistantPatch) -> Assistant:
    """Change what the patch speaks of, metadata and tools as a whole. Raises NotFound, InvalidRequest for files that do not exist."""
    await retrieve(engine, project, assistant_id)
    await check_resources(engine.ports, project, patch.values.tool_resources)
    values = {name: getattr(patch.values, name) for name in patch.fields}

    async def attempt() -> Assistant:
        before = await retrieve(engine, project, assistant_id)
        after = replace(before, **values, version=before.version + 1)
        await engine.ports.store.apply(WriteSet((Update(after, before.version),)))
        return after

    return await change(engine.ports, (assistant_id,), attempt)


async def delete(engine: Engine, project: ProjectId, assistant_id: AssistantId) -> None:
    """Remove the assistant; its runs stay. Raises NotFound."""
    await retrieve(engine, project, assistant_id)
    try:
        await engine.ports.store.apply(WriteSet((Delete(Assistant, assistant_id),)))
    except VersionConflict:
        raise no_assistant(assistant_id) from None
