"""Domain event -> SSE frame, ending in `done` (behaviour.md 3.1 to 3.4).

`delta_frame` is the hot path: bytes joined around one encoded string per piece. A test proves it equal to the SDK's
own model of the event.
"""

from collections.abc import Sequence
from typing import assert_never

import msgspec

from threadmill.domain.error import ThreadmillError
from threadmill.domain.event import ArgumentsDelta, CallOpened, Delta, Event, RefusalDelta, TextDelta
from threadmill.domain.message import Message
from threadmill.domain.run import Run
from threadmill.domain.run_step import RunStep
from threadmill.domain.thread import Thread
from threadmill.wire import object as o
from threadmill.wire import tool
from threadmill.wire.error import error_object

DONE_FRAME = b"event: done\ndata: [DONE]\n\n"

_STRING = msgspec.json.Encoder().encode


def event_frame(seq: int, event: Event, *, include_content: bool = False) -> bytes:
    """A stored event with its number in the run's log as SSE id (an addition of ours).

    `include_content`: the stream's request asked for the texts of search results (behaviour.md 1.8).
    """
    data = o.compact(_shown(event, include_content=include_content))
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (seq, event.name.value.encode(), data)


def _shown(event: Event, *, include_content: bool) -> tool.Json:
    subject = event.subject
    match subject:
        case Run():
            return o.run(subject, event=True)
        case RunStep():
            return o.run_step(subject, include_content=include_content)
        case Message():
            return o.message(subject, event=True)
        case Thread():
            return o.thread(subject, fetched=True)


def error_frame(error: ThreadmillError) -> bytes:
    """An error inside a stream, in the shape that makes both SDKs raise (behaviour.md 3.5)."""
    return b"event: error\ndata: %s\n\n" % o.compact(error_object(error))


def delta_frame(delta: Delta) -> bytes:
    """The frames of a delta, one for each piece; nothing for no pieces."""
    match delta:
        case TextDelta():
            return _text_frames(delta)
        case ArgumentsDelta(step, index, pieces):
            head = _step_head(step) + b'{"index":%d,"type":"function","function":{"arguments":' % index
            return _frames(head, pieces, b"}}]}}}\n\n")
        case CallOpened(step, index, call_id, name):
            head = _step_head(step) + b'{"index":%d,"id":' % index
            function = b',"type":"function","function":{"name":%s,"arguments":"","output":null}}]}}}\n\n'
            return head + _STRING(call_id) + function % _STRING(name)
        case RefusalDelta(message, index, pieces):
            return _frames(_REFUSAL % (message.id.encode(), index), pieces, b"}]}}\n\n")
        case _:
            assert_never(delta)


_TEXT = (
    b'event: thread.message.delta\ndata: {"id":"%s","object":"thread.message.delta","delta":{"content":['
    b'{"index":%d,"type":"text","text":{"value":'
)
_REFUSAL = (
    b'event: thread.message.delta\ndata: {"id":"%s","object":"thread.message.delta","delta":{"content":['
    b'{"index":%d,"type":"refusal","refusal":'
)


def _text_frames(delta: TextDelta) -> bytes:
    head = _TEXT % (delta.message.id.encode(), delta.index)
    if not delta.first:
        return _frames(head, delta.pieces, b"}}]}}\n\n")
    # Only the first delta of a part carries annotations (behaviour.md 3.4).
    first = _frames(head, delta.pieces[:1], b',"annotations":[]}}]}}\n\n')
    return first + _frames(head, delta.pieces[1:], b"}}]}}\n\n")


def _frames(head: bytes, pieces: Sequence[str], tail: bytes) -> bytes:
    if len(pieces) == 1:
        return head + _STRING(pieces[0]) + tail
    if not pieces:
        return b""
    # What stands between two pieces is one constant, so the loop runs in C.
    return head + (tail + head).join(map(_STRING, pieces)) + tail


def _step_head(step: RunStep) -> bytes:
    return (
        b'event: thread.run.step.delta\ndata: {"id":"%s","object":"thread.run.step.delta",'
        b'"delta":{"step_details":{"type":"tool_calls","tool_calls":[' % step.id.encode()
    )
