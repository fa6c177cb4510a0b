"""From raw bytes to domain values: what counts as JSON, what null means, what is filled in."""

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from threadmill.domain.error import InvalidRequest
from threadmill.domain.ids import FileId
from threadmill.domain.message import Attachment, ImageFilePart, ImageUrlPart, MessageRole, NewMessage, TextPart
from threadmill.domain.patch import NewAssistant, NewThread, ThreadPatch
from threadmill.domain.run import NewRun, Truncation
from threadmill.domain.tool import (
    FileSearchTool,
    FunctionTool,
    NamedToolChoice,
    RankingOptions,
    ResponseFormat,
    ResponseFormatType,
    ToolChoice,
    ToolChoiceMode,
    ToolOutput,
    ToolResources,
)
from threadmill.wire import response, tool_response
from threadmill.wire.request import json_text
from threadmill.wire.request.body import MAX_DEPTH, MAX_STRING, MAX_VALUES, NOT_JSON, Body, parse
from threadmill.wire.request.run_thread_bodies import (
    CreateAssistant,
    CreateMessage,
    CreateRun,
    CreateThread,
    CreateThreadAndRun,
    ModifyAssistant,
    ModifyMetadata,
    ModifyThread,
    SubmitToolOutputs,
)

BODIES: list[type[Body]] = [
    CreateAssistant,
    ModifyAssistant,
    CreateThread,
    ModifyThread,
    CreateMessage,
    CreateRun,
    CreateThreadAndRun,
    SubmitToolOutputs,
    ModifyMetadata,
]


def raw(**said: Any) -> bytes:
    return json.dumps(said).encode()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"{'model': 'm'}",
        b'{"model": NaN}',
        b'{"temperature": 1e999}',
        b'{"model": "m"} x',
        b'{"model": "\xff"}',
        b'{"tools": [{"type": "function", "function": {"name": "a", "parameters": {"x": "\\ud800"}}}]}',
        '{"model": "m"}'.encode("utf-16"),
    ],
)
def test_what_is_not_json_is_refused_as_such(body: bytes) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse(CreateAssistant, body)
    assert caught.value.message == NOT_JSON


@pytest.mark.parametrize(
    ("body", "name"), [(b"[]", "an array"), (b"null", "null"), (b'"x"', "a string"), (b"1", "an integer")]
)
def test_a_body_must_be_an_object(body: bytes, name: str) -> None:
    with pytest.raises(InvalidRequest, match=f"expected an object, but got {name} instead"):
        parse(CreateThread, body)


@pytest.mark.parametrize("body", [b"", b"  ", b"\r\n"])
def test_no_body_is_an_empty_object_where_the_route_says_so(body: bytes) -> None:
    assert parse(CreateThread, body, allow_empty=True).to_domain() == NewThread()


def _nested(depth: int) -> bytes:
    # The body, tools, the tool, its function and its parameters are five levels themselves.
    value = "[" * (depth - 5) + "]" * (depth - 5)
    return (
        b'{"model":"[{[{[{","tools":[{"type":"function","function":{"name":"a","parameters":{"x":%s}}}]}'
        % value.encode()
    )


def test_nesting_is_bounded_at_its_edge_and_brackets_in_strings_do_not_count() -> None:
    parse(CreateAssistant, _nested(MAX_DEPTH))
    for depth in (MAX_DEPTH + 1, 100_000):
        with pytest.raises(InvalidRequest, match=f"nested more than {MAX_DEPTH} levels deep"):
            parse(CreateAssistant, _nested(depth))


@pytest.mark.parametrize("text", ["1,2,3", "a\\\\", '\\"', '\\\\"', "\u042f,"])
def test_commas_in_strings_are_no_values(text: str) -> None:
    raw = json.dumps({"a": [text] * 9, "b": text * 100_000}).encode()
    assert not json_text.has_more_values(raw, 9)
    assert json_text.has_more_values(raw, 8)


def test_a_body_of_countless_values_is_refused_before_it_is_decoded() -> None:
    body = b'{"messages":[%s{}]}' % (b"{}," * (MAX_VALUES + 1))
    with pytest.raises(InvalidRequest, match=f"more than {MAX_VALUES} values"):
        parse(CreateThread, body)


def test_a_picture_of_20_mb_in_a_data_url_is_taken_and_plain_text_has_its_own_limits() -> None:
    url = "data:image/png;base64," + "A" * 28_000_000
    picture = {"type": "image_url", "image_url": {"url": url}}
    (message,) = parse(CreateThread, raw(messages=[{"role": "user", "content": [picture]}])).to_domain().messages
    assert message.content == (ImageUrlPart(url),)
    with pytest.raises(InvalidRequest, match="string too long"):
        parse(CreateThread, raw(metadata={"a": "x" * (MAX_STRING + 2**20)}))


@pytest.mark.parametrize("text", ['"', "\\", "\u4e2d"])
def test_a_string_is_bounded_before_it_is_decoded_and_many_strings_are_not(text: str) -> None:
    """However it is written: decoding one of 30 MB would stop every other thread for 70 ms."""
    written = len(json.dumps(text)) - 2
    long = raw(metadata={"a": text * (MAX_STRING // written + 2**20 // written)})
    with pytest.raises(InvalidRequest, match=f"a string of more than {MAX_STRING} bytes"):
        parse(CreateThread, long)
    many = raw(messages=[{"role": "user", "content": text * (2**20 // written // 8)}] * 70)
    assert len(many) > MAX_STRING
    assert len(parse(CreateThread, many).to_domain().messages) == 70


def test_of_a_key_given_twice_the_last_counts_in_a_large_body_too() -> None:
    body = b'{"a":{"b":[1,2],"b":[3,4]},"a":{"c":[5,6],"c":"\\u00e9"}}'
    assert json_text.decode(body, piece=4) == {"a": {"c": "\u00e9"}}


def test_of_many_unknown_parameters_one_is_looked_at() -> None:
    said: dict[str, Any] = {"messages": [], **{f"k{at}": at for at in range(50)}, "metadata": {"a": 1}}
    with pytest.raises(InvalidRequest, match="metadata.a"):
        parse(CreateThread, json.dumps(said).encode())
    with pytest.raises(ValidationError) as caught:
        CreateThread.model_validate({**said, "metadata": {}})
    assert caught.value.error_count() == 1


def test_an_array_ends_with_its_first_mistake() -> None:
    with pytest.raises(ValidationError) as caught:
        CreateThread.model_validate({"messages": [{"role": "user", "content": ""}] * 1_000})
    assert caught.value.error_count() == 1


def test_of_a_key_given_twice_the_last_counts() -> None:
    assert parse(CreateAssistant, b'{"model":"a","model":"b"}').to_domain().model == "b"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
)
FIELDS = sorted({name for body in BODIES for name in body.model_fields})


@given(JSON, st.integers(0, 9), st.integers(0, 4), st.sampled_from([None, 1]), st.sampled_from(["ascii", "utf-8"]))
def test_a_body_decoded_in_pieces_is_the_body(
    said: object, piece: int, levels: int, indent: int | None, written: str
) -> None:
    text = json.dumps(said, indent=indent, ensure_ascii=written == "ascii").encode()
    assert json_text.decode(text, piece, levels) == msgspec.json.decode(text)


@given(st.binary(max_size=24) | st.text('{}[]",:1\\ ', max_size=24).map(str.encode), st.integers(0, 9))
def test_what_is_not_json_is_not_json_in_pieces(text: bytes, piece: int) -> None:
    def value(decode: Callable[[bytes], object]) -> object:
        try:
            return decode(text)
        except ValueError:
            return "not JSON"

    assert value(partial(json_text.decode, piece=piece)) == value(msgspec.json.decode)


@given(st.sampled_from(BODIES), st.dictionaries(st.sampled_from(FIELDS), JSON) | JSON)
def test_any_json_is_understood_or_refused_never_a_crash(kind: type[Body], said: object) -> None:
    try:
        body = parse(kind, json.dumps(said).encode())
    except InvalidRequest as error:
        assert error.message
    else:
        getattr(body, "to_domain", lambda: None)()


@given(st.sampled_from(BODIES), st.binary(max_size=64))
def test_any_bytes_are_understood_or_refused_never_a_crash(kind: type[Body], body: bytes) -> None:
    try:
        parse(kind, body)
    except InvalidRequest as error:
        assert error.message


@pytest.mark.parametrize("kind", [CreateAssistant, CreateThread, CreateRun, CreateThreadAndRun, CreateMessage])
def test_an_explicit_null_is_as_good_as_nothing(kind: type[Body]) -> None:
    needed = {"model": "m", "assistant_id": "asst_1", "role": "user", "content": "hi"}
    least = {name: needed[name] for name, field in kind.model_fields.items() if field.is_required()}
    nulls = {name: None for name in kind.model_fields if name not in least}
    assert parse(kind, raw(**least, **nulls)) == parse(kind, raw(**least))


def test_a_null_deep_inside_is_as_good_as_nothing() -> None:
    said = {"type": "file_search", "file_search": {"max_num_results": None, "ranking_options": None}}
    assert parse(CreateAssistant, raw(model="m", tools=[said])).to_domain().tools == (FileSearchTool(),)


def test_an_assistant_gets_the_services_defaults() -> None:
    assert parse(CreateAssistant, raw(model="m")).to_domain() == NewAssistant("m")


def test_a_patch_speaks_of_what_the_caller_named_and_of_no_null() -> None:
    patch = parse(ModifyAssistant, raw(name="n", instructions=None, tools=[], top_p=0)).to_domain()
    assert patch.fields == {"name", "tools", "top_p"}
    assert (patch.values.name, patch.values.tools, patch.values.top_p) == ("n", (), 0.0)
    assert parse(ModifyThread, raw(metadata={})).to_domain() == ThreadPatch({}, None)


def test_tools_are_filled_in_as_the_service_echoes_them() -> None:
    said = [
        {"type": "function", "function": {"name": "a"}},
        {"type": "function", "function": {"name": "b", "parameters": {"z": 1.0, "a": None}, "strict": False}},
        {"type": "file_search", "file_search": {"max_num_results": 3, "ranking_options": {"score_threshold": 1}}},
    ]
    tools = parse(CreateAssistant, raw(model="m", tools=said)).to_domain().tools
    assert tools == (
        FunctionTool("a"),
        FunctionTool("b", None, '{"z":1.0,"a":null}', strict=False),
        FileSearchTool(RankingOptions("default_2024_08_21", 1.0), 3),
    )
    assert response.to_sse_json(tool_response.tool(tools[2])).endswith(b'"score_threshold":1.0,"hybrid_search":null}}}')


@pytest.mark.parametrize(
    "said",
    [
        "auto",
        {"type": "text"},
        {"type": "json_object"},
        {"type": "json_schema", "json_schema": {"name": "n", "schema": {"default": None}}},
    ],
)
def test_a_response_format_is_echoed_as_given(said: object) -> None:
    form = parse(CreateRun, raw(assistant_id="asst_1", response_format=said)).to_domain().response_format
    assert form is not None
    assert json.loads(response.to_sse_json({"x": tool_response.response_format(form)}))["x"] == said


def test_a_response_format_that_says_auto_is_not_the_same_as_none() -> None:
    # None takes the assistant's.
    assert parse(CreateRun, raw(assistant_id="asst_1")).to_domain().response_format is None
    said = parse(CreateRun, raw(assistant_id="asst_1", response_format="auto")).to_domain()
    assert said.response_format == ResponseFormat(ResponseFormatType.AUTO)


@pytest.mark.parametrize(
    ("said", "choice"),
    [
        ("none", ToolChoice(ToolChoiceMode.NONE)),
        ("auto", ToolChoice()),
        ("required", ToolChoice(ToolChoiceMode.REQUIRED)),
        ({"type": "file_search"}, ToolChoice(None, NamedToolChoice("file_search"))),
        ({"type": "function", "function": {"name": "f"}}, ToolChoice(None, NamedToolChoice("function", "f"))),
        (
            {"type": "code_interpreter", "function": {"name": "f"}},
            ToolChoice(None, NamedToolChoice("code_interpreter")),
        ),
    ],
)
def test_every_form_of_tool_choice_is_understood(said: object, choice: ToolChoice) -> None:
    assert parse(CreateRun, raw(assistant_id="asst_1", tool_choice=said)).to_domain().tool_choice == choice


def test_a_message_may_be_a_string_or_parts() -> None:
    assert parse(CreateMessage, raw(role="user", content="hi")).to_domain() == NewMessage(
        MessageRole.USER, (TextPart("hi"),)
    )
    parts = [
        {"type": "text", "text": "hi"},
        {"type": "image_url", "image_url": {"url": "https://a/b.png"}},
        {"type": "image_file", "image_file": {"file_id": "file-1", "detail": "high"}},
    ]
    attachments: list[dict[str, Any]] = [
        {"file_id": "file-1", "tools": [{"type": "file_search"}, {"type": "code_interpreter"}]},
        {"tools": []},
    ]
    new = parse(
        CreateMessage, raw(role="assistant", content=parts, attachments=attachments, metadata={"k": "v"})
    ).to_domain()
    file = FileId("file-1")
    assert new.content == (TextPart("hi"), ImageUrlPart("https://a/b.png", "auto"), ImageFilePart(file, "high"))
    assert new.attachments == (Attachment(file, ("file_search", "code_interpreter")), Attachment(None, ()))


def test_a_thread_and_its_run_come_out_of_one_body() -> None:
    said: dict[str, Any] = {
        "thread": {"messages": [{"role": "user", "content": "hi"}], "metadata": {"k": "v"}},
        "tool_resources": {"code_interpreter": {"file_ids": []}, "file_search": {}},
        "stream": True,
    }
    thread, run = parse(CreateThreadAndRun, raw(assistant_id="asst_1", **said)).to_domain()
    assert (len(thread.messages), thread.metadata, thread.tool_resources) == (1, {"k": "v"}, ToolResources())
    assert run.tool_resources == ToolResources((), ())


def test_a_run_keeps_what_was_asked_and_leaves_the_rest_to_the_assistant() -> None:
    plain = parse(CreateRun, raw(assistant_id="asst_1")).to_domain()
    assert plain == NewRun(plain.assistant_id)
    said = parse(
        CreateRun,
        raw(
            assistant_id="asst_1",
            additional_messages=[{"role": "user", "content": "hi"}],
            truncation_strategy={"type": "last_messages", "last_messages": 3},
            parallel_tool_calls=False,
            tools=[],
            reasoning_effort="low",
        ),
    ).to_domain()
    assert (len(said.additional_messages), said.truncation, said.parallel_tool_calls) == (1, Truncation(3), False)
    assert (said.tools, said.reasoning_effort) == ((), "low")


def test_a_truncation_that_says_auto_forgets_its_count() -> None:
    said = parse(CreateRun, raw(assistant_id="asst_1", truncation_strategy={"type": "auto", "last_messages": 3}))
    assert said.to_domain().truncation == Truncation()


def test_a_tool_output_left_out_is_empty() -> None:
    outputs = parse(SubmitToolOutputs, raw(tool_outputs=[{"tool_call_id": "call_1"}, {"output": "x"}])).to_domain()
    assert outputs == (ToolOutput(outputs[0].tool_call_id, ""), ToolOutput(outputs[1].tool_call_id, "x"))
    assert [output.tool_call_id for output in outputs] == ["call_1", ""]


def test_a_schema_that_cannot_be_followed_strictly_is_refused_where_it_stands() -> None:
    open_schema = {"type": "object", "properties": {"x": {"type": "string"}}, "required": ["x"]}
    rule = "In context=(), 'additionalProperties' is required to be supplied and to be false."
    function = {"name": "g", "parameters": open_schema, "strict": True}
    tools = [{"type": "code_interpreter"}, {"type": "function", "function": function}]
    with pytest.raises(InvalidRequest) as refused:
        parse(CreateAssistant, raw(model="m", tools=tools))
    told = refused.value
    assert told.message == f"Invalid schema for function 'g': {rule}"
    assert (told.param, told.code) == ("tools[1].function.parameters", "invalid_function_parameters")
    response_format = {"type": "json_schema", "json_schema": {"name": "s", "schema": open_schema, "strict": True}}
    with pytest.raises(InvalidRequest) as refused:
        parse(CreateAssistant, raw(model="m", response_format=response_format))
    told = refused.value
    assert told.message == f"Invalid schema for response_format 's': {rule}"
    assert (told.param, told.code) == ("response_format", None)
    for loose in (function | {"strict": False}, {"name": "g", "strict": True}):
        parse(CreateAssistant, raw(model="m", tools=[{"type": "function", "function": loose}]))
