"""Delta -> SSE frames (behaviour.md 3.4).

This is the hot path: bytes joined around one encoded string per piece. A test proves each frame equal to the SDK's own
model of the event.
"""

from collections.abc import Sequence
from typing import assert_never

import msgspec

from threadmill.domain.delta import (
    AnnotationDelta,
    ArgumentsDelta,
    CodeInputDelta,
    CodeOutputDelta,
    Delta,
    ImageDelta,
    RefusalDelta,
    TextDelta,
    ToolCallStarted,
)
from threadmill.domain.message import Annotation, Message
from threadmill.domain.run_step import RunStep
from threadmill.wire import response, tool_response

_encode_string = msgspec.json.Encoder().encode


def delta_frame(delta: Delta) -> bytes:
    """The frames of a delta, one for each piece; nothing for no pieces."""
    match delta:
        case TextDelta():
            return _text_frames(delta)
        case ArgumentsDelta(step, index, pieces):
            head = _step_head(step) + b'{"index":%d,"type":"function","function":{"arguments":' % index
            return _frames(head, pieces, b"}}]}}}\n\n")
        case CodeInputDelta(step, index, pieces):
            head = _step_head(step) + b'{"index":%d,"type":"code_interpreter","code_interpreter":{"input":' % index
            return _frames(head, pieces, b"}}]}}}\n\n")
        case RefusalDelta(message, index, pieces):
            return _frames(_REFUSAL_HEAD % (message.id.encode(), index), pieces, b"}]}}\n\n")
        case ToolCallStarted(step, index, call):
            return _step_frame(step, index, tool_response.tool_call(call))
        case CodeOutputDelta(step, index, number, output):
            shown = {"outputs": [{"index": number, **tool_response.code_output(output)}]}
            return _step_frame(step, index, {"type": "code_interpreter", "code_interpreter": shown})
        case ImageDelta(message, index, part):
            return _part_frame(message, index, response.content_part(part))
        case AnnotationDelta(message, index, number, annotation):
            text = {"value": annotation.text, "annotations": [_annotation(annotation, number)]}
            return _part_frame(message, index, {"type": "text", "text": text})
        case _:
            assert_never(delta)


_TEXT_HEAD = (
    b'event: thread.message.delta\ndata: {"id":"%s","object":"thread.message.delta","delta":{"content":['
    b'{"index":%d,"type":"text","text":{"value":'
)
_REFUSAL_HEAD = (
    b'event: thread.message.delta\ndata: {"id":"%s","object":"thread.message.delta","delta":{"content":['
    b'{"index":%d,"type":"refusal","refusal":'
)


def _text_frames(delta: TextDelta) -> bytes:
    head = _TEXT_HEAD % (delta.message.id.encode(), delta.index)
    if not delta.first:
        return _frames(head, delta.pieces, b"}}]}}\n\n")
    # Only the first delta of a part carries annotations (behaviour.md 3.4).
    first = _frames(head, delta.pieces[:1], b',"annotations":[]}}]}}\n\n')
    return first + _frames(head, delta.pieces[1:], b"}}]}}\n\n")


def _frames(head: bytes, pieces: Sequence[str], tail: bytes) -> bytes:
    if len(pieces) == 1:
        return head + _encode_string(pieces[0]) + tail
    if not pieces:
        return b""
    # What stands between two pieces is one constant, so the loop runs in C.
    return head + (tail + head).join(map(_encode_string, pieces)) + tail


def _step_head(step: RunStep) -> bytes:
    return (
        b'event: thread.run.step.delta\ndata: {"id":"%s","object":"thread.run.step.delta",'
        b'"delta":{"step_details":{"type":"tool_calls","tool_calls":[' % step.id.encode()
    )


def _step_frame(step: RunStep, index: int, call: tool_response.Json) -> bytes:
    return _step_head(step) + response.to_sse_json({"index": index, **call}) + b"]}}}\n\n"


def _part_frame(message: Message, index: int, part: tool_response.Json) -> bytes:
    delta = {"content": [{"index": index, **part}]}
    shown = {"id": message.id, "object": "thread.message.delta", "delta": delta}
    return b"event: thread.message.delta\ndata: %s\n\n" % response.to_sse_json(shown)


def _annotation(value: Annotation, number: int) -> tool_response.Json:
    """An annotation in a delta. Citations have an empty `quote` here, and only here (behaviour.md 3.4)."""
    shown = {"index": number, **response.annotation(value)}
    if value.type == "file_citation":
        shown["file_citation"] = {"file_id": value.file_id, "quote": ""}
    return shown
