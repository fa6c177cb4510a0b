"""Requests too large to be held twice: they go out while they are encoded, pictures while they are read."""

import base64
import json
from collections.abc import AsyncGenerator, Callable

import pytest

from tests.models.support import client, pieces_of, text_of, user
from tests.support.upstream import ScriptedUpstream, Text
from threadmill.adapters.models.upstream.chat_request import encode_request
from threadmill.adapters.models.upstream.encoded_request import PIECE
from threadmill.adapters.models.upstream.settings import UpstreamSettings
from threadmill.domain.error import Unavailable
from threadmill.domain.message import TextPart
from threadmill.engine.ports.model import ModelRequest, PromptMessage, PromptRole, StoredPicture

SETTINGS = UpstreamSettings("http://127.0.0.1/v1")


def stored(*pieces: bytes, size: int | None = None) -> StoredPicture:
    async def read() -> AsyncGenerator[bytes]:
        for piece in pieces:
            yield piece

    return StoredPicture("image/png", len(b"".join(pieces)) if size is None else size, read, "low")


def lost() -> StoredPicture:
    async def read() -> AsyncGenerator[bytes]:
        yield b"x" * PIECE
        raise Unavailable("The content of this file is lost.")

    return StoredPicture("image/png", 10 * PIECE, read)


def asking(*pictures: StoredPicture) -> ModelRequest:
    return ModelRequest("m", (user("x"), PromptMessage(PromptRole.USER, (*pictures, TextPart("?")))))


@pytest.mark.parametrize("pieces", [(b"",), (b"a",), (b"ab", b"c"), (b"a" * 70_001, b"b" * 4, b"c" * 3)])
async def test_a_picture_goes_out_as_it_is_read(pieces: tuple[bytes, ...]) -> None:
    body = encode_request(asking(stored(*pieces)), SETTINGS)
    assert body.whole() is None
    sent = b"".join([piece async for piece in body.pieces()])
    assert len(sent) == body.size
    shown, text = json.loads(sent)["messages"][1]["content"]
    assert text == {"type": "text", "text": "?"}
    assert shown["image_url"] == {
        "url": "data:image/png;base64," + base64.b64encode(b"".join(pieces)).decode(),
        "detail": "low",
    }


async def test_no_piece_is_larger_than_what_is_read_at_once() -> None:
    parts = [user("long " * PIECE), *(user(str(number)) for number in range(20_000))]
    body = encode_request(ModelRequest("m", tuple(parts)), SETTINGS)
    pieces = [piece async for piece in body.pieces()]
    assert max(map(len, pieces)) <= PIECE
    assert len(pieces) < 3 * body.size / PIECE
    assert len(json.loads(b"".join(pieces))["messages"]) == 20_001


async def test_an_upstream_gets_a_large_request_with_its_length() -> None:
    async with ScriptedUpstream() as upstream, client(upstream.url) as adapter:
        upstream.answer(Text("ok"))
        picture = stored(*[b"p" * (1 << 20)] * 5)
        request = asking(picture, picture)
        assert text_of(await pieces_of(adapter, request)) == "ok"
        (received,) = upstream.requests
    assert received.headers["Content-Length"] == str(len(received.body))
    assert received.headers["Content-Type"] == "application/json"
    first, second, _ = received.json["messages"][1]["content"]
    assert first == second
    assert len(first["image_url"]["url"]) > 6_000_000


async def test_a_long_text_is_encoded_in_a_thread_and_arrives_whole() -> None:
    async with ScriptedUpstream() as upstream, client(upstream.url) as adapter:
        upstream.answer(Text("ok"))
        text = "Über 你好 " * PIECE
        await pieces_of(adapter, ModelRequest("m", (user(text),)))
        assert upstream.requests[0].json["messages"] == [{"role": "user", "content": text}]


@pytest.mark.parametrize("broken", [lost, lambda: stored(b"short", size=10 * PIECE)])
async def test_a_picture_that_is_lost_while_it_is_sent_is_no_fault_of_the_upstream(
    broken: Callable[[], StoredPicture],
) -> None:
    async with ScriptedUpstream() as upstream, client(upstream.url) as adapter:
        with pytest.raises(Unavailable, match="content of"):
            await pieces_of(adapter, asking(broken()))


async def test_what_the_upstream_refuses_of_a_large_request_is_learned() -> None:
    async with ScriptedUpstream() as upstream, client(upstream.url) as adapter:
        upstream.fail(400, {"message": "Unsupported parameter: 'stream_options'.", "param": "stream_options"})
        upstream.answer(Text("ok"))
        assert text_of(await pieces_of(adapter, asking(stored(b"p" * PIECE)))) == "ok"
        first, second = upstream.requests
    assert "stream_options" in first.json
    assert "stream_options" not in second.json
    assert first.json["messages"] == second.json["messages"]


def test_a_picture_of_another_role_is_a_note() -> None:
    message = PromptMessage(PromptRole.ASSISTANT, (stored(b"x"), TextPart("y")))
    body = encode_request(ModelRequest("m", (message,)), SETTINGS).whole()
    assert body is not None
    assert json.loads(body)["messages"][0]["content"] == "[Image]\n\ny"
