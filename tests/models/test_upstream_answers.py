"""What upstreams send, turned into pieces, over real HTTP."""

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from tests.models.support import ask, client, pieces_of, text_of
from tests.support.upstream import Call, Chunk, Delta, Pause, Raw, Refusal, ScriptedUpstream, Stall, Text, event_for
from threadmill.adapters.models.upstream.openai_compatible import OpenAICompatible
from threadmill.adapters.models.upstream.settings import UpstreamSettings
from threadmill.domain.outcome import ErrorCode, Usage
from threadmill.domain.tool import FunctionTool
from threadmill.engine.ports.model import (
    Finish,
    FinishReason,
    ModelError,
    Piece,
    ReasoningPiece,
    RefusalPiece,
    ToolCallPiece,
)


async def answered(upstream: ScriptedUpstream) -> list[Piece]:
    async with client(upstream.url) as model:
        return await pieces_of(model)


async def test_text_comes_as_plain_strings_then_finish_then_usage() -> None:
    async with ScriptedUpstream() as upstream:
        upstream.answer(Text("Hello", " world"), usage=Usage(9, 2, 4, 1))
        assert await answered(upstream) == ["Hello", " world", Finish(FinishReason.STOP), Usage(9, 2, 4, 1)]


async def test_one_network_read_is_one_batch() -> None:
    pause = Pause()
    async with ScriptedUpstream() as upstream, client(upstream.url) as model:
        together = event_for({"content": "a"}) + event_for({"content": "b"})
        upstream.answer(Raw(together), pause, Text("c"))
        stream = model.stream(ask())
        assert await anext(stream) == ["a", "b"]
        pause.go.set()
        assert [piece async for batch in stream for piece in batch] == ["c", Finish(FinishReason.STOP)]


async def test_parallel_calls_keep_their_indexes() -> None:
    async with ScriptedUpstream() as upstream:
        upstream.answer(Call("one", ['{"a"', ":1}"], "call_a"), Call("two", "{}", "call_b", 1))
        assert await answered(upstream) == [
            ToolCallPiece(0, "call_a", "one"),
            ToolCallPiece(0, arguments='{"a"'),
            ToolCallPiece(0, arguments=":1}"),
            ToolCallPiece(1, "call_b", "two"),
            ToolCallPiece(1, arguments="{}"),
            Finish(FinishReason.TOOL_CALLS),
        ]


async def test_calls_without_an_index_are_told_apart_by_their_ids() -> None:
    def delta(**call: Any) -> Delta:
        return Delta({"tool_calls": [call]})

    async with ScriptedUpstream() as upstream:
        upstream.answer(
            delta(id="x", function={"name": "one", "arguments": "{"}),
            delta(function={"arguments": "}"}),
            delta(id="y", function={"name": "two", "arguments": {"k": 1}}),
        )
        calls = [piece for piece in await answered(upstream) if isinstance(piece, ToolCallPiece)]
    assert calls == [
        ToolCallPiece(0, "x", "one", "{"),
        ToolCallPiece(0, None, None, "}"),
        ToolCallPiece(1, "y", "two", '{"k": 1}'),
    ]


async def test_a_legacy_function_call_is_call_zero() -> None:
    async with ScriptedUpstream() as upstream:
        upstream.answer(
            Delta({"function_call": {"name": "old", "arguments": ""}}),
            Delta({"function_call": {"arguments": "{}"}}),
            finish="function_call",
        )
        expected = [ToolCallPiece(0, None, "old"), ToolCallPiece(0, arguments="{}"), Finish(FinishReason.TOOL_CALLS)]
        assert await answered(upstream) == expected


async def test_calls_that_end_in_stop_are_tool_calls() -> None:
    async with ScriptedUpstream() as upstream:
        upstream.answer(Call("f"), finish="stop")
        assert (await answered(upstream))[-1] == Finish(FinishReason.TOOL_CALLS)


async def test_a_refusal_is_no_text() -> None:
    async with ScriptedUpstream() as upstream:
        upstream.answer(Refusal("No."))
        assert await answered(upstream) == [RefusalPiece("No."), Finish(FinishReason.STOP)]


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("stop", FinishReason.STOP),
        ("length", FinishReason.LENGTH),
        ("content_filter", FinishReason.CONTENT_FILTER),
        ("eos_token", FinishReason.STOP),
    ],
)
async def test_finish_reasons_are_understood_and_unknown_ones_are_stops(said: str, meant: FinishReason) -> None:
    async with ScriptedUpstream() as upstream:
        upstream.answer(Text("x"), finish=said)
        assert (await answered(upstream))[-1] == Finish(meant)


async def test_empty_null_and_foreign_chunks_give_no_pieces() -> None:
    reasoning = Delta({"reasoning_content": "hm", "content": None})
    other_choice: dict[str, Any] = {"choices": [{"index": 1, "delta": {"content": "other"}}]}
    async with ScriptedUpstream() as upstream:
        nothing = Chunk({"choices": [], "usage": None, "error": None})
        upstream.answer(nothing, reasoning, Delta({"content": ""}), Chunk(other_choice), Text("x"))
        assert await answered(upstream) == ["x", Finish(FinishReason.STOP)]


async def test_content_sent_as_parts_is_joined_without_its_thoughts() -> None:
    parts = [{"type": "thinking", "text": "hm"}, {"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    async with ScriptedUpstream() as upstream:
        upstream.answer(Delta({"content": parts}))
        assert text_of(await answered(upstream)) == "ab"


async def test_only_the_last_of_many_usages_counts() -> None:
    async with ScriptedUpstream() as upstream:
        upstream.answer(
            Chunk({"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 1}}), usage=Usage(5, 2)
        )
        assert [piece for piece in await answered(upstream) if isinstance(piece, Usage)] == [Usage(5, 2)]


async def test_comments_crlf_and_many_data_lines_are_understood() -> None:
    chunk = event_for({"content": "x"}).removeprefix(b"data: ").strip()
    first, rest = chunk.split(b", ", 1)
    async with ScriptedUpstream() as upstream:
        upstream.answer(Raw(b": busy\r\n\r\nevent: m\r\ndata: " + first + b",\r\ndata: " + rest + b"\r\n\r\n"))
        assert text_of(await answered(upstream)) == "x"


async def test_a_finished_answer_needs_no_done() -> None:
    async with ScriptedUpstream() as upstream:
        upstream.answer(Text("x"), done=False)
        assert await answered(upstream) == ["x", Finish(FinishReason.STOP)]


async def test_done_without_a_finish_reason_is_a_stop() -> None:
    async with ScriptedUpstream() as upstream:
        upstream.answer(Text("x"), finish=None)
        assert await answered(upstream) == ["x", Finish(FinishReason.STOP)]


async def test_an_answer_that_is_not_streamed_is_taken_whole() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    message = {"role": "assistant", "content": "Hi", "tool_calls": [call]}
    usage = {"prompt_tokens": 3, "completion_tokens": 4}
    whole = {"choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}], "usage": usage}
    async with ScriptedUpstream() as upstream:
        upstream.reply(200, json.dumps(whole).encode())
        expected = ["Hi", ToolCallPiece(0, "c", "f", "{}"), Finish(FinishReason.TOOL_CALLS), Usage(3, 4)]
        assert await answered(upstream) == expected


async def test_a_connection_is_used_again_after_a_whole_answer() -> None:
    async with ScriptedUpstream() as upstream, client(upstream.url) as model:
        for _ in range(3):
            upstream.answer(Text("x"))
            await pieces_of(model)
        assert len({request.peer for request in upstream.requests}) == 1


async def test_leaving_the_stream_closes_the_upstream_connection() -> None:
    async with ScriptedUpstream() as upstream, client(upstream.url) as model:
        upstream.answer(Text("x"), Stall())
        stream = model.stream(ask())
        assert await anext(stream) == ["x"]
        await stream.aclose()
        async with asyncio.timeout(5):
            await upstream.requests[0].disconnected.wait()


@pytest.mark.parametrize("parts", [(), (Text("x"),)])
async def test_a_cancelled_reader_closes_the_upstream_connection(parts: tuple[Text, ...]) -> None:
    stalled = Pause()
    async with ScriptedUpstream() as upstream, client(upstream.url) as model:
        upstream.answer(*parts, stalled)
        reader = asyncio.create_task(pieces_of(model))
        await stalled.reached.wait()
        reader.cancel()
        async with asyncio.timeout(5):
            await upstream.requests[0].disconnected.wait()
        with pytest.raises(asyncio.CancelledError):
            await reader


async def test_what_came_before_an_error_in_the_stream_is_handed_over() -> None:
    async with ScriptedUpstream() as upstream, client(upstream.url) as model:
        broken = b'data: {"error": {"message": "GPU on fire", "code": 500}}\n\n'
        upstream.answer(Raw(event_for({"content": "x"}) + broken), finish=None, done=False)
        stream = model.stream(ask())
        assert await anext(stream) == ["x"]
        with pytest.raises(ModelError, match="GPU on fire") as caught:
            await anext(stream)
        assert caught.value.code is ErrorCode.SERVER_ERROR


async def test_choices_may_come_in_any_order() -> None:
    def chunk(*choices: dict[str, Any]) -> Chunk:
        return Chunk({"choices": list(choices)})

    first = {"index": 0, "delta": {"content": "mine"}, "finish_reason": None}
    other = {"index": 1, "delta": {"content": "other"}, "finish_reason": "length"}
    async with ScriptedUpstream() as upstream:
        upstream.answer(chunk(other, first), chunk(first, other), chunk(other))
        assert await answered(upstream) == ["mine", "mine", Finish(FinishReason.STOP)]


def raw_event(delta: str) -> bytes:
    return b'data: {"choices": [{"index": 0, "delta": %s}]}\n\n' % delta.encode("utf-8", "surrogatepass")


HALVES: dict[str, tuple[list[str], str]] = {
    "escaped": ([r'{"content": "a\ud83d"}', r'{"content": "\uDE00b"}'], "a\N{GRINNING FACE}b"),
    "as bytes": (['{"content": "a\ud83d"}', '{"content": "\ude00b"}'], "a\N{GRINNING FACE}b"),
    "in one chunk": ([r'{"content": "\ud83d"}', r'{"content": "\ude00\ud83d\ude00"}'], "\N{GRINNING FACE}" * 2),
    "with other chunks between": (
        [r'{"content": "\ud83d"}', '{"role": "x"}', r'{"content": "\ude00"}'],
        "\N{GRINNING FACE}",
    ),
    "three pairs in a row": (
        [
            r'{"content": "\ud83d"}',
            r'{"content": "\ude00\ud83d"}',
            r'{"content": "\ude00\ud83d"}',
            r'{"content": "\ude00"}',
        ],
        "\N{GRINNING FACE}" * 3,
    ),
    "a first half alone": ([r'{"content": "a\ud83d"}', '{"content": "b"}'], "a\ufffdb"),
    "a second half alone": ([r'{"content": "a"}', r'{"content": "\ude00b"}'], "a\ufffdb"),
    "a first half at the end": ([r'{"content": "a\ud83d"}'], "a\ufffd"),
    "two first halves": ([r'{"content": "\ud83d\ud83d"}', r'{"content": "\ude00"}'], "\ufffd\N{GRINNING FACE}"),
    "in a member that nobody reads": ([r'{"content": "a", "other": "\ud83d"}', '{"content": "b"}'], "ab"),
    "an escaped escape": ([r'{"content": "\\ud83d"}', r'{"content": "\\ude00"}'], r"\ud83d\ude00"),
}


@pytest.mark.parametrize("name", HALVES)
async def test_halves_of_a_surrogate_pair_are_joined_and_lone_ones_replaced(name: str) -> None:
    deltas, text = HALVES[name]
    async with ScriptedUpstream() as upstream:
        upstream.answer(*(Raw(raw_event(delta)) for delta in deltas), Raw(event_for({}, "stop")))
        pieces = await answered(upstream)
    assert (text_of(pieces), pieces[-1]) == (text, Finish(FinishReason.STOP))


async def test_halves_are_joined_in_refusals_and_in_the_arguments_of_each_call() -> None:
    def call(index: int, arguments: str) -> Raw:
        function = f'{{"name": "f", "arguments": "{arguments}"}}'
        return Raw(raw_event(f'{{"tool_calls": [{{"index": {index}, "function": {function}}}]}}'))

    refusals = [Raw(raw_event(r'{"refusal": "\ud83d"}')), Raw(raw_event(r'{"refusal": "\ude00"}'))]
    async with ScriptedUpstream() as upstream:
        calls = [call(0, r"a\ud83d"), call(1, r"b\ud83d"), call(0, r"\ude00"), call(1, "x")]
        upstream.answer(*refusals, *calls, finish=None)
        pieces = await answered(upstream)
    assert pieces == [
        RefusalPiece("\N{GRINNING FACE}"),
        ToolCallPiece(0, None, "f", "a"),
        ToolCallPiece(1, None, "f", "b"),
        ToolCallPiece(0, arguments="\N{GRINNING FACE}"),
        ToolCallPiece(1, arguments="\ufffdx"),
        Finish(FinishReason.TOOL_CALLS),
    ]


async def test_bytes_that_are_no_text_never_fail_an_answer() -> None:
    async with ScriptedUpstream() as upstream:
        upstream.answer(Raw(b'data: {"choices": [{"delta": {"content": "a\xff"}}]}\n\n'), Text("b"))
        assert text_of(await answered(upstream)) == "a\ufffdb"


@pytest.mark.parametrize("body", ["[" * 100_000, '{"choices": [{"delta": {"content": 5}}]}', r'{"choices": "\ud83d"}'])
async def test_what_is_no_chunk_even_when_mended_is_an_error(body: str) -> None:
    async with ScriptedUpstream() as upstream, client(upstream.url) as model:
        upstream.answer(Raw(raw_event(r'{"content": "\ud83d"}')), Raw(f"data: {body}\n\n".encode()))
        with pytest.raises(ModelError, match="a chunk that is not valid"):
            await pieces_of(model)


async def test_thoughts_in_front_of_an_answer_are_hidden_and_come_once_to_be_counted() -> None:
    async with ScriptedUpstream() as upstream:
        upstream.answer(Text("<thi", "nk>hm, ", "well</", "think>\n\n", "Hel", "lo"), usage=Usage(3, 9))
        expected = ["Hel", "lo", Finish(FinishReason.STOP), ReasoningPiece("hm, well"), Usage(3, 9)]
        assert await answered(upstream) == expected


async def test_what_only_looks_like_thoughts_is_text() -> None:
    async with ScriptedUpstream() as upstream:
        upstream.answer(Text("<thi"))
        assert await answered(upstream) == ["<thi", Finish(FinishReason.STOP)]


async def test_thoughts_may_be_kept() -> None:
    async with ScriptedUpstream() as upstream:
        model = OpenAICompatible(UpstreamSettings(upstream.url, reasoning="keep"))
        upstream.answer(Text("<think>hm", "</think>Hi"))
        assert await pieces_of(model) == ["<think>hm", "</think>Hi", Finish(FinishReason.STOP)]
        await model.aclose()


async def test_a_name_in_pieces_is_known_by_the_tools_on_offer() -> None:
    request = replace(ask(), tools=(FunctionTool("get_weather"),))
    async with ScriptedUpstream() as upstream, client(upstream.url) as model:
        pieces = [{"index": 0, "id": "a", "function": {"name": "get_"}}, {"index": 0, "function": {"name": "weather"}}]
        upstream.answer(*(Delta({"tool_calls": [piece]}) for piece in pieces), finish="stop")
        expected = [ToolCallPiece(0, "a", "get_weather"), Finish(FinishReason.TOOL_CALLS)]
        assert await pieces_of(model, request) == expected


async def test_usage_comes_when_nothing_is_waited_for_any_more_and_the_last_words_before() -> None:
    used = b'data: {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}\n\ndata: [DONE]\n\n'
    said = event_for({"content": "Hi"}) + event_for({}, "stop") + used
    async with ScriptedUpstream() as upstream, client(upstream.url) as model:
        pause = Pause()
        upstream.answer(Raw(said), pause, finish=None, done=False)
        batches = model.stream(ask())
        assert await anext(batches) == ["Hi", Finish(FinishReason.STOP)]
        pause.go.set()
        assert [batch async for batch in batches] == [[Usage(3, 2)]]
        whole = b'{"choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 3}}'
        upstream.reply(200, whole)
        assert [batch async for batch in model.stream(ask())] == [["Hi", Finish(FinishReason.STOP), Usage(3, 0)]]
