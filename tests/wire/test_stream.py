"""SSE frames: byte for byte, and through the official client's own decoder and models."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai._streaming import SSEDecoder  # pyright: ignore[reportPrivateImportUsage] - what clients really read with
from openai.types.beta.threads import (
    MessageDelta,
    MessageDeltaEvent,
    RefusalDeltaBlock,
    TextDeltaBlock,
)
from openai.types.beta.threads import (
    TextDelta as SdkText,
)
from openai.types.beta.threads.runs import (
    FunctionToolCallDelta,
    RunStepDelta,
    RunStepDeltaEvent,
    ToolCallDeltaObject,
)
from openai.types.beta.threads.runs.function_tool_call_delta import Function
from pydantic import BaseModel

from tests.wire import frames, samples
from tests.wire.recorded import bare_message, bare_step
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
from threadmill.domain.error import InvalidRequest
from threadmill.domain.event import Event, EventName
from threadmill.domain.ids import CallId, FileId
from threadmill.domain.message import Annotation, ImageFilePart
from threadmill.domain.tool import CodeInterpreterCall, CodeOutput, FunctionCall
from threadmill.wire.sse_delta import delta_frame
from threadmill.wire.sse_event import DONE_FRAME, error_frame, event_frame

MESSAGE, STEP = bare_message("msg_1"), bare_step("step_1")
ANY_TEXT = st.text() | st.sampled_from(
    ['"', "\\", "\n", "\r\n", "\x00", "\x7f", "\u2028", "\u0085", "🌮", "data: x\n\n", "</s>"]
)

GOLDEN = """\
id: 1
event: thread.created
data: {"id":"thread_1","object":"thread","created_at":1,"metadata":{},"tool_resources":{"code_interpreter":{"file_ids":[]}}}

event: thread.message.delta
data: {"id":"msg_1","object":"thread.message.delta","delta":{"content":[{"index":0,"type":"text","text":{"value":"Hél","annotations":[]}}]}}

event: thread.message.delta
data: {"id":"msg_1","object":"thread.message.delta","delta":{"content":[{"index":0,"type":"text","text":{"value":"lo"}}]}}

event: thread.message.delta
data: {"id":"msg_1","object":"thread.message.delta","delta":{"content":[{"index":0,"type":"text","text":{"value":" \\"you\\"\\n"}}]}}

event: thread.message.delta
data: {"id":"msg_1","object":"thread.message.delta","delta":{"content":[{"index":1,"type":"refusal","refusal":"no"}]}}

event: thread.run.step.delta
data: {"id":"step_1","object":"thread.run.step.delta","delta":{"step_details":{"type":"tool_calls","tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"add","arguments":"","output":null}}]}}}

event: thread.run.step.delta
data: {"id":"step_1","object":"thread.run.step.delta","delta":{"step_details":{"type":"tool_calls","tool_calls":[{"index":0,"type":"function","function":{"arguments":"{\\"a\\":"}}]}}}

event: thread.run.step.delta
data: {"id":"step_1","object":"thread.run.step.delta","delta":{"step_details":{"type":"tool_calls","tool_calls":[{"index":0,"type":"function","function":{"arguments":"1}"}}]}}}

event: thread.run.step.delta
data: {"id":"step_1","object":"thread.run.step.delta","delta":{"step_details":{"type":"tool_calls","tool_calls":[{"index":1,"id":"call_2","type":"code_interpreter","code_interpreter":{"input":"","outputs":[]}}]}}}

event: thread.run.step.delta
data: {"id":"step_1","object":"thread.run.step.delta","delta":{"step_details":{"type":"tool_calls","tool_calls":[{"index":1,"type":"code_interpreter","code_interpreter":{"input":"1 +"}}]}}}

event: thread.run.step.delta
data: {"id":"step_1","object":"thread.run.step.delta","delta":{"step_details":{"type":"tool_calls","tool_calls":[{"index":1,"type":"code_interpreter","code_interpreter":{"outputs":[{"index":0,"type":"logs","logs":"2"}]}}]}}}

event: thread.run.step.delta
data: {"id":"step_1","object":"thread.run.step.delta","delta":{"step_details":{"type":"tool_calls","tool_calls":[{"index":1,"type":"code_interpreter","code_interpreter":{"outputs":[{"index":1,"type":"image","image":{"file_id":"file-1"}}]}}]}}}

event: thread.message.delta
data: {"id":"msg_1","object":"thread.message.delta","delta":{"content":[{"index":0,"type":"image_file","image_file":{"file_id":"file-1","detail":"auto"}}]}}

event: thread.message.delta
data: {"id":"msg_1","object":"thread.message.delta","delta":{"content":[{"index":1,"type":"text","text":{"value":"sandbox:/mnt/data/a","annotations":[{"index":0,"type":"file_path","text":"sandbox:/mnt/data/a","start_index":0,"end_index":19,"file_path":{"file_id":"file-1"}}]}}]}}

event: error
data: {"error":{"message":"no","type":"invalid_request_error","param":"p","code":"c"}}

event: done
data: [DONE]

"""


def test_a_stream_reads_as_the_golden_transcript() -> None:
    deltas: list[Delta] = [
        TextDelta(MESSAGE, 0, ("Hél", "lo"), first=True),
        TextDelta(MESSAGE, 0, (' "you"\n',)),
        RefusalDelta(MESSAGE, 1, ("no",)),
        ToolCallStarted(STEP, 0, FunctionCall(CallId("call_1"), "add", "")),
        ArgumentsDelta(STEP, 0, ('{"a":', "1}")),
        ToolCallStarted(STEP, 1, CodeInterpreterCall(CallId("call_2"), "")),
        CodeInputDelta(STEP, 1, ("1 +",)),
        CodeOutputDelta(STEP, 1, 0, CodeOutput(logs="2")),
        CodeOutputDelta(STEP, 1, 1, CodeOutput(image=FileId("file-1"))),
        ImageDelta(MESSAGE, 0, ImageFilePart(FileId("file-1"))),
        AnnotationDelta(MESSAGE, 1, 0, Annotation("file_path", "sandbox:/mnt/data/a", 0, 19, FileId("file-1"))),
    ]
    created = event_frame(1, Event(EventName.THREAD_CREATED, next(samples.threads())))
    failed = error_frame(InvalidRequest("no", param="p", code="c"))
    assert b"".join([created, *map(delta_frame, deltas), failed, DONE_FRAME]).decode() == GOLDEN


@pytest.mark.parametrize("first", [True, False])
def test_a_delta_without_pieces_is_no_frame(first: bool) -> None:
    assert delta_frame(TextDelta(MESSAGE, 0, (), first=first)) == b""
    assert delta_frame(ArgumentsDelta(STEP, 0, ())) == b""


def test_the_texts_of_search_results_are_streamed_only_when_asked_for() -> None:
    completed = next(one for one in samples.events() if one.name is EventName.STEP_COMPLETED)
    assert b'"content"' not in event_frame(1, completed)
    assert b'"content":[{"type":"text","text":"one"}' in event_frame(1, completed, include_content=True)


def _as_sent(model: BaseModel, order: tuple[str, ...]) -> str:
    """The SDK's model as JSON; its members in the service's order, which the SDK does not keep."""
    shown = json.loads(model.model_dump_json(exclude_unset=True))
    return json.dumps({key: shown[key] for key in order}, ensure_ascii=False, separators=(",", ":"))


def _sdk_text(index: int, piece: str, *, first: bool) -> MessageDeltaEvent:
    text = SdkText(annotations=[], value=piece) if first else SdkText(value=piece)
    block = TextDeltaBlock(index=index, type="text", text=text)
    return MessageDeltaEvent(id="msg_1", object="thread.message.delta", delta=MessageDelta(content=[block]))


@given(st.lists(ANY_TEXT, min_size=1, max_size=4), st.booleans(), st.integers(0, 99))
def test_a_text_frame_is_the_official_clients_model(pieces: list[str], first: bool, index: int) -> None:
    sent = list(frames.read(delta_frame(TextDelta(MESSAGE, index, tuple(pieces), first=first))))
    assert len(sent) == len(pieces)
    for number, (frame, piece) in enumerate(zip(sent, pieces, strict=True)):
        model = _sdk_text(index, piece, first=first and number == 0)
        assert json.loads(frame.data) == json.loads(_as_sent(model, ("id", "object", "delta")))
        assert MessageDeltaEvent.model_validate_json(frame.data) == model


@given(ANY_TEXT, st.integers(0, 99))
def test_a_refusal_frame_is_the_official_clients_model(piece: str, index: int) -> None:
    (frame,) = frames.read(delta_frame(RefusalDelta(MESSAGE, index, (piece,))))
    block = RefusalDeltaBlock(index=index, type="refusal", refusal=piece)
    model = MessageDeltaEvent(id="msg_1", object="thread.message.delta", delta=MessageDelta(content=[block]))
    assert MessageDeltaEvent.model_validate_json(frame.data) == model


@given(ANY_TEXT, ANY_TEXT, ANY_TEXT)
def test_call_frames_are_the_official_clients_models(call_id: str, name: str, piece: str) -> None:
    opened = Function.model_validate({"name": name, "arguments": "", "output": None})
    grown = Function(arguments=piece)
    first = FunctionToolCallDelta(index=0, id=call_id, type="function", function=opened)
    later = FunctionToolCallDelta(index=0, type="function", function=grown)
    stream = delta_frame(ToolCallStarted(STEP, 0, FunctionCall(CallId(call_id), name, ""))) + delta_frame(
        ArgumentsDelta(STEP, 0, (piece,))
    )
    for frame, call in zip(frames.read(stream), (first, later), strict=True):
        delta = RunStepDelta(step_details=ToolCallDeltaObject(type="tool_calls", tool_calls=[call]))
        model = RunStepDeltaEvent(id="step_1", object="thread.run.step.delta", delta=delta)
        assert frame.data.encode("utf-8", "strict")
        assert RunStepDeltaEvent.model_validate_json(frame.data) == model


@given(st.lists(ANY_TEXT, min_size=1, max_size=4))
def test_the_official_clients_decoder_reads_every_frame_whole(pieces: list[str]) -> None:
    stream = delta_frame(TextDelta(MESSAGE, 0, tuple(pieces), first=True)) + DONE_FRAME
    read = list(SSEDecoder().iter_bytes(iter([stream])))
    assert [one.json()["delta"]["content"][0]["text"]["value"] for one in read[:-1]] == pieces
    assert (read[-1].event, read[-1].data) == ("done", "[DONE]")
