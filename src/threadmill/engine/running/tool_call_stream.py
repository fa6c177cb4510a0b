"""The tool calls of a turn, while the model writes them: drafts grow, deltas tell it."""

from threadmill.domain import command as c
from threadmill.domain.decide import open_step
from threadmill.domain.delta import ArgumentsDelta, CodeInputDelta, Delta, ToolCallStarted
from threadmill.domain.ids import CallId
from threadmill.domain.outcome import ErrorCode, Usage
from threadmill.domain.run_step import RunStep, RunStepType
from threadmill.engine.ports.model import ModelError, ToolCallPiece
from threadmill.engine.prompt.tool_functions import is_code_interpreter_call, is_file_search_call, search_tool
from threadmill.engine.running.answer_references import AnswerReferences
from threadmill.engine.running.draft import CallDraft, CodeDraft, FunctionDraft, SearchDraft
from threadmill.engine.running.execution import Execution


class ToolCallStreamer:
    """All calls of one turn, which are one step. Each is known by its place in it."""

    def __init__(self, execution: Execution, references: AnswerReferences) -> None:
        self._execution: Execution = execution
        self._next_search: int = references.next_search
        self._by_index: dict[int, tuple[int, CallDraft]] = {}
        self._ids: set[CallId] = set()

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._by_index)

    async def add_piece(self, piece: ToolCallPiece) -> None:
        """A piece of a call; its first one opens it. Raises ModelError for one call too many."""
        place, call = self._by_index.get(piece.index) or await self._open(piece)
        if piece.arguments:
            self._append_arguments(place, call, piece.arguments)

    def finish(self) -> None:
        """The model is done: what calls kept back is told."""
        for place, call in enumerate(self._execution.draft.calls):
            if isinstance(call, CodeDraft):
                self._publish_input(place, call.reader.close())
            elif isinstance(call, FunctionDraft) and not call.arguments.strip():
                # A function without parameters is often called with nothing at all; clients parse the arguments as JSON.
                self._append_arguments(place, call, "{}")

    async def _open(self, piece: ToolCallPiece) -> tuple[int, CallDraft]:
        execution = self._execution
        place, most = len(self._by_index), execution.settings.max_calls
        if place >= most:
            raise ModelError(ErrorCode.SERVER_ERROR, f"The model's answer has more than {most} tool calls.")
        if not place:
            await self._open_step()
        given = CallId(piece.id) if piece.id else None
        # Upstreams lie about ids: one that is missing or was used is replaced, or outputs could not be told apart.
        call_id = execution.ports.ids.call() if given is None or given in self._ids else given
        call = self._new_draft(call_id, piece.name or "")
        execution.draft.calls.append(call)
        self._ids.add(call_id)
        self._by_index[piece.index] = place, call
        self._publish(ToolCallStarted(self._step, place, call.call()))
        return place, call

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
            await execution.open(opened)
            return
        # The turn's usage is not known yet; it goes to the step of the calls, which ends the turn.
        await execution.open(c.CloseMessage(execution.draft.content(), Usage()), opened)
        execution.draft.clear_message()

    @property
    def _step(self) -> RunStep:
        return open_step(self._execution.state, RunStepType.TOOL_CALLS)

    def _append_arguments(self, place: int, call: CallDraft, arguments: str) -> None:
        if isinstance(call, CodeDraft):
            self._publish_input(place, call.reader.feed(arguments))
            return
        call.pieces.append(arguments)
        if isinstance(call, SearchDraft):
            return  # the wire has no place for what is searched for
        self._publish(ArgumentsDelta(self._step, place, (arguments,)))

    def _publish_input(self, place: int, code: str) -> None:
        if code:
            self._publish(CodeInputDelta(self._step, place, (code,)))

    def _publish(self, delta: Delta) -> None:
        self._execution.tell(delta)
