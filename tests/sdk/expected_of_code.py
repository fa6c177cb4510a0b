"""What every client must see of code_interpreter."""

from typing import Any

STEP = ["run.step.created", "run.step.in_progress"]
MESSAGE = [*STEP, "message.created", "message.in_progress", "message.delta", "message.completed", "run.step.completed"]

CALLBACKS = {
    "message_created": 2,
    "message_delta": 9,
    "message_done": 2,
    "text_created": 2,
    "text_delta": 8,
    "text_done": 2,
    "image_file_done": 1,
    "run_step_created": 3,
    "run_step_done": 3,
    "tool_call_created": 1,
    "tool_call_done": 1,
    "end": 1,
}

OF_CODE: dict[str, dict[str, Any]] = {
    "stream_code": {
        "events": [
            *("run.created", "run.queued", "run.in_progress"),
            *MESSAGE,
            *(*STEP, "run.step.delta", "run.step.completed"),
            *MESSAGE,
            "run.completed",
        ],
        "callbacks": CALLBACKS,
        "steps": ["message_creation", "tool_calls", "message_creation"],
        "code": True,
        "outputs": ["drawn\n", "image"],
        "picture": ["assistants_output", True],
        "same picture": True,
        "link": ["file_path", "sandbox:/mnt/data/a.csv", True],
        "linked": "a,b",
        "differences": {
            "run": ["tool_resources"],
            "messages": [],
            "steps": ["expires_at"],
            "last events of steps": ["expires_at"],
            "only in the API or the stream": [],
        },
    },
    "stream_parallel_code": {
        "status": ["requires_action", "completed"],
        "asked": ["weather"],
        # The model writes all three before the first runs; the SDKs tell a call anew when its outputs come behind another.
        "created": 5,
        "printed": ["'é 你好 🎉'\n", "ZeroDivisionError: division by zero"],
        "outputs": ["logs", "image", "image"],
        "function": ["function", None],
        "snapshots": True,
        "shown": ["image_file", "image_file", "text"],
        "in order": True,
    },
    "code_and_poll": {"statuses": ["completed", "completed"], "read": ["may,40"], "kept": ["'MAY,40'"]},
}

DONE_AGAIN = {"stream_code": {"callbacks": CALLBACKS | {"tool_call_done": 3}}}
"""Python's SDK does not forget a call that is done: it tells it again at each later step and at the run's end."""
