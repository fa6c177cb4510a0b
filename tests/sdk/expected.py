"""What every client must see, check by check; then the few things in which an SDK differs by its own making."""

from typing import Any

from tests.sdk.expected_of_code import DONE_AGAIN, OF_CODE
from tests.sdk.expected_of_files import NO_NAME, OF_FILES

SPEAKS = ["run.step.created", "run.step.in_progress", "message.created", "message.in_progress", "message.delta"]
STARTS = ["run.created", "run.queued", "run.in_progress", *SPEAKS]
HAS_SPOKEN = ["message.completed", "run.step.completed"]

SAME: dict[str, list[str]] = {
    # Both differences are the service's own: events show `tool_resources` that answers do not (behaviour.md 1.1), and a
    # step's `expires_at` goes when its run has ended (2.1).
    "run": ["tool_resources"],
    "messages": [],
    "steps": ["expires_at"],
    "last events of steps": ["expires_at"],
    "only in the API or the stream": [],
}
"""What the SDK's accumulators hold at a stream's end, compared with what the API returns afterwards."""

SAME_SINCE_THE_OUTPUTS = SAME | {"only in the API or the stream": ["messages", "steps"]}
"""A stream of submitted outputs begins behind the calls: the messages and steps before them are not its own."""

EXPECTED: dict[str, dict[str, Any]] = {
    "create_and_poll": {"status": "completed", "texts": ["one two"], "usage adds up": True},
    "create_then_poll": {"created": "queued", "polled": "completed", "same": True},
    "create_and_run": {
        "created": "queued",
        "polled": ["completed", "completed"],
        "texts": ["hi", "You said: hi"],
        "metadata": {"a": "b"},
    },
    "submit_tool_outputs_and_poll": {
        "waiting": "requires_action",
        "calls": [["weather", '{"city": "Oslo"}'], ["weather", "{}"]],
        "status": "completed",
        "required_action": None,
        "steps": ["tool_calls", "message_creation"],
        "kept": ["sun", "rain"],
        "texts": ["sun and rain"],
    },
    "submit_tool_outputs_then_poll": {
        "only one of two": ["BadRequestError", 400, None, None],
        "submitted": "queued",
        "polled": "completed",
        "too late": ["BadRequestError", 400, None, None],
    },
    "cancel": {
        "told": "cancelling",
        "ended": "cancelled",
        "again": ["BadRequestError", 400, None, None],
        "thread is free": True,
    },
    "cancel_while_the_client_is_asked": {"waiting": "requires_action", "ended": "cancelled"},
    "every_parameter_of_a_run": {
        "status": "completed",
        "not echoed": [],
        "tools": ["weather"],
        "texts": ["say: old", "say: the newest", "the newest"],
    },
    "runs_that_do_not_complete": {
        "rate limit": ["failed", "rate_limit_exceeded"],
        "server error": ["failed", "server_error"],
        "too long": ["incomplete", "max_completion_tokens", "incomplete", "max_tokens"],
        "filtered": "failed",
    },
    "run_steps": {
        "newest first": [["tool_calls", "in_progress"], ["message_creation", "completed"]],
        "retrieved": True,
        "one by one": [1, True],
        "missing": ["NotFoundError", 404, None, None],
    },
    "modify_a_run": {"metadata": {"a": "b"}, "same": True},
    "a_locked_thread": {
        "message": ["BadRequestError", 400, None, None],
        "run": ["BadRequestError", 400, None, None],
        "stream": ["BadRequestError", 400, None, None],
        "read": 1,
    },
    "stream_silence": {"status": "completed", "text": "first later", "events": [*STARTS, *HAS_SPOKEN, "run.completed"]},
    "stream_text": {
        "events": [*STARTS, *HAS_SPOKEN, "run.completed"],
        "callbacks": {
            "event": 13,
            "run_step_created": 1,
            "message_created": 1,
            "text_created": 1,
            "message_delta": 3,
            "text_delta": 3,
            "text_done": 1,
            "message_done": 1,
            "run_step_done": 1,
            "end": 1,
        },
        "status": "completed",
        "text": "one two three",
        "differences": SAME,
    },
    "stream_parallel_calls": {
        "events": [
            *STARTS,
            *HAS_SPOKEN,
            "run.step.created",
            "run.step.in_progress",
            "run.step.delta",
            "run.requires_action",
        ],
        "callbacks": {
            "event": 19,
            "run_step_created": 2,
            "message_created": 1,
            "text_created": 1,
            "message_delta": 2,
            "text_delta": 2,
            "text_done": 1,
            "message_done": 1,
            "run_step_done": 1,
            "tool_call_created": 2,
            "run_step_delta": 5,
            "tool_call_delta": 3,
            "tool_call_done": 2,
            "end": 1,
        },
        "status": "requires_action",
        "arguments": [["weather", '{"city": "Oslo"}'], ["weather", "{}"]],
        "asked": True,
    },
    "stream_while_the_client_is_asked": {
        "status": "requires_action",
        "differences": {
            "run": ["tool_resources"],
            "messages": [],
            "steps": [],
            "last events of steps": ["step_details"],
            "only in the API or the stream": [],
        },
    },
    "submit_tool_outputs_stream": {
        "events": ["run.step.completed", "run.queued", "run.in_progress", *SPEAKS, *HAS_SPOKEN, "run.completed"],
        "callbacks": {
            "event": 13,
            "run_step_done": 2,
            "run_step_created": 1,
            "message_created": 1,
            "text_created": 1,
            "message_delta": 3,
            "text_delta": 3,
            "text_done": 1,
            "message_done": 1,
            "end": 1,
        },
        "status": "completed",
        "text": "it is sunny",
        "differences": SAME_SINCE_THE_OUTPUTS,
    },
    "submit_inside_the_handler": {
        "outer": ["requires_action", "wait", 1],
        "inner": ["completed", "it is sunny", 1],
        "differences": SAME_SINCE_THE_OUTPUTS,
    },
    "submit_inside_the_loop": {"text": "it is sunny", "status": "completed"},
    "create_and_run_stream": {
        "events": ["created", *STARTS, *HAS_SPOKEN, "run.completed"],
        "status": "completed",
        "differences": SAME,
    },
    "plain_event_streams": {
        "create": ["thread.run.created", "thread.run.requires_action"],
        "submit": ["thread.run.step.completed", "thread.run.completed"],
        "create_and_run": ["thread.created", "thread.run.completed"],
    },
    "stream_tricky_text": {"exact": True, "whole": True, "status": "completed"},
    "stream_long_text": {"exact": True, "length": 14999, "deltas": 3000, "differences": SAME},
    "stream_refusal": {
        "part": ["refusal", "I would rather not"],
        "callbacks": {"message_delta": 4, "text_delta": 0, "message_done": 1},
        "differences": SAME,
    },
    "stream_failed": {
        "events": [*STARTS, "message.incomplete", "run.step.failed", "run.failed"],
        "status": ["failed", "server_error"],
        "messages": ["incomplete"],
        "exceptions": 0,
        "differences": SAME,
    },
    "stream_incomplete": {
        "events": [*STARTS, "message.incomplete", "run.step.completed", "run.incomplete"],
        "status": ["incomplete", "max_completion_tokens"],
        "messages": ["incomplete"],
        "differences": SAME,
    },
    "stream_cancelled": {
        "told": ["cancelling"],
        "events": [*STARTS, "run.cancelling", "message.incomplete", "run.step.cancelled", "run.cancelled"],
        "status": "cancelled",
        "messages": [["incomplete", "run_cancelled"]],
        "exceptions": 0,
        "differences": SAME,
    },
    "stream_closed_early": {"status": "completed", "texts": ["a b c d e f"]},
    "stream_refused": {"thread": ["NotFoundError", 404, None, None], "assistant": ["NotFoundError", 404, None, None]},
    "stream_that_times_out": {
        "raised": "a timeout",
        "callbacks": {"timeout": 1, "exception": 1, "end": 1},
        "the run went on": "in_progress",
    },
    "many_streams_at_once": {
        "texts": [
            "answer 0 of many",
            "answer 1 of many",
            "answer 2 of many",
            "answer 3 of many",
            "answer 4 of many",
            "answer 5 of many",
            "answer 6 of many",
            "answer 7 of many",
        ],
        "statuses": ["completed"],
    },
    "assistants": {
        "made": ["A", "D", "I", 0.5, "json_object"],
        "changed": ["B", "D", {"c": "d"}],
        "found": True,
        "gone": [True, "assistant.deleted"],
        "after": ["NotFoundError", 404, None, None],
    },
    "threads": {
        "metadata": [{}, {"a": "b"}, {"a": "b"}],
        "gone": [True, "thread.deleted"],
        "after": ["NotFoundError", 404, None, None],
    },
    "messages": {
        "parts": ["text", "image_url"],
        "detail": "auto",
        "role": "assistant",
        "metadata": {"c": "d"},
        "gone": [True, "thread.message.deleted"],
        "left": 2,
    },
    "lists_page_by_themselves": {
        "pages": [10, 10, 5],
        "newest first": ["24", "23"],
        "all": 25,
        "turned": True,
        "before": 2,
    },
    "every_list": {
        "assistants": True,
        "runs": True,
        "steps": True,
        "bad limit": ["BadRequestError", 400, "limit", "integer_above_max_value"],
    },
    "models": {
        "listed": True,
        "one": ["rehearsal", "model"],
        "missing": ["NotFoundError", 404, "model", "model_not_found"],
    },
    "raw_answers": {
        "status": 200,
        "version": "2020-10-01",
        "request id": True,
        "milliseconds": True,
        "type": "application/json",
        "parsed": ["thread", {"a": "b"}],
        "on the object": True,
    },
    "streaming_answers": {
        "type": "text/event-stream; charset=utf-8",
        "last": ["event: done", "data: [DONE]"],
        "objects": ["thread.message", "thread.message.delta", "thread.run", "thread.run.step"],
        "parsed": True,
    },
    "options": {
        "listed": 1,
        "extra body": {"a": "b"},
        "no beta header": "thread",
        "the old beta": ["BadRequestError", 400, None, "invalid_beta"],
        "unknown parameter": ["BadRequestError", 400, "nonsense", "unknown_parameter"],
    },
    "errors_by_class": {
        "bad value": ["BadRequestError", 400, "role", "invalid_value"],
        "empty": ["BadRequestError", 400, "content", "invalid_value"],
        "missing": ["NotFoundError", 404, None, None],
        "undefined": ["BadRequestError", 400, "thread_id", "invalid_value"],
        "no such run": ["NotFoundError", 404, None, None],
        "no such message": ["NotFoundError", 404, None, None],
        "bad cursor": ["BadRequestError", 400],
        "no such route": ["NotFoundError", 404, None, None],
        "wrong method": ["APIStatusError", 405, None, "method_not_supported"],
        "metadata": ["BadRequestError", 400, "metadata", "object_above_max_properties"],
    },
    "keys_and_projects": {
        "own": True,
        "of another project": ["NotFoundError", 404, None, None],
        "wrong key": ["AuthenticationError", 401, None, "invalid_api_key"],
    },
    "retries_over_a_restart": {"kept": {"a": "b"}, "retried": True},
    "retries_a_503_when_told": {
        "without retries": ["InternalServerError", 503, None, None],
        "statuses": [503, 503, 200],
        "retry-after": ["1", "250"],
        "said once": True,
    },
    "a_stream_cut_by_a_restart": {
        "raised": "APIError",
        "callbacks": {"exception": 1, "end": 1},
        "status": "completed",
        "newest": "onetwo",
    },
    **OF_FILES,
    **OF_CODE,
}

FROZEN = {
    "python": ("steps", {"status", "completed_at", "failed_at", "cancelled_at", "last_error", "usage"}),
    "node-4": ("messages", {"status", "completed_at", "incomplete_at", "incomplete_details"}),
}
"""Fields of snapshots these SDKs do not take over from closing events: final steps in Python stay `in_progress`, final
messages in Node 4 too. Their deltas are exact all the same, and the closing events are compared on their own."""

OWN: dict[tuple[str, str], dict[str, Any]] = {
    ("node-4", "stream_failed"): {"messages": ["in_progress"]},
    ("node-4", "stream_cancelled"): {"messages": [["in_progress", None]]},
    **{(node, check): own for node in ("node-4", "node-7") for check, own in NO_NAME.items()},
}

RAISES = {("node-4", "stream_incomplete"): "Final run has not been received"}
"""Node 4 knows the event `thread.run.incomplete` but not that it ends a run."""


def expected(sdk: str, check: str) -> dict[str, Any]:
    """What this SDK must see."""
    own = DONE_AGAIN if sdk.startswith("python") else {}
    return EXPECTED[check] | own.get(check, {}) | OWN.get((sdk, check), {})


def without_frozen(sdk: str, seen: dict[str, Any]) -> dict[str, Any]:
    """What was seen, less the fields this SDK leaves as they were."""
    for prefix, (kind, fields) in FROZEN.items():
        if sdk.startswith(prefix) and "differences" in seen:
            kept = [field for field in seen["differences"][kind] if field not in fields]
            return seen | {"differences": seen["differences"] | {kind: kept}}
    return seen
