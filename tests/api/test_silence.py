"""A stream that is silent: comments keep the connection, and no reader takes them for an event."""

import json
from pathlib import Path

import aiohttp

from tests.support.serving import serving


async def streamed_bytes(directory: Path, script: str) -> bytes:
    """A whole stream as it came, of a server that sends a comment after 50 ms of silence."""
    directory.mkdir(exist_ok=True)
    config = directory / "threadmill.toml"
    config.write_text("[limits]\nstream_comment_seconds = 0.05\n")
    async with serving(directory, CONFIG=str(config)) as live, aiohttp.ClientSession() as session:
        assistant, thread = await live.api.assistant(), await live.api.thread(script)
        body = {"assistant_id": assistant, "stream": True}
        async with session.post(f"{live.url}/threads/{thread}/runs", json=body) as answer:
            return await answer.read()


async def test_a_comment_is_one_line_without_a_blank_one_behind_it(tmp_path: Path) -> None:
    body = await streamed_bytes(tmp_path, "slow: 400ms\nsay: first later")
    assert body.count(b": keep-alive\n") >= 4
    assert b": keep-alive\n\n" not in body
    frames = [frame for frame in body.decode().split("\n\n") if frame]
    for frame in frames:
        fields = [line.partition(": ")[0] for line in frame.split("\n") if not line.startswith(":")]
        assert fields in (["id", "event", "data"], ["event", "data"]), frame
    deltas = [frame for frame in frames if "event: thread.message.delta" in frame]
    texts = [json.loads(delta.rpartition("data: ")[2])["delta"]["content"][0]["text"]["value"] for delta in deltas]
    assert "".join(texts) == "first later"


async def test_a_stream_that_speaks_has_no_comments(tmp_path: Path) -> None:
    assert b": keep-alive" not in await streamed_bytes(tmp_path, "say: one two three")
