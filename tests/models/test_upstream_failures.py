"""What goes wrong with upstreams, and what the engine is told about it."""

import asyncio
import logging
import socket

import pytest

from tests.models.support import QUICK, Naps, ask, client, pieces_of, text_of
from tests.support.upstream import Call, Cut, Raw, ScriptedUpstream, Stall, Text, event_for
from threadmill.adapters.models.upstream.settings import Timeouts
from threadmill.domain.outcome import ErrorCode
from threadmill.engine.ports.model import ContextTooLong, FailedAttempts, Finish, FinishReason, ModelError

KEY = "sk-secret-0123456789"


async def refused(upstream: ScriptedUpstream, model: str = "gpt-4o", timeouts: Timeouts = QUICK) -> ModelError:
    async with client(upstream.url, api_key=KEY, timeouts=timeouts) as adapter:
        with pytest.raises(ModelError) as caught:
            await pieces_of(adapter, ask(model=model))
    return caught.value


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refused_key_is_said_without_the_key(status: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with ScriptedUpstream() as upstream:
        upstream.fail(status, {"message": f"Incorrect API key provided: {KEY}"})
        error = await refused(upstream)
        assert len(upstream.requests) == 1
    assert (error.code, error.message) == ("server_error", "The upstream refused this server's API key.")
    assert KEY not in caplog.text


async def test_a_key_repeated_by_the_upstream_is_hidden() -> None:
    async with ScriptedUpstream() as upstream:
        upstream.fail(400, {"message": f"Bad header Bearer {KEY}!"})
        error = await refused(upstream)
        assert upstream.requests[0].headers["Authorization"] == f"Bearer {KEY}"
    assert error.message == "The upstream refused the request with HTTP 400: Bad header Bearer ***!"
    assert str(error) == error.message


async def test_an_unknown_model_is_named() -> None:
    async with ScriptedUpstream() as upstream:
        upstream.fail(404, {"message": "The model `gpt-9` does not exist", "code": "model_not_found"})
        error = await refused(upstream, "gpt-9")
    assert (error.code, error.message) == (ErrorCode.SERVER_ERROR, "The upstream has no model 'gpt-9'.")


async def test_a_wrong_base_url_is_hinted_at() -> None:
    async with ScriptedUpstream() as upstream:
        upstream.reply(404, b"404: Not Found", {"Content-Type": "text/plain"})
        assert "base URL" in (await refused(upstream)).message


@pytest.mark.parametrize(
    "said",
    [
        {"message": "Too long.", "code": "context_length_exceeded"},
        {"message": "This model's maximum context length is 8192 tokens. However, you requested 9001 tokens."},
        {"message": "the request exceeds the available context size", "type": "exceed_context_size_error"},
        {"message": "the input length exceeds the context length"},
        {"message": "prompt is too long: 250000 tokens > 200000 maximum"},
        {"message": "Input exceeds the model's context window."},
        "too many tokens in the prompt",
    ],
)
async def test_every_known_way_to_say_too_long_is_understood(said: dict[str, str] | str) -> None:
    async with ScriptedUpstream() as upstream:
        upstream.fail(400, said)
        assert isinstance(await refused(upstream), ContextTooLong)
        assert len(upstream.requests) == 1


async def test_bare_error_bodies_are_read_too() -> None:
    async with ScriptedUpstream() as upstream:
        upstream.reply(400, b'{"object":"error","message":"maximum context length is 10","code":400}')
        assert isinstance(await refused(upstream), ContextTooLong)
        upstream.reply(422, b'{"detail":"temperature out of range"}')
        assert (await refused(upstream)).message == (
            "The upstream refused the request with HTTP 422: temperature out of range"
        )


@pytest.mark.parametrize(
    "body", ['{"error":' * 9_999, '{"error":{"message":"x","z":' + "[" * 9_999, '{"detail":' + "[" * 9_999]
)
async def test_an_error_nested_without_end_is_an_error_without_words(body: str) -> None:
    async with ScriptedUpstream() as upstream:
        upstream.reply(400, body.encode())
        error = await refused(upstream)
    assert error.message == "The upstream refused the request with HTTP 400."


async def test_a_content_policy_refusal_is_an_invalid_prompt() -> None:
    async with ScriptedUpstream() as upstream:
        upstream.fail(400, {"message": "Filtered by our content management policy.", "code": "content_filter"})
        error = await refused(upstream)
    assert (error.code, error.message) == (ErrorCode.INVALID_PROMPT, "Filtered by our content management policy.")


async def test_a_rate_limit_keeps_the_upstreams_words() -> None:
    async with ScriptedUpstream() as upstream:
        for _ in range(3):
            upstream.fail(429, {"message": "Rate limit reached for gpt-4o on tokens per min (TPM)."})
        error = await refused(upstream)
        assert len(upstream.requests) == 3
    assert error.code is ErrorCode.RATE_LIMIT_EXCEEDED
    assert error.message == "Rate limit reached for gpt-4o on tokens per min (TPM)."


async def test_a_spent_quota_is_not_asked_for_again() -> None:
    async with ScriptedUpstream() as upstream:
        upstream.fail(429, {"message": "You exceeded your current quota.", "code": "insufficient_quota"})
        assert (await refused(upstream)).code is ErrorCode.RATE_LIMIT_EXCEEDED
        assert len(upstream.requests) == 1


async def test_an_upstreams_long_words_are_shortened() -> None:
    async with ScriptedUpstream() as upstream:
        upstream.fail(400, {"message": "x" * 5000})
        assert len((await refused(upstream)).message) < 600


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 529])
async def test_passing_failures_are_tried_again(status: int) -> None:
    naps = Naps()
    async with ScriptedUpstream() as upstream, client(upstream.url, naps) as model:
        upstream.fail(status)
        upstream.fail(status)
        upstream.answer(Text("x"))
        pieces = await pieces_of(model)
    assert text_of(pieces) == "x"
    assert isinstance(pieces[0], FailedAttempts)
    assert len(pieces[0].reasons) == 2
    assert naps.taken == [0.5, 1.0]


@pytest.mark.parametrize(
    ("header", "nap"),
    [
        ("3", 3.0),
        ("3600", 30.0),
        ("Thu, 01 Jan 1970 00:16:45 GMT", 5.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.5),
        ("soon", 0.5),
        ("nan", 0.5),
        ("-7", 0.5),
    ],
)
async def test_retry_after_is_honoured_within_reason(header: str, nap: float) -> None:
    naps = Naps(now=1000.0)
    async with ScriptedUpstream() as upstream, client(upstream.url, naps) as model:
        upstream.fail(503, headers={"Retry-After": header})
        upstream.answer(Text("x"))
        await pieces_of(model)
    assert naps.taken == [nap]


async def test_an_answer_cut_off_before_its_first_piece_is_tried_again() -> None:
    async with ScriptedUpstream() as upstream, client(upstream.url) as model:
        upstream.reply(200, b"", before=Cut())
        upstream.answer(Cut())
        upstream.answer(Text("x"))
        assert text_of(await pieces_of(model)) == "x"


@pytest.mark.parametrize("end", [Cut(), Raw(b"")])
async def test_an_answer_cut_off_after_its_first_piece_is_not_tried_again(end: Cut | Raw) -> None:
    async with ScriptedUpstream() as upstream, client(upstream.url) as model:
        upstream.answer(Text("x"), end, finish=None, done=False)
        stream = model.stream(ask())
        assert await anext(stream) == ["x"]
        with pytest.raises(ModelError, match=r"^The upstream's answer was cut off\.$") as caught:
            await anext(stream)
        assert len(upstream.requests) == 1
    assert caught.value.code is ErrorCode.SERVER_ERROR


async def test_a_connection_that_breaks_behind_the_finish_does_no_harm() -> None:
    async with ScriptedUpstream() as upstream, client(upstream.url) as model:
        upstream.answer(Raw(event_for({"content": "x"}, "stop")), Cut(), finish=None)
        assert await pieces_of(model) == ["x", Finish(FinishReason.STOP)]


async def test_a_bad_chunk_ends_the_answer() -> None:
    async with ScriptedUpstream() as upstream:
        upstream.answer(Raw(b'data: {"choices": [{"delta": \n\n'))
        assert (await refused(upstream)).message == "The upstream sent a chunk that is not valid."


async def test_a_web_page_is_no_answer() -> None:
    async with ScriptedUpstream() as upstream:
        upstream.reply(200, b"<!doctype html><title>Log in</title>", {"Content-Type": "text/html"})
        assert "web page" in (await refused(upstream)).message


async def test_an_endless_event_is_refused() -> None:
    async with ScriptedUpstream() as upstream:
        upstream.answer(Raw(b"data: " + b"x" * (5 * 1024 * 1024)))
        assert (await refused(upstream)).message == "The upstream sent an event that is too large."


async def test_an_error_inside_the_stream_keeps_its_kind() -> None:
    async with ScriptedUpstream() as upstream:
        for _ in range(3):
            upstream.answer(Raw(b'data: {"error": {"message": "Slow down.", "code": 429}}\n\n'))
        assert (await refused(upstream)).code is ErrorCode.RATE_LIMIT_EXCEEDED
        upstream.answer(Raw(b'event: error\ndata: {"object": "error", "message": "Overheated."}\n\n'))
        assert (await refused(upstream)).message == "The upstream failed: Overheated."


async def test_silence_before_the_first_token_ends_in_time() -> None:
    timeouts = Timeouts(first_token=0.05, between_tokens=30)
    async with ScriptedUpstream() as upstream:
        upstream.reply(200, b"", before=Stall())
        assert "sent nothing for 0.05 seconds" in (await refused(upstream, timeouts=timeouts)).message
        upstream.answer(Stall())
        assert "sent nothing for 0.05 seconds" in (await refused(upstream, timeouts=timeouts)).message
        assert len(upstream.requests) == 2


async def test_silence_between_tokens_ends_in_time_and_closes_the_connection() -> None:
    timeouts = Timeouts(first_token=30, between_tokens=0.05)
    async with ScriptedUpstream() as upstream:
        upstream.answer(Text("x"), Stall())
        assert "sent nothing for 0.05 seconds" in (await refused(upstream, timeouts=timeouts)).message
        async with asyncio.timeout(5):
            await upstream.requests[0].disconnected.wait()


async def test_comments_alone_do_not_keep_an_answer_alive() -> None:
    timeouts = Timeouts(first_token=0.05, between_tokens=30)
    async with ScriptedUpstream() as upstream:
        upstream.answer(Raw(b": processing\n\n"), Stall())
        assert "sent nothing" in (await refused(upstream, timeouts=timeouts)).message


async def test_a_server_that_is_not_there_is_tried_and_then_named() -> None:
    naps = Naps()
    async with client("http://127.0.0.1:1/v1", naps) as model:
        with pytest.raises(ModelError, match="The upstream 'default' cannot be reached"):
            await pieces_of(model)
    assert len(naps.taken) == 2


async def test_a_server_that_never_shakes_hands_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        timeouts = Timeouts(connect=0.05, attempts=1)
        async with client(f"https://127.0.0.1:{port}/v1", timeouts=timeouts) as model:
            with pytest.raises(ModelError, match="could not be reached within 0.05 seconds"):
                await pieces_of(model)


async def test_something_that_is_no_http_server_is_refused() -> None:
    async def babble(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail ready\r\n\r\n")
        writer.close()

    other = await asyncio.start_server(babble, "127.0.0.1", 0)
    host, port = other.sockets[0].getsockname()
    async with other, client(f"http://{host}:{port}/v1") as model:
        with pytest.raises(ModelError, match="did not answer in HTTP|closed the connection"):
            await pieces_of(model)


async def test_a_redirect_is_not_followed_with_the_key() -> None:
    async with ScriptedUpstream() as upstream:
        upstream.reply(307, b"", {"Location": "http://127.0.0.1:1/"})
        assert "HTTP 307" in (await refused(upstream)).message


async def test_a_cut_in_the_middle_of_a_call_is_an_error() -> None:
    async with ScriptedUpstream() as upstream:
        upstream.answer(Call("f", ['{"a"']), Cut())
        assert (await refused(upstream)).message == "The upstream's answer was cut off."
