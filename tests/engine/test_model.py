"""The run as a model: hypothesis drives clients, model, clock and dying workers; ten invariants hold after each rule.

The same machine runs on memory and on SQLite (style 8.1).
"""

import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.support.databases import prepared
from tests.support.postgres import fresh_database
from tests.support.stage import PROJECT, Stage, Turn, WorkerDied
from threadmill.adapters.memory.store import MemoryStore
from threadmill.adapters.postgres.store import PostgresStore
from threadmill.adapters.sqlite.store import SqliteStore
from threadmill.adapters.system.troubles import LoggedTroubles
from threadmill.domain.error import Conflict, ThreadLocked
from threadmill.domain.event import Event
from threadmill.domain.fold import fold
from threadmill.domain.ids import CallId, RunId, ThreadId
from threadmill.domain.message import Message, MessageRole, MessageStatus, NewMessage, TextPart
from threadmill.domain.outcome import ErrorCode, Usage
from threadmill.domain.run import ACTIVE, RUN_TRANSITIONS, TERMINAL, NewRun, Run, RunStatus
from threadmill.domain.run_step import RunStep, RunStepStatus
from threadmill.domain.tool import ToolOutput
from threadmill.engine.objects import messages, runs
from threadmill.engine.ports.model import Finish, FinishReason, ModelError, ToolCallPiece
from threadmill.engine.ports.store import StoredEvent
from threadmill.engine.running.reaper import FOREVER, sweep

SAID = NewMessage(MessageRole.USER, (TextPart("hi"),))


class RunMachine(RuleBasedStateMachine):
    """Threads and runs as clients, the model and bad luck move them."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.loop.set_exception_handler(lambda _, __: None)  # workers die here on purpose
        self.directory = Path(tempfile.mkdtemp(prefix="threadmill-model-"))
        self.threads: list[ThreadId] = []
        self.runs: list[RunId] = []
        self.seen: dict[RunId, RunStatus] = {}
        self.stage = self.run(self.open())

    async def open(self) -> Stage:
        return Stage(MemoryStore(), max_runs=2)

    def run(self, work: Any) -> Any:
        return self.loop.run_until_complete(work)

    def teardown(self) -> None:
        async def end() -> None:
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if isinstance(self.stage.store, SqliteStore | PostgresStore):
                await self.stage.store.close()

        self.run(end())
        self.loop.close()
        shutil.rmtree(self.directory)

    @initialize()
    def begin(self) -> None:
        self.assistant = self.run(self.stage.assistant("f"))
        for _ in range(2):
            self.threads.append(self.run(self.stage.thread("hello")).id)

    @property
    def hungry(self) -> list[Turn]:
        return [turn for turn in self.stage.model.turns if turn.is_hungry]

    def all_runs(self) -> list[Run]:
        found = [self.run(self.stage.store.get(Run, PROJECT, run_id)) for run_id in self.runs]
        return [run for run in found if run is not None]

    @rule(number=st.integers(0, 1))
    def create_run(self, number: int) -> None:
        thread = self.threads[number]
        locked = any(run.thread_id == thread and run.status in ACTIVE for run in self.all_runs())
        try:
            accepted = self.run(runs.create(self.stage.engine, PROJECT, thread, NewRun(self.assistant.id)))
        except ThreadLocked:
            assert locked
            return
        assert not locked
        self.runs.append(accepted.run.id)
        self.run(self.stage.settle())

    @rule(number=st.integers(0, 1))
    def add_message(self, number: int) -> None:
        thread = self.threads[number]
        locked = any(run.thread_id == thread and run.status in ACTIVE for run in self.all_runs())
        try:
            self.run(messages.create(self.stage.engine, PROJECT, thread, SAID))
        except ThreadLocked:
            assert locked
            return
        assert not locked

    @precondition(lambda self: self.hungry)
    @rule(data=st.data())
    def model_speaks(self, data: st.DataObject) -> None:
        data.draw(st.sampled_from(self.hungry)).say("some ", "words ")
        self.run(self.stage.settle())

    @precondition(lambda self: self.hungry)
    @rule(data=st.data(), finish=st.sampled_from(FinishReason))
    def model_ends(self, data: st.DataObject, finish: FinishReason) -> None:
        data.draw(st.sampled_from(self.hungry)).end(Finish(finish), Usage(3, 2))
        self.run(self.stage.settle())

    @precondition(lambda self: self.hungry)
    @rule(data=st.data(), names=st.lists(st.sampled_from(["f", "unknown"]), min_size=1, max_size=3))
    def model_calls(self, data: st.DataObject, names: list[str]) -> None:
        calls = [ToolCallPiece(n, f"call_{n}", name, "{}") for n, name in enumerate(names)]
        data.draw(st.sampled_from(self.hungry)).end(*calls, Finish(FinishReason.TOOL_CALLS), Usage(3, 2))
        self.run(self.stage.settle())

    @precondition(lambda self: self.hungry)
    @rule(data=st.data(), calls=st.booleans())
    def model_says_all_at_once(self, data: st.DataObject, calls: bool) -> None:
        reason = FinishReason.TOOL_CALLS if calls else FinishReason.STOP
        made = [ToolCallPiece(0, "call_0", "f", "{}")] if calls else []
        data.draw(st.sampled_from(self.hungry)).end("all ", "words ", *made, Finish(reason), Usage(3, 2))
        self.run(self.stage.settle())

    @precondition(lambda self: self.hungry)
    @rule(data=st.data())
    def model_fails(self, data: st.DataObject) -> None:
        data.draw(st.sampled_from(self.hungry)).fail(ModelError(ErrorCode.RATE_LIMIT_EXCEEDED, "slow down"))
        self.run(self.stage.settle())

    @precondition(lambda self: self.runs)
    @rule(data=st.data(), wrong=st.booleans())
    def submit(self, data: st.DataObject, wrong: bool) -> None:
        run_id = data.draw(st.sampled_from(self.runs))
        run = self.run(self.stage.store.get(Run, PROJECT, run_id))
        ids = [call.id for call in run.required_action]
        outputs = tuple(ToolOutput(call_id, "out") for call_id in ([*ids, CallId("call_x")] if wrong else ids))
        try:
            self.run(runs.submit_tool_outputs(self.stage.engine, PROJECT, run.thread_id, run_id, outputs))
        except Conflict:
            assert wrong or run.status is not RunStatus.REQUIRES_ACTION
        else:
            assert not wrong
            assert run.status is RunStatus.REQUIRES_ACTION
        self.run(self.stage.settle())

    @precondition(lambda self: self.runs)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        run_id = data.draw(st.sampled_from(self.runs))
        run = self.run(self.stage.store.get(Run, PROJECT, run_id))
        try:
            answer = self.run(runs.cancel(self.stage.engine, PROJECT, run.thread_id, run_id))
        except Conflict as refused:
            assert run.status in TERMINAL or run.status is RunStatus.CANCELLING
            assert refused.message == f"Cannot cancel run with status '{run.status}'."
        else:
            assert answer.status is RunStatus.CANCELLING
            assert run.status in ACTIVE
        self.run(self.stage.settle())

    @rule(seconds=st.sampled_from([1, 31, 601]))
    def time_passes(self, seconds: int) -> None:
        self.stage.clock.at += seconds
        now = self.stage.clock.at
        self.run(self.stage.worker.heartbeat())
        self.run(sweep(self.stage.ports, self.stage.worker, now, leases_before=now))
        self.run(self.stage.worker.claim_waiting())
        self.run(self.stage.settle())

    @rule(calls=st.integers(0, 3), after=st.booleans(), data=st.data())
    def worker_dies(self, calls: int, after: bool, data: st.DataObject) -> None:
        """At any port call from now on, before it or after it took effect; then a new process rescues."""
        mortal = self.stage.mortal
        mortal.calls_left, mortal.after = calls, after
        for turn in self.hungry:
            turn.end("last words", Finish(FinishReason.STOP), Usage(1, 1))
        self.run(self._die())
        self.stage.hire()
        self.run(sweep(self.stage.ports, self.stage.worker, self.stage.clock.at, leases_before=FOREVER))
        self.run(self.stage.worker.claim_waiting())
        self.run(self.stage.settle())

    async def _die(self) -> None:
        tasks = [task for task in asyncio.all_tasks() if task.get_name().startswith("run_")]
        if tasks:
            await asyncio.wait(tasks, timeout=None)
        for task in tasks:
            assert task.exception() is None or isinstance(task.exception(), WorkerDied)

    @invariant()
    def ten_invariants_hold(self) -> None:
        for run in self.all_runs():
            log = self.run(self.stage.store.events(run.id))
            self._statuses_follow_the_table(run, log)
            self._the_log_tells_the_truth(run, log)
            self._everything_opened_is_closed(run)
            self._a_late_reader_reads_the_same(run, log)
        for thread in self.threads:
            assert sum(run.thread_id == thread and run.status in ACTIVE for run in self.all_runs()) <= 1
        assert self.stage.surprises == []

    def _statuses_follow_the_table(self, run: Run, log: list[StoredEvent]) -> None:
        before = self.seen.get(run.id)
        assert before not in TERMINAL or before is run.status
        self.seen[run.id] = run.status
        told = [one.event.subject.status for one in log if isinstance(one.event.subject, Run)][1:]
        for earlier, later in zip(told, told[1:], strict=False):
            assert later in RUN_TRANSITIONS[earlier].values(), (earlier, later)
        assert sum(status in TERMINAL for status in told) == (run.status in TERMINAL)

    def _the_log_tells_the_truth(self, run: Run, log: list[StoredEvent]) -> None:
        assert [one.seq for one in log] == list(range(1, len(log) + 1))
        folded = fold(one.event for one in log)
        assert folded.run is not None
        assert folded.run.status is run.status
        steps: list[RunStep] = self.run(self.stage.store.steps(run.id))
        assert [step.id for step in steps] == list(folded.steps)
        for step in steps:
            assert folded.steps[step.id].status is step.status
        if run.is_terminal:
            assert list(folded.steps.values()) == steps
            assert run.usage == sum((step.usage for step in steps if step.usage), Usage())
            assert isinstance(log[-1].event, Event)
            assert isinstance(log[-1].event.subject, Run)

    def _everything_opened_is_closed(self, run: Run) -> None:
        steps: list[RunStep] = self.run(self.stage.store.steps(run.id))
        is_open = [step for step in steps if step.status is RunStepStatus.IN_PROGRESS]
        assert len(is_open) <= 1
        said: list[Message] = self.run(self.stage.store.history(run.thread_id))
        writing = [m for m in said if m.run_id == run.id and m.status is MessageStatus.IN_PROGRESS]
        assert len(writing) <= 1
        if run.is_terminal:
            assert is_open == []
            assert writing == []

    def _a_late_reader_reads_the_same(self, run: Run, log: list[StoredEvent]) -> None:
        """Whatever its cursor, a reader of an ended run gets a suffix of the log."""
        if not run.is_terminal:
            return

        async def read(after: int) -> list[StoredEvent]:
            tail = self.stage.ports.log.tail(run.id, after)
            return [entry async for batch in tail for entry in batch if isinstance(entry, StoredEvent)]

        got: list[StoredEvent] = self.run(read(len(log) // 2))
        ends = [n for n, one in enumerate(log) if isinstance(one.event.subject, Run) and _is_end(one.event.subject)]
        first = next(end for end in ends if end >= len(log) // 2)
        assert got == log[len(log) // 2 : first + 1]


def _is_end(run: Run) -> bool:
    return run.status in TERMINAL or run.status is RunStatus.REQUIRES_ACTION


class SqliteRunMachine(RunMachine):
    """The same on SQLite."""

    async def open(self) -> Stage:
        return Stage(await SqliteStore.open(prepared(self.directory / "threadmill.db"), LoggedTroubles()), max_runs=2)


class PostgresRunMachine(RunMachine):
    """The same on PostgreSQL."""

    async def open(self) -> Stage:
        return Stage(await PostgresStore.open(await fresh_database(), LoggedTroubles()), max_runs=2)


PROFILE = settings(
    max_examples=60,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


@pytest.mark.parametrize("machine", [RunMachine, SqliteRunMachine, PostgresRunMachine])
def test_the_run_keeps_its_ten_invariants(machine: type[RunMachine]) -> None:
    examples = {RunMachine: 200, SqliteRunMachine: 40, PostgresRunMachine: 8}[machine]
    run_state_machine_as_test(machine, settings=settings(PROFILE, max_examples=examples))  # pyright: ignore[reportUnknownMemberType] - untyped
