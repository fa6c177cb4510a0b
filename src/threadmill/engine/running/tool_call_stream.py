"""The tool calls of a turn, while the model writes them: drafts grow, deltas tell it."""

from threadmill.domain import command as c
from threadmill.domain.decide import open_step
from threadmill.domain.delta import ArgumentsDelta, CodeInputDelta, Delta, ToolCallStarted
from threadmill.domain.ids import CallId
from threadmill.domain.outcome import Usage
from threadmill.domain.run_step import RunStep, RunStepType
from threadmill.engine.ports.model import ToolCallPiece
from threadmill.engine.prompt.tool_functions import is_code_interpreter_call, is_file_search_call, search_tool
from threadmill.engine.running.answer_references import AnswerReferences
from threadmill.engine.running.draft import CallDraft, CodeDraft, FunctionDraft, SearchDraft
from threadmill.engine.running.execution import Execution


class ToolCallStreamer:
    """All calls of one turn, which are one step."""

    def __init__(self, execution: Execution, references: AnswerReferences) -> None:
        self._execution: Execution = execution
        self._next_search: int = references.next_search
        self._by_index: dict[int, CallDraft] = {}

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._by_index)

    async def add_piece(self, piece: ToolCallPiece) -> None:
        """A piece of a call; its first one opens it."""
        call = self._by_index.get(piece.index)
        if call is None:
            call = await self._open(piece)
        if piece.arguments:
            self._append_arguments(call, piece.arguments)

    def finish(self) -> None:
        """The model is done: what calls kept back is told."""
        for call in self._execution.draft.calls:
            if isinstance(call, CodeDraft):
                self._publish_input(call, call.reader.close())
            elif isinstance(call, FunctionDraft) and not call.arguments.strip():
                # A function without parameters is often called with nothing at all; clients parse the arguments as JSON.
                self._append_arguments(call, "{}")

    async def _open(self, piece: ToolCallPiece) -> CallDraft:
        execution = self._execution
        if not self._by_index:
            await self._open_step()
        taken = {call.id for call in execution.draft.calls}
        given = CallId(piece.id) if piece.id else None
        # Upstreams lie about ids: one that is missing or was used is replaced, or outputs could not be told apart.
        call_id = execution.ports.ids.call() if given is None or given in taken else given
        call = self._new_draft(call_id, piece.name or "")
        execution.draft.calls.append(call)
        self._by_index[piece.index] = call
        self._publish(ToolCallStarted(self._step, len(self._by_index) - 1, call.call()))
        return call

    def _new_draft(self, call_id: CallId, name: str) -> CallDraft:
        run = self._execution.run
        if is_code_interpreter_call(run, name):
            return CodeDraft(call_id)
        tool = search_tool(run)
        if tool is None or not is_file_search_call(run, name):
            return FunctionDraft(call_id, name)
        self._next_search += 1
        return SearchDraft(call_id, self._next_search - 1, tool.ranking_options)

    async def _open_step(self) -> None:
        execution = self._execution
        opened = c.OpenToolCalls(execution.ports.ids.step())
        if execution.state.message is None:
            await execution.apply(opened)
            return
        # The turn's usage is not known yet; it goes to the step of the calls, which ends the turn.
        await execution.apply(c.CloseMessage(execution.draft.content(), Usage()), opened)
        execution.draft.clear_message()

    @property
    def _step(self) -> RunStep:
        return open_step(self._execution.state, RunStepType.TOOL_CALLS)

    def _append_arguments(self, call: CallDraft, arguments: str) -> None:
        if isinstance(call, CodeDraft):
            self._publish_input(call, call.reader.feed(arguments))
            return
        call.pieces.append(arguments)
        if isinstance(call, SearchDraft):
            return  # the wire has no place for what is searched for
        self._publish(ArgumentsDelta(self._step, self._execution.draft.calls.index(call), (arguments,)))

    def _publish_input(self, call: CodeDraft, code: str) -> None:
        if code:
            self._publish(CodeInputDelta(self._step, self._execution.draft.calls.index(call), (code,)))

    def _publish(self, delta: Delta) -> None:
        self._execution.ports.log.publish_delta(self._execution.run.id, delta)
