"""Domain event -> SSE frame, ending in `done` (behaviour.md 3.1 to 3.3). Deltas have their own module: `sse_delta.py`."""

from threadmill.domain.error import ThreadmillError
from threadmill.domain.event import Event
from threadmill.domain.message import Message
from threadmill.domain.run import Run
from threadmill.domain.run_step import RunStep
from threadmill.domain.thread import Thread
from threadmill.wire import response, tool_response
from threadmill.wire.error import error_object

DONE_FRAME = b"event: done\ndata: [DONE]\n\n"


def event_frame(seq: int, event: Event, *, include_content: bool = False) -> bytes:
    """A stored event with its number in the run's log as SSE id (an addition of ours).

    `include_content`: the stream's request asked for the texts of search results (behaviour.md 1.8).
    """
    data = response.to_sse_json(_object_json(event, include_content=include_content))
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (seq, event.name.value.encode(), data)


def _object_json(event: Event, *, include_content: bool) -> tool_response.Json:
    subject = event.subject
    match subject:
        case Run():
            return response.run(subject, event=True)
        case RunStep():
            return response.run_step(subject, include_content=include_content)
        case Message():
            return response.message(subject, event=True)
        case Thread():
            return response.thread(subject, fetched=True)


def error_frame(error: ThreadmillError) -> bytes:
    """An error inside a stream, in the shape that makes both SDKs raise (behaviour.md 3.5)."""
    return b"event: error\ndata: %s\n\n" % response.to_sse_json(error_object(error))
