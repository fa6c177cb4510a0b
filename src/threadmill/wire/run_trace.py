"""A run's record as a trace: spans with the names of OpenTelemetry's GenAI conventions, so that exporting is a mapping.

An addition of ours. Times are seconds since the epoch, with fractions; what has not ended has null.
"""

from collections.abc import Iterable, Sequence

from threadmill.domain.ids import Instant
from threadmill.domain.run import Run
from threadmill.domain.run_record import MAX_SPANS, Milliseconds, ModelSpan, Span, ToolSpan
from threadmill.domain.run_step import RunStep, RunStepStatus
from threadmill.domain.tool import FunctionCall
from threadmill.wire.tool_response import Json

WAITED_FOR_CLIENT = frozenset({RunStepStatus.COMPLETED, RunStepStatus.IN_PROGRESS})
"""Statuses of a step whose functions the client has answered, or still may."""


def run_trace(run: Run, steps: Sequence[RunStep]) -> Json:
    """The whole trace: the run, and within it what it waited for, asked and called, in the order it began.

    `steps`: all of the run's.
    """
    began = float(run.created_at)
    spans = [_queue(run), *map(_span, run.record), *(one for step in steps for one in _functions(step))]
    return {
        "object": "thread.run.trace",
        "run_id": run.id,
        "thread_id": run.thread_id,
        "is_whole": len(run.record) < MAX_SPANS,
        "span": {
            "name": f"invoke_agent {run.assistant_id}",
            "kind": "run",
            "start_time": began,
            "end_time": _ended_at(run),
            "attributes": _of_run(run),
            "spans": sorted(spans, key=lambda span: span["start_time"]),
        },
    }


def _ended_at(run: Run) -> float | None:
    found = (run.completed_at, run.failed_at, run.cancelled_at)
    ends = [*(float(one) for one in found if one is not None), *(one.ended_at / 1000 for one in run.record)]
    return max(ends, default=float(run.created_at)) if run.is_terminal else None


def _of_run(run: Run) -> Json:
    return {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.id": run.assistant_id,
        "gen_ai.conversation.id": run.thread_id,
        "gen_ai.request.model": run.model,
        **_tokens(run.usage.prompt_tokens, run.usage.completion_tokens),
        "error.type": None if run.last_error is None else run.last_error.code,
        "threadmill.run.status": run.status,
        "threadmill.run.take_overs": run.rescues,
        "threadmill.run.claims": run.epoch,
    }


def _queue(run: Run) -> Json:
    """Whole seconds: neither time is stored finer. A run that was resumed has the start of its last part as its own."""
    starts = [float(run.started_at)] if run.started_at is not None else []
    starts += [_seconds(run.record[0].began_at)] if run.record else []
    return {
        "name": "queue",
        "kind": "queue",
        "start_time": float(run.created_at),
        "end_time": min(starts, default=None),
        "attributes": {},
        "spans": [],
    }


def _seconds_of(at: Instant | None) -> float | None:
    return None if at is None else float(at)


def _span(span: Span) -> Json:
    return _model(span) if isinstance(span, ModelSpan) else _tool(span)


def _model(span: ModelSpan) -> Json:
    first = None if span.first_piece_at is None else (span.first_piece_at - span.began_at) / 1000
    return {
        "name": "chat",
        "kind": "model",
        "start_time": _seconds(span.began_at),
        "end_time": _seconds(span.ended_at),
        "attributes": {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": span.upstream,
            "gen_ai.response.finish_reasons": [] if span.finish is None else [span.finish],
            **_tokens(span.usage.prompt_tokens, span.usage.completion_tokens),
            "gen_ai.usage.cached_tokens": span.usage.cached_tokens,
            "gen_ai.usage.reasoning_tokens": span.usage.reasoning_tokens,
            "error.message": span.error,
            "threadmill.first_token_seconds": first,
            "threadmill.messages.sent": span.messages,
            "threadmill.messages.left_out": span.left_out,
            "threadmill.failed_attempts": list(span.failed_attempts),
        },
        "spans": [],
    }


def _tokens(prompt: int, completion: int) -> Json:
    return {"gen_ai.usage.input_tokens": prompt, "gen_ai.usage.output_tokens": completion}


def _tool(span: ToolSpan) -> Json:
    return _call((span.tool, span.tool), span.call_id, (_seconds(span.began_at), _seconds(span.ended_at)), span.error)


def _functions(step: RunStep) -> Iterable[Json]:
    """Functions are the client's: they last from when it was asked until it answered, in whole seconds."""
    for call in step.tool_calls:
        if isinstance(call, FunctionCall):
            ended = step.completed_at or step.failed_at or step.cancelled_at or step.expired_at
            error = None if step.status in WAITED_FOR_CLIENT else f"The step is {step.status}."
            yield _call(("function", call.name), call.id, (float(step.created_at), _seconds_of(ended)), error)


def _call(tool: tuple[str, str], call_id: str, times: tuple[float, float | None], error: str | None) -> Json:
    """`tool`: its type and its name."""
    kind, name = tool
    return {
        "name": f"execute_tool {name}",
        "kind": "tool",
        "start_time": times[0],
        "end_time": times[1],
        "attributes": {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": name,
            "gen_ai.tool.type": kind,
            "gen_ai.tool.call.id": call_id,
            "error.message": error,
        },
        "spans": [],
    }


def _seconds(at: Milliseconds) -> float:
    return at / 1000
