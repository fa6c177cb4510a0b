"""Notes spans in the record of a run that is executed. Nothing is written for them: the next commit that changes
the run has them.
"""

from collections.abc import Generator
from contextlib import contextmanager

from threadmill.domain.outcome import Usage
from threadmill.domain.run_record import Milliseconds, ModelSpan, ToolSpan
from threadmill.engine.ports.model import FinishReason, ModelError
from threadmill.engine.running.draft import CodeDraft, SearchDraft
from threadmill.engine.running.execution import Execution

INTERRUPTED = "The run was ended, or its worker stopped, before the answer was whole."


class ModelCall:
    """One question to a model while it is answered. `messages`, `left_out`: of the prompt."""

    def __init__(self, execution: Execution, messages: int, left_out: int) -> None:
        self._execution: Execution = execution
        self._messages: int = messages
        self._left_out: int = left_out
        self._began_at: Milliseconds = execution.milliseconds()
        self._first_piece_at: Milliseconds | None = None
        self.failed_attempts: tuple[str, ...] = ()

    def note_first_piece(self) -> None:
        """The answer has begun."""
        self._first_piece_at = self._execution.milliseconds()

    def note_end(self, finish: FinishReason, usage: Usage) -> None:
        """The answer is whole."""
        self._note(finish=finish.value, usage=usage)

    @contextmanager
    def noting_failure(self) -> Generator[None]:
        """Whatever ends the answer before its time is noted, and goes on."""
        try:
            yield
        except ModelError as error:
            self._note(error=error.message)
            raise
        except BaseException:
            self._note(error=INTERRUPTED)
            raise

    def _note(self, finish: str | None = None, usage: Usage | None = None, error: str | None = None) -> None:
        execution = self._execution
        span = ModelSpan(
            self._began_at,
            execution.milliseconds(),
            execution.ports.model.get_info(execution.run.model).upstream,
            self._first_piece_at,
            self._messages,
            self._left_out,
            finish,
            usage or Usage(),
            self.failed_attempts,
            error,
        )
        execution.note(span)


@contextmanager
def noting_tool(execution: Execution, draft: CodeDraft | SearchDraft, tool: str) -> Generator[None]:
    """One call of a tool of this server's own, until it is answered or its run ends."""
    began_at, error = execution.milliseconds(), None
    try:
        yield
    except BaseException:
        error = INTERRUPTED
        raise
    finally:
        execution.note(ToolSpan(began_at, execution.milliseconds(), draft.id, tool, draft.error or error))
