"""Rehearsal: scripts, the place in them, and what is answered without one."""

import asyncio
import json
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from tests.models.support import Naps, pieces_of, text_of, user
from threadmill.adapters.models.rehearsal import chat_completions, model
from threadmill.adapters.models.rehearsal.model import Rehearsal
from threadmill.adapters.models.rehearsal.schema_sample import MAX_WORK, first_argument, sample, sample_text
from threadmill.adapters.tokens.counter import BpeTokenCounter
from threadmill.domain.ids import CallId
from threadmill.domain.message import TextPart
from threadmill.domain.outcome import ErrorCode, Usage
from threadmill.domain.tool import (
    FunctionCall,
    FunctionTool,
    NamedToolChoice,
    ResponseFormat,
    ResponseFormatType,
    ToolChoice,
    ToolChoiceMode,
)
from threadmill.engine.ports.model import (
    ContextTooLong,
    Finish,
    FinishReason,
    ModelError,
    ModelRequest,
    Piece,
    PromptMessage,
    PromptRole,
    RefusalPiece,
    ToolCallPiece,
)
from threadmill.engine.prompt.tool_functions import SEARCH_PARAMETERS

TOKENS = BpeTokenCounter()
PYTHON = FunctionTool("code_interpreter", parameters='{"type":"object","properties":{"code":{"type":"string"}}}')
WEATHER = FunctionTool(
    "weather",
    parameters='{"type":"object","properties":{"city":{"type":"string"},"days":{"type":"integer"}},"required":["city"]}',
)


def said(role: PromptRole, text: str) -> PromptMessage:
    return PromptMessage(role, (TextPart(text),))


def called(*outputs: str) -> tuple[PromptMessage, ...]:
    """An assistant's turn of calls, and what the tools gave."""
    calls = tuple(FunctionCall(CallId(f"call_{at}"), "f", "{}") for at in range(len(outputs)))
    told = (PromptMessage(PromptRole.TOOL, (TextPart(text),), tool_call_id="call_0") for text in outputs)
    return (PromptMessage(PromptRole.ASSISTANT, tool_calls=calls), *told)


async def play(script: str, *after: PromptMessage, naps: Naps | None = None, **options: Any) -> list[Piece]:
    request = ModelRequest("rehearsal", (user(script), *after), **options)
    return await pieces_of(Rehearsal(TOKENS, (naps or Naps()).sleep), request)


def calls_in(pieces: list[Piece]) -> list[tuple[str, str]]:
    """Name and whole arguments of each call."""
    found: dict[int, tuple[str, str]] = {}
    for piece in pieces:
        if isinstance(piece, ToolCallPiece):
            name, arguments = found.get(piece.index, ("", ""))
            found[piece.index] = (name + (piece.name or ""), arguments + piece.arguments)
    return [found[index] for index in sorted(found)]


def finish_of(pieces: list[Piece]) -> FinishReason:
    return next(piece.reason for piece in pieces if isinstance(piece, Finish))


async def test_say_streams_word_by_word_and_is_counted() -> None:
    pieces = await play("say: Hello there,  world")
    assert pieces[:-2] == ["Hello", " there,", "  world"]
    assert pieces[-2] == Finish(FinishReason.STOP)
    usage = pieces[-1]
    assert isinstance(usage, Usage)
    assert usage.prompt_tokens == TOKENS.count("say: Hello there,  world", "rehearsal") + 4
    assert usage.completion_tokens >= 4


async def test_only_newlines_end_a_line() -> None:
    spoken = "para\u2028graph\u2029 next\u0085line\x0bfeed\x1cfile"
    assert text_of(await play(f"say: {spoken}")) == spoken
    assert text_of(await play(f"say:\r\n  {spoken}\r\n  end\r\n")) == f"{spoken}\nend"


async def test_the_same_prompt_gives_the_same_pieces() -> None:
    script = 'say: Hi\ncall: f {"a": 1}'
    assert await play(script) == await play(script)


async def test_calls_of_one_block_are_parallel() -> None:
    pieces = await play('call: f {"a": 1}\ncall: g')
    assert calls_in(pieces) == [("f", '{"a": 1}'), ("g", "{}")]
    assert finish_of(pieces) is FinishReason.TOOL_CALLS


async def test_the_script_goes_on_behind_each_turn() -> None:
    script = "call: f\n---\nsay: It said {{output}}, first {{outputs.0}}.\ncall: g\n---\nsay: Bye"
    assert calls_in(await play(script)) == [("f", "{}")]
    second = await play(script, *called("one", "two"))
    assert (text_of(second), calls_in(second)) == ("It said two, first one.", [("g", "{}")])
    assert text_of(await play(script, *called("one", "two"), *called("three"))) == "Bye"


async def test_an_ended_script_tells_what_the_tool_answered() -> None:
    assert text_of(await play("call: f", *called("42"))) == "The tool answered: 42"
    assert text_of(await play("say: x", said(PromptRole.ASSISTANT, "x"))) == "The rehearsal script is at its end."


async def test_only_turns_behind_the_last_user_message_count() -> None:
    request = ModelRequest("rehearsal", (user("say: old"), said(PromptRole.ASSISTANT, "old"), user("say: new")))
    assert text_of(await pieces_of(Rehearsal(TOKENS), request)) == "new"


async def test_outputs_are_escaped_inside_arguments() -> None:
    pieces = await play('call: f\n---\ncall: g {"heard": "{{output}}"}', *called('say "hi"\n'))
    assert json.loads(calls_in(pieces)[0][1]) == {"heard": 'say "hi"\n'}


async def test_python_goes_to_code_interpreter_under_the_name_its_schema_has() -> None:
    script = "python:\n    for i in range(3):\n        print(i)\n\n    print('end')\nsay: done"
    pieces = await play(script, tools=(PYTHON,))
    code = "for i in range(3):\n    print(i)\n\nprint('end')"
    assert calls_in(pieces) == [("code_interpreter", json.dumps({"code": code}))]


async def test_search_goes_to_file_search() -> None:
    pieces = await play("search: blue whales", tools=(FunctionTool("file_search"),))
    assert calls_in(pieces) == [("file_search", '{"query": "blue whales"}')]


async def test_search_asks_as_many_queries_as_it_has_lines() -> None:
    tools = (FunctionTool("file_search", parameters=SEARCH_PARAMETERS),)
    one, several = (
        await play("search: blue whales", tools=tools),
        await play("search:\n  krill\n\n  plankton", tools=tools),
    )
    assert calls_in(one) == [("file_search", '{"queries": ["blue whales"]}')]
    assert calls_in(several) == [("file_search", '{"queries": ["krill", "plankton"]}')]


async def test_a_forced_search_has_a_query() -> None:
    tools, forced = (FunctionTool("file_search", parameters=SEARCH_PARAMETERS),), ToolChoice(ToolChoiceMode.REQUIRED)
    assert calls_in(await play("hi", tools=tools, tool_choice=forced)) == [("file_search", '{"queries": ["example"]}')]


async def test_a_tool_that_is_not_offered_is_said() -> None:
    with pytest.raises(ModelError, match="code_interpreter, which this run does not offer"):
        await play("python: 1")


async def test_repeat_repeats_the_next_say_or_call() -> None:
    assert text_of(await play("repeat: 3\nsay: tick tock\nsay: .")) == "tick tock tick tock tick tock."
    assert calls_in(await play("repeat: 2\ncall: f")) == [("f", "{}"), ("f", "{}")]


async def test_slow_waits_before_every_piece_from_there_on() -> None:
    naps = Naps()
    await play("say: a b\nslow: 50ms\nsay: c d\nslow: 1.5s\nsay: e", naps=naps)
    assert [nap for nap in naps.taken if nap] == [0.05, 0.05, 1.5]


@pytest.mark.parametrize(
    ("how", "code", "words"),
    [
        ("rate_limit", ErrorCode.RATE_LIMIT_EXCEEDED, "Rate limit"),
        ("server_error", ErrorCode.SERVER_ERROR, "as its script asked"),
        ("cut", ErrorCode.SERVER_ERROR, "cut off"),
    ],
)
async def test_fail_fails_after_what_was_said(how: str, code: ErrorCode, words: str) -> None:
    stream = Rehearsal(TOKENS).stream(ModelRequest("rehearsal", (user(f"say: one two\nfail: {how}"),)))
    assert await anext(stream) == ["one", " two"]
    with pytest.raises(ModelError, match=words) as caught:
        await anext(stream)
    assert caught.value.code is code


async def test_fail_context_is_a_prompt_too_long() -> None:
    with pytest.raises(ContextTooLong):
        await play("fail: context")


async def test_a_stall_lasts_until_the_reader_leaves() -> None:
    stream = Rehearsal(TOKENS).stream(ModelRequest("rehearsal", (user("say: x\nfail: stall"),)))
    assert await anext(stream) == ["x"]
    waiting = asyncio.ensure_future(anext(stream))
    done, _ = await asyncio.wait({waiting}, timeout=0)
    assert not done
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_refusals_and_finish_reasons_are_played() -> None:
    pieces = await play("refuse: I will not\nfinish: content_filter")
    assert pieces[:3] == [RefusalPiece("I"), RefusalPiece(" will"), RefusalPiece(" not")]
    assert finish_of(pieces) is FinishReason.CONTENT_FILTER


async def test_broken_arguments_are_no_json() -> None:
    pieces = await play('args-broken\ncall: f {"a": 1}\ncall: g {"b": 2}')
    assert calls_in(pieces) == [("f", '{"a": 1'), ("g", '{"b": 2}')]


async def test_the_token_limit_cuts_the_answer() -> None:
    pieces = await play("repeat: 100\nsay: word", max_completion_tokens=5)
    assert finish_of(pieces) is FinishReason.LENGTH
    assert text_of(pieces) == "word word word word word"
    usage = pieces[-1]
    assert isinstance(usage, Usage)
    assert usage.completion_tokens == 5
    assert finish_of(await play("say: x", max_completion_tokens=0)) is FinishReason.LENGTH


async def test_a_script_may_stand_in_the_instructions_and_the_message_wins() -> None:
    system = said(PromptRole.SYSTEM, "You are nice.\n\nrehearsal:\nsay: from the instructions")

    async def answer(text: str) -> str:
        return text_of(await pieces_of(Rehearsal(TOKENS), ModelRequest("rehearsal", (system, user(text)))))

    assert await answer("Hello") == "from the instructions"
    assert await answer("say: from the message") == "from the message"


async def test_attached_files_are_no_part_of_the_script() -> None:
    parts = (TextPart("say: x"), TextPart("Attached files: file-1 (for file_search)"))
    request = ModelRequest("rehearsal", (PromptMessage(PromptRole.USER, parts),))
    assert text_of(await pieces_of(Rehearsal(TOKENS), request)) == "x"


@pytest.mark.parametrize(
    ("script", "line", "hint"),
    [
        ("say: x\nsing: la", 2, "Allowed are say, call"),
        ("# note\n\nfail: badly", 3, "rate_limit, server_error"),
        ("slow: soon", 1, "50ms"),
        ("repeat: -1", 1, "whole number"),
        ("repeat: ²", 1, "whole number"),
        pytest.param("repeat: " + "9" * 5000, 1, "whole number", id="5,000 digits"),
        ("repeat: 100001", 1, "whole number"),
        ("repeat: 000", 1, "whole number"),
        ("call: f {broken", 1, "not a JSON object"),
        pytest.param("call: f " + '{"a":' * 100_000, 1, "not a JSON object", id="deep JSON"),
        pytest.param('call: f {"a": ' + "9" * 5000 + "}", 1, "not a JSON object", id="a long number"),
        ("call:", 1, "call needs a name"),
        ("finish: never", 1, "stop, length"),
    ],
)
async def test_a_bad_script_says_which_line_and_what_is_allowed(script: str, line: int, hint: str) -> None:
    with pytest.raises(ModelError) as caught:
        await play(script)
    assert caught.value.message.startswith(f"Rehearsal script, line {line}: ")
    assert hint in caught.value.message


@pytest.mark.parametrize(
    "script",
    [
        "repeat: 100000\nsay: " + "word " * 10,
        "repeat: 5000\ncall: f",
        "\n".join(["refuse: " + "x" * 1000] * 5000),
        "\n---\n".join(["repeat: 60000\nsay: some words here"] * 5),
    ],
    ids=["a text", "calls", "refusals", "all turns together"],
)
async def test_what_a_script_writes_is_bounded(script: str) -> None:
    with pytest.raises(ModelError, match="writes more than 4,194,304 characters"):
        await play(script)


async def test_tool_outputs_count_before_they_are_filled_in() -> None:
    output = "x" * 100_000
    for script in ("{{output}}" * 100, "\nsay: ".join(["{{output}}"] * 100)):
        with pytest.raises(ModelError, match="tool outputs included"):
            await play(f"call: f\n---\nsay: {script}", *called(output))


@pytest.mark.parametrize("place", ["7" * 5000, "٣"])
async def test_a_place_beyond_all_outputs_has_no_value(place: str) -> None:
    with pytest.raises(ModelError, match="has no value"):
        await play(f"call: f\n---\nsay: {{{{outputs.{place}}}}}", *called("x"))


async def test_a_placeholder_without_a_value_is_said() -> None:
    with pytest.raises(ModelError, match=r"\{\{outputs\.3\}\} has no value"):
        await play("say: {{outputs.3}}", *())


@pytest.mark.parametrize("text", ["Hello", "Note: all good", "say nothing", "Say: hi", "---\n# Title"])
async def test_ordinary_messages_are_echoed(text: str) -> None:
    assert text_of(await play(text)) == f"You said: {text}"


async def test_a_demanded_call_is_made_with_arguments_of_its_schema() -> None:
    required, named = ToolChoice(ToolChoiceMode.REQUIRED), ToolChoice(None, NamedToolChoice("function", "weather"))
    assert calls_in(await play("Hi", tools=(WEATHER, PYTHON), tool_choice=required))[0][0] == "weather"
    pieces = await play("Hi", tools=(PYTHON, WEATHER), tool_choice=named)
    assert calls_in(pieces) == [("weather", '{"city": "example"}')]
    after = await play("Hi", *called("sunny"), tools=(WEATHER,), tool_choice=required)
    assert text_of(after) == "The tool answered: sunny"


async def test_response_formats_are_honoured() -> None:
    plain = ResponseFormat(ResponseFormatType.JSON_OBJECT)
    assert json.loads(text_of(await play("Hi", response_format=plain))) == {"answer": "You said: Hi"}
    schema = '{"name":"n","schema":{"type":"object","properties":{"ok":{"type":"boolean"}}}}'
    shaped = ResponseFormat(ResponseFormatType.JSON_SCHEMA, schema)
    assert json.loads(text_of(await play("Hi", response_format=shaped))) == {"ok": True}


async def test_a_script_and_a_large_chat_are_read_beside_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    readers: list[str] = []

    def noting(what: str, works: Callable[..., Any]) -> Callable[..., Any]:
        def reads(*given: Any) -> Any:
            if threading.current_thread() is not threading.main_thread():
                readers.append(what)
            return works(*given)

        return reads

    monkeypatch.setattr(model, "next_turn", noting("script", model.next_turn))
    monkeypatch.setattr(chat_completions, "read_chat", noting("chat", chat_completions.read_chat))
    for said in ("say: x", "say: x\n" * 20_000):
        body = json.dumps({"model": "rehearsal", "messages": [{"role": "user", "content": said}]}).encode()
        status, _, _ = await chat_completions.answer_chat(Rehearsal(TOKENS), body)
        assert status == 200
    assert readers == ["script", "chat", "script"]


async def test_a_long_script_lets_others_have_their_turn() -> None:
    naps = Naps()
    pieces = await play("repeat: 1000\nsay: word", naps=naps)
    assert len(naps.taken) == 1000 // 32
    assert len(pieces) == 1002


@pytest.mark.parametrize(
    "schema",
    [
        {
            "type": "object",
            "properties": {"a": {"$ref": "#/$defs/a"}},
            "$defs": {"a": {"type": "integer", "minimum": 3}},
        },
        {"type": "array", "items": {"type": "string", "minLength": 12}, "minItems": 2},
        {"anyOf": [{"type": "null"}, {"type": "string"}]},
        {"type": ["string", "null"], "maxLength": 3},
        {"type": "number", "exclusiveMinimum": 4.5, "multipleOf": 0.5},
        {"type": "integer", "maximum": -2, "multipleOf": 3},
        {"enum": ["x", "y"]},
        {"const": 7},
        {
            "allOf": [{"properties": {"a": {"type": "string"}}, "required": ["a"]}, {"required": ["b"]}],
            "type": "object",
        },
        {"type": "string", "format": "date-time"},
        {},
    ],
)
def test_samples_fit_their_schema(schema: dict[str, Any]) -> None:
    import jsonschema

    jsonschema.validate(sample(schema), schema)


def test_a_recursive_schema_ends() -> None:
    schema = {"$ref": "#/$defs/n", "$defs": {"n": {"properties": {"n": {"$ref": "#/$defs/n"}}, "required": ["n"]}}}
    assert json.dumps(sample(schema)).count("n") < 100
    sample({"$ref": "#"})
    sample({"allOf": [{"$ref": "#"}]})


EXPLODING: dict[str, dict[str, Any]] = {
    "two optional ways": {"properties": {"p0": {"$ref": "#"}, "p1": {"$ref": "#"}}},
    "ten optional ways": {"properties": {f"p{at}": {"$ref": "#"} for at in range(10)}},
    "three required ways": {"properties": {f"p{at}": {"$ref": "#"} for at in range(3)}, "required": ["p0", "p1", "p2"]},
    "allOf": {"properties": {"p": {"allOf": [{"$ref": "#"}] * 4}}},
    "allOf at the root": {"allOf": [{"$ref": "#"}] * 3, "properties": {"a": {}}},
    "arrays": {"items": {"$ref": "#"}, "minItems": 100},
    "oneOf in items": {"type": "array", "minItems": 100, "items": {"oneOf": [{"$ref": "#"}, {"$ref": "#"}]}},
    "two that name each other": {
        "$ref": "#/$defs/a",
        "$defs": {
            "a": {"properties": {"x": {"$ref": "#/$defs/b"}, "y": {"$ref": "#/$defs/b"}}},
            "b": {"properties": {"x": {"$ref": "#/$defs/a"}, "y": {"$ref": "#/$defs/a"}}},
        },
    },
    "allOf of allOf": {"allOf": [{"allOf": [{"allOf": [{"$ref": "#"}] * 8}] * 8}] * 8},
    "anyOf": {"anyOf": [{"properties": {"a": {"$ref": "#"}, "b": {"$ref": "#"}, "c": {"$ref": "#"}}}]},
    "a large default": {
        "properties": {f"p{at}": {"$ref": "#/$defs/d"} for at in range(999)},
        "$defs": {"d": {"default": "x" * 9999}},
    },
    "a long name": {"properties": {"n" * 9999: {"properties": {"m" * 9999: {"$ref": "#"}, "o" * 9999: {"$ref": "#"}}}}},
    "a large enum": {"items": {"enum": [["x"] * 9999]}, "minItems": 100},
    "a long reference": {"items": {"$ref": "#" + "/" * 9999}, "minItems": 100},
    "a list of types": {"items": {"type": [1] * 9999}, "minItems": 100},
}


@pytest.mark.parametrize("name", EXPLODING)
def test_a_schema_with_more_instances_than_time_is_cut(name: str) -> None:
    """The work is counted, so that no clock is asked: a call is a member, an item, a reference or a part."""
    calls = 0

    def count(frame: FrameType, event: str, _: object) -> None:
        nonlocal calls
        calls += event == "call" and frame.f_code.co_filename.endswith("schema_sample.py")

    sys.setprofile(count)
    try:
        instance = sample(EXPLODING[name])
    finally:
        sys.setprofile(None)
    assert calls < 20 * MAX_WORK
    assert len(json.dumps(instance)) < 10 * MAX_WORK


@pytest.mark.parametrize("number", [float("inf"), float("-inf"), float("nan"), 1e300, 10**4000, -(10**4000)])
@pytest.mark.parametrize("member", ["minItems", "minLength", "maxLength", "minimum", "exclusiveMaximum", "multipleOf"])
def test_numbers_that_bound_nothing_are_no_bounds(member: str, number: float) -> None:
    for kind in ("array", "string", "integer", "number"):
        json.dumps(sample({"type": kind, "items": {}, member: number}), allow_nan=False)


def test_a_step_too_small_to_count_is_none() -> None:
    assert sample({"type": "number", "minimum": 3.5, "multipleOf": 1e-320}) == 3.5


def test_a_schema_that_is_nested_too_deep_gives_no_arguments() -> None:
    deep = '{"properties":' * 100_000
    assert sample_text(deep) == "{}"
    assert first_argument(deep, "x") is None
