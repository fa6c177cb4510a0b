"""Requests as upstreams get them."""

import json
from typing import Any

from tests.models.support import ask, user
from threadmill.adapters.models.upstream.chat_request import Adaptation, encode_request
from threadmill.adapters.models.upstream.encoded_request import EncodedRequest
from threadmill.adapters.models.upstream.settings import UpstreamSettings
from threadmill.domain.ids import CallId, FileId
from threadmill.domain.message import ImageFilePart, ImageUrlPart, RefusalPart, TextPart
from threadmill.domain.model_options import ModelOptions
from threadmill.domain.tool import (
    FunctionCall,
    FunctionTool,
    NamedToolChoice,
    ResponseFormat,
    ResponseFormatType,
    ToolChoice,
    ToolChoiceMode,
)
from threadmill.engine.ports.model import ModelRequest, PromptMessage, PromptRole

SETTINGS = UpstreamSettings("http://127.0.0.1/v1")
TOOL = FunctionTool("f", parameters='{"type":"object","z":1,"a":2}')


def whole(encoded: EncodedRequest) -> bytes:
    return b"".join(part for part in encoded.parts if isinstance(part, bytes))


def sent(request: ModelRequest, settings: UpstreamSettings = SETTINGS) -> dict[str, Any]:
    return json.loads(whole(encode_request(request, settings)))


def sent_message(message: PromptMessage) -> dict[str, Any]:
    return sent(ModelRequest("m", (message,)))["messages"][0]


def test_a_plain_request_says_nothing_it_need_not() -> None:
    assert sent(ask("Hi")) == {
        "model": "gpt-4o",
        "messages": [{"role": "user", "content": "Hi"}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_parameters_are_sent_when_they_are_set_zero_included() -> None:
    request = ModelRequest(
        "m", (user("x"),), temperature=0.0, top_p=0.5, reasoning_effort="low", max_completion_tokens=7
    )
    body = sent(request)
    assert (body["temperature"], body["top_p"], body["reasoning_effort"]) == (0.0, 0.5, "low")
    assert body["max_completion_tokens"] == 7
    assert "max_tokens" not in body


def test_a_runs_options_are_sent_under_their_own_names_unless_the_upstream_refuses_them() -> None:
    request = ModelRequest("m", (user("x"),), options=ModelOptions(seed=-(2**63)))
    assert sent(request)["seed"] == -(2**63)
    assert "seed" not in json.loads(whole(encode_request(request, SETTINGS, Adaptation(frozenset({"seed"})))))
    assert "seed" not in sent(request, UpstreamSettings("http://127.0.0.1/v1", omit=frozenset({"seed"})))


def test_an_upstream_that_knows_only_max_tokens_gets_max_tokens() -> None:
    settings = UpstreamSettings("http://127.0.0.1/v1", max_tokens_field="max_tokens")
    body = sent(ModelRequest("m", (user("x"),), max_completion_tokens=7), settings)
    assert body["max_tokens"] == 7
    assert "max_completion_tokens" not in body


def test_pictures_make_an_array_of_parts() -> None:
    parts = (TextPart("Look"), ImageUrlPart("https://x/y.png", "low"), ImageUrlPart("https://x/z.png"))
    assert sent_message(PromptMessage(PromptRole.USER, parts))["content"] == [
        {"type": "text", "text": "Look"},
        {"type": "image_url", "image_url": {"url": "https://x/y.png", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "https://x/z.png"}},
    ]


def test_pictures_the_model_cannot_be_shown_become_notes() -> None:
    file = sent_message(PromptMessage(PromptRole.USER, (ImageFilePart(FileId("file-1")),)))
    assert "file-1" in file["content"]
    assistant = sent_message(PromptMessage(PromptRole.ASSISTANT, (ImageUrlPart("https://x/y"),)))
    assert assistant["content"] == "[Image: https://x/y]"


def test_several_texts_and_refusals_are_one_text() -> None:
    parts = (TextPart("a"), RefusalPart("b"))
    assert sent_message(PromptMessage(PromptRole.ASSISTANT, parts))["content"] == "a\n\nb"


def test_calls_and_their_outputs_are_sent_as_turns() -> None:
    call = FunctionCall(CallId("call_1"), "f", '{"a":1}')
    assert sent_message(PromptMessage(PromptRole.ASSISTANT, tool_calls=(call,))) == {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "call_1", "function": {"name": "f", "arguments": '{"a":1}'}, "type": "function"}],
    }
    output = PromptMessage(PromptRole.TOOL, (TextPart(""),), tool_call_id="call_1")
    assert sent_message(output) == {"role": "tool", "content": "", "tool_call_id": "call_1"}


def test_tools_are_sent_with_their_schema_untouched() -> None:
    strict = FunctionTool("g", "Does g", "{}", strict=True)
    body = sent(ModelRequest("m", (user("x"),), (TOOL, strict)))
    assert body["tools"] == [
        {"function": {"name": "f", "parameters": {"type": "object", "z": 1, "a": 2}}, "type": "function"},
        {"function": {"name": "g", "parameters": {}, "description": "Does g", "strict": True}, "type": "function"},
    ]
    assert b'{"type":"object","z":1,"a":2}' in whole(encode_request(ModelRequest("m", (), (TOOL,)), SETTINGS))
    assert not {"tool_choice", "parallel_tool_calls"} & body.keys()


def test_tool_choices_take_the_forms_upstreams_know() -> None:
    def choice(choice: ToolChoice) -> Any:
        return sent(ModelRequest("m", (), (TOOL,), choice)).get("tool_choice")

    assert choice(ToolChoice()) is None
    assert choice(ToolChoice(ToolChoiceMode.NONE)) == "none"
    assert choice(ToolChoice(ToolChoiceMode.REQUIRED)) == "required"
    named = {"type": "function", "function": {"name": "f"}}
    assert choice(ToolChoice(None, NamedToolChoice("function", "f"))) == named
    assert choice(ToolChoice(None, NamedToolChoice("file_search"))) == "required"


def test_nothing_about_tools_is_sent_without_tools() -> None:
    request = ModelRequest("m", (), (), ToolChoice(ToolChoiceMode.REQUIRED), parallel_tool_calls=False)
    assert not {"tools", "tool_choice", "parallel_tool_calls"} & sent(request).keys()
    assert sent(ModelRequest("m", (), (TOOL,), parallel_tool_calls=False))["parallel_tool_calls"] is False


def test_response_formats_are_sent_unless_automatic() -> None:
    def wanted(format_: ResponseFormat) -> Any:
        return sent(ModelRequest("m", (), response_format=format_)).get("response_format")

    assert wanted(ResponseFormat()) is None
    assert wanted(ResponseFormat(ResponseFormatType.JSON_OBJECT)) == {"type": "json_object"}
    schema = ResponseFormat(ResponseFormatType.JSON_SCHEMA, '{"name":"n","schema":{}}')
    assert wanted(schema) == {"type": "json_schema", "json_schema": {"name": "n", "schema": {}}}


def test_what_an_upstream_does_not_take_is_left_out_and_what_it_wants_is_there() -> None:
    settings = UpstreamSettings(
        "http://x", system_role="developer", omit=frozenset({"temperature", "other"}), extra_body=b'{"top_k":5,"a":{}}'
    )
    request = ModelRequest(
        "m", (PromptMessage(PromptRole.SYSTEM, (TextPart("Be brief."),)), user("x")), temperature=0.5
    )
    body = sent(request, settings)
    assert [message["role"] for message in body["messages"]] == ["developer", "user"]
    assert body.keys() == {"model", "messages", "stream", "stream_options", "top_k", "a"}
    assert (body["top_k"], body["a"]) == (5, {})
