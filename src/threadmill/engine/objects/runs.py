"""Use cases of runs: create, cancel, submit tool outputs, modify, read. Each write is one transaction.

The pattern of all: read, decide, build a write set, commit; on VersionConflict somebody was faster, so read and decide again.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from threadmill.domain import command as c
from threadmill.domain.assistant import Assistant, Metadata
from threadmill.domain.decide import Decision, RunState, decide
from threadmill.domain.error import (
    InvalidRequest,
    RunNotUpdatable,
    VersionConflict,
    no_assistant,
    no_run,
    no_run_step,
    no_thread,
    runs_locked,
)
from threadmill.domain.event import Event, EventName
from threadmill.domain.ids import ProjectId, RunId, RunStepId, ThreadId
from threadmill.domain.message import MessageRole, NewMessage
from threadmill.domain.page import Page, PageQuery
from threadmill.domain.patch import NewThread
from threadmill.domain.replacement import replace
from threadmill.domain.run import NewRun, Run, RunStatus
from threadmill.domain.run_step import RunStep
from threadmill.domain.thread import Thread
from threadmill.domain.tool import ToolOutput, ToolResources
from threadmill.engine.engine import Engine
from threadmill.engine.objects.attachments import attach_files, attached_ids, check_messages
from threadmill.engine.objects.messages import capacity_guard, new_messages, wake_ingester_for, with_resources
from threadmill.engine.objects.threads import check_new, new_thread
from threadmill.engine.ports.store import Insert, Scope, ThreadIsFree, Update, WriteSet
from threadmill.engine.running.commit import commit, write_set
from threadmill.engine.running.reaper import load_progress
from threadmill.engine.running.worker import with_claim
from threadmill.engine.storage.retry import change


@dataclass(frozen=True, slots=True)
class CreatedRun:
    """A run as its caller shall see it, and the log position right before what this call caused."""

    run: Run
    cursor: int


async def create(engine: Engine, project: ProjectId, thread_id: ThreadId, new: NewRun) -> CreatedRun:
    """Create a run on a thread (behaviour.md 1.8). Raises NotFound, ThreadLocked, ThreadFull, InvalidRequest."""
    await check_messages(engine.ports, project, new.additional_messages)
    before = await _thread(engine, project, thread_id)

    async def attempt() -> CreatedRun:
        assistant = await _assistant(engine, project, new)
        thread = await _thread(engine, project, thread_id)
        found = await attach_files(engine.ports, project, thread.tool_resources, new.additional_messages)
        run = _new_run(engine, assistant, replace(thread, tool_resources=found.resources), new)
        await _check_context(engine, run, new.additional_messages)
        messages = await new_messages(engine, project, thread_id, new.additional_messages)
        writes = (*found.writes, *with_resources(thread, found.resources), *(Insert(message) for message in messages))
        guards = (ThreadIsFree(thread_id), *capacity_guard(engine, thread_id, new.additional_messages), *found.guards)
        try:
            return await _accept(engine, run, WriteSet(writes, guards), ())
        except VersionConflict:
            await _raise_if_locked(engine, thread_id)
            raise

    ids = (thread_id, *attached_ids(before.tool_resources, new.additional_messages))
    accepted = await change(engine.ports, ids, attempt)
    wake_ingester_for(engine, new.additional_messages)
    return accepted


async def create_with_thread(engine: Engine, project: ProjectId, made: NewThread, new: NewRun) -> CreatedRun:
    """Create a thread and run it at once (behaviour.md 1.10). Raises NotFound, ThreadFull, InvalidRequest."""
    assistant = await _assistant(engine, project, new)
    made = replace(made, tool_resources=new.tool_resources or made.tool_resources)
    await check_new(engine, project, made)

    async def attempt() -> CreatedRun:
        thread, messages, base = await new_thread(engine, project, made)
        run = _new_run(engine, assistant, thread, new)
        if not run.instructions and not any(message.role is MessageRole.USER for message in messages):
            raise _no_context()
        return await _accept(engine, run, base, (Event(EventName.THREAD_CREATED, thread),))

    accepted = await change(engine.ports, attached_ids(made.tool_resources, made.messages), attempt)
    if made.new_store is not None:
        engine.ingester.wake()
    wake_ingester_for(engine, made.messages)
    return accepted


async def _accept(engine: Engine, run: Run, base: WriteSet, before: tuple[Event, ...]) -> CreatedRun:
    """Store the run: claimed and started in the same commit when this process has room (ADR-0006), else queued."""
    created = (*before, Event(EventName.RUN_CREATED, run), Event(EventName.RUN_QUEUED, run))
    place = engine.worker.reserve(run.model) if engine.executes else None
    if place is None:
        await commit(
            engine.ports, run.id, replace(base, writes=(*base.writes, Insert(run)), run_id=run.id, events=created)
        )
        return CreatedRun(run, 0)
    try:
        started = _start(engine, RunState(run))
        writes = (*base.writes, Insert(started.state.run))
        transaction = replace(base, writes=writes, run_id=run.id, events=(*created, *started.events))
        await commit(engine.ports, run.id, transaction)
    except BaseException:
        engine.worker.release(place)
        raise
    engine.ports.metrics.queue_time(0.0)
    engine.worker.start(started.state, place)
    return CreatedRun(run, 0)


def _start(engine: Engine, progress: RunState) -> Decision:
    now = engine.ports.clock.now()
    return decide(replace(progress, run=with_claim(progress.run, now, engine.settings.lease)), c.Start(), now)


async def _thread(engine: Engine, project: ProjectId, thread_id: ThreadId) -> Thread:
    thread = await engine.ports.store.get(Thread, project, thread_id)
    if thread is None:
        raise no_thread(thread_id)
    return thread


async def _assistant(engine: Engine, project: ProjectId, new: NewRun) -> Assistant:
    assistant = await engine.ports.store.get(Assistant, project, new.assistant_id)
    if assistant is None:
        raise no_assistant(new.assistant_id)
    return assistant


def _new_run(engine: Engine, assistant: Assistant, thread: Thread, new: NewRun) -> Run:
    """The run with its overrides; what the request leaves out is the assistant's (behaviour.md 1.8)."""
    now = engine.ports.clock.now()
    instructions = assistant.instructions if new.instructions is None else new.instructions
    if new.additional_instructions:
        instructions = "\n".join(filter(None, (instructions, new.additional_instructions)))
    return Run(
        id=engine.ports.ids.run(),
        project=assistant.project,
        thread_id=thread.id,
        assistant_id=assistant.id,
        created_at=now,
        model=new.model or assistant.model,
        instructions=instructions,
        tools=assistant.tools if new.tools is None else new.tools,
        tool_resources=_joined(assistant.tool_resources, thread.tool_resources),
        metadata=new.metadata,
        temperature=assistant.temperature if new.temperature is None else new.temperature,
        top_p=assistant.top_p if new.top_p is None else new.top_p,
        reasoning_effort=new.reasoning_effort or assistant.reasoning_effort,
        max_prompt_tokens=new.max_prompt_tokens,
        max_completion_tokens=new.max_completion_tokens,
        truncation=new.truncation,
        tool_choice=new.tool_choice,
        parallel_tool_calls=new.parallel_tool_calls,
        response_format=new.response_format or assistant.response_format,
        options=new.options,
        expires_at=now + engine.settings.run_ttl,
    )


def _joined(assistant: ToolResources, thread: ToolResources) -> ToolResources:
    files = (*(assistant.file_ids or ()), *(thread.file_ids or ()))
    stores = (*(assistant.vector_store_ids or ()), *(thread.vector_store_ids or ()))
    return ToolResources(files or None, stores or None)


async def _check_context(engine: Engine, run: Run, added: Sequence[NewMessage]) -> None:
    """Behaviour.md 1.8: a run needs instructions or something a user said."""
    if run.instructions or any(message.role is MessageRole.USER for message in added):
        return
    history = await engine.ports.store.history(run.thread_id)
    if not any(message.role is MessageRole.USER for message in history):
        raise _no_context()


def _no_context() -> InvalidRequest:
    text = "Run creation requires a Thread with a user message or an assistant with instructions."
    return InvalidRequest(text, code="invalid_thread")


async def _raise_if_locked(engine: Engine, thread_id: ThreadId) -> None:
    active = await engine.ports.store.active_run(thread_id)
    if active is not None:
        raise runs_locked(thread_id, active.id)


async def retrieve(engine: Engine, project: ProjectId, thread_id: ThreadId, run_id: RunId) -> Run:
    """One run of the thread. Raises NotFound."""
    run = await engine.ports.store.get(Run, project, run_id)
    if run is None or run.thread_id != thread_id:
        if await engine.ports.store.get(Thread, project, thread_id) is None:
            raise no_thread(thread_id)
        raise no_run(run_id)
    return run


async def page(engine: Engine, project: ProjectId, thread_id: ThreadId, query: PageQuery) -> Page[Run]:
    """Runs of the thread. Raises NotFound, InvalidRequest for a bad cursor."""
    if await engine.ports.store.get(Thread, project, thread_id) is None:
        raise no_thread(thread_id)
    return await engine.ports.store.page(Run, Scope(project, thread_id), query)


async def modify(
    engine: Engine, project: ProjectId, thread_id: ThreadId, run_id: RunId, metadata: Metadata | None
) -> Run:
    """Replace the metadata of a run that is not active (behaviour.md 1.9). Raises NotFound, RunNotUpdatable."""

    async def attempt() -> Run:
        run = await retrieve(engine, project, thread_id, run_id)
        if not run.is_terminal:
            raise RunNotUpdatable(f"Cannot update run with status '{run.status}'.")
        changed = run if metadata is None else replace(run, metadata=metadata, version=run.version + 1)
        await engine.ports.store.apply(WriteSet((Update(changed, run.version),)))
        return changed

    return await change(engine.ports, (run_id,), attempt)


async def cancel(engine: Engine, project: ProjectId, thread_id: ThreadId, run_id: RunId) -> Run:
    """Cancel an active run (behaviour.md 1.5, ADR-0013). The answer shows `cancelling`.

    Raises NotFound, RunNotCancellable.
    """

    async def attempt() -> Run:
        run = await retrieve(engine, project, thread_id, run_id)
        before = await load_progress(engine.ports, run) if run.lease_until is None else RunState(run)
        now = engine.ports.clock.now()
        decisions = [decide(before, c.Cancel(), now)]
        cancelling = decisions[0].state.run
        if run.lease_until is None:
            decisions.append(decide(decisions[0].state, c.FinishCancel(), now))
        await commit(engine.ports, before.run.id, write_set(before, decisions))
        engine.worker.interrupt(run_id)
        return cancelling

    return await change(engine.ports, (run_id,), attempt)


async def submit_tool_outputs(
    engine: Engine, project: ProjectId, thread_id: ThreadId, run_id: RunId, outputs: tuple[ToolOutput, ...]
) -> CreatedRun:
    """Answer a required action; the run goes on (behaviour.md 1.6). Raises NotFound, OutputsNotAccepted, WrongToolOutputs."""

    async def attempt() -> CreatedRun:
        run = await retrieve(engine, project, thread_id, run_id)
        waits = run.status is RunStatus.REQUIRES_ACTION
        before = await load_progress(engine.ports, run) if waits else RunState(run)
        if waits and before.step is None:
            raise VersionConflict("the step was answered between the two reads")
        queued = decide(before, c.SubmitToolOutputs(outputs), engine.ports.clock.now())
        first = await _resume(engine, before, queued)
        return CreatedRun(queued.state.run, first - 1)

    return await change(engine.ports, (run_id,), attempt)


async def _resume(engine: Engine, before: RunState, queued: Decision) -> int:
    place = engine.worker.reserve(before.run.model) if engine.executes else None
    if place is None:
        first = await commit(engine.ports, before.run.id, write_set(before, [queued]))
        engine.worker.wake()
        return first
    try:
        started = _start(engine, queued.state)
        first = await commit(engine.ports, before.run.id, write_set(before, [queued, started]))
    except BaseException:
        engine.worker.release(place)
        raise
    engine.worker.start(started.state, place)
    return first


async def step_page(engine: Engine, project: ProjectId, run: Run, query: PageQuery) -> Page[RunStep]:
    """Steps of the run. Raises InvalidRequest for a bad cursor."""
    return await engine.ports.store.page(RunStep, Scope(project, run.thread_id, run.id), query)


async def all_steps(engine: Engine, run: Run) -> Sequence[RunStep]:
    """Every step of the run, in order."""
    return await engine.ports.store.steps(run.id)


async def retrieve_step(engine: Engine, project: ProjectId, run: Run, step_id: RunStepId) -> RunStep:
    """One step of the run. Raises NotFound."""
    step = await engine.ports.store.get(RunStep, project, step_id)
    if step is None or step.run_id != run.id:
        raise no_run_step(step_id)
    return step
