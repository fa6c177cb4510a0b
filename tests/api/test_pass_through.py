"""The app's other calls go on to the upstream and come back as they are."""

import asyncio
import io
import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from tests.support.any_upstream import AnyUpstream
from tests.support.serving import Live, serving

KEY, UPSTREAM_KEY = "key-of-sixteen-letters", "sk-upstream-0123456789"


@pytest.fixture
async def upstream() -> AsyncGenerator[AnyUpstream]:
    async with AnyUpstream() as found:
        yield found


@pytest.fixture
async def passing(tmp_path: Path, upstream: AnyUpstream) -> AsyncGenerator[Live]:
    names = {"UPSTREAM_API_KEY": UPSTREAM_KEY, "ALIASES": "old=new"}
    async with serving(tmp_path, upstream.url, f"{KEY},other={KEY}2", **names) as live:
        live.api.headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
        yield live


@pytest.mark.parametrize(
    "path",
    [
        "/chat/completions",
        "/completions",
        "/embeddings",
        "/responses",
        "/moderations",
        "/images/generations",
        "/audio/speech",
    ],
)
async def test_each_goes_to_its_path_under_the_upstreams_key_and_the_models_own_name(
    passing: Live, upstream: AnyUpstream, path: str
) -> None:
    passing.api.headers |= {"Cookie": "a=b", "X-Forwarded-For": "10.0.0.1", "OpenAI-Beta": "x=1", "User-Agent": "mine"}
    body = {"input": "\u00fc", "model": "old", "n": 1.50}
    assert await passing.api.ok("POST", f"{path}?a=b", body) == {"ok": True}
    (asked,) = upstream.asked
    assert (asked.method, asked.path, asked.query) == ("POST", f"/v1{path}", {"a": "b"})
    assert asked.json == body | {"model": "new"}
    assert asked.headers["authorization"] == f"Bearer {UPSTREAM_KEY}"
    assert (asked.headers["user-agent"], asked.headers["openai-beta"]) == ("mine", "x=1")
    assert not {"cookie", "x-forwarded-for", "api-key"} & asked.headers.keys()
    assert KEY not in str(asked.headers)


async def test_a_body_whose_model_means_itself_goes_out_byte_by_byte(passing: Live, upstream: AnyUpstream) -> None:
    raw = b'{ "model" : "new",  "x": 1e2 ,"x":"\\u0041" }'
    assert (await passing.api.call("POST", "/embeddings", raw=raw)).status == 200
    assert upstream.asked[0].body == raw


@pytest.mark.filterwarnings("ignore:Sending a large body")
async def test_a_large_body_goes_out_byte_by_byte_and_a_large_name_does_not(
    passing: Live, upstream: AnyUpstream
) -> None:
    raw = b'{"input": "%s", "model": "new"}' % (b"x" * 2_000_000)
    assert (await passing.api.call("POST", "/embeddings", raw=raw)).status == 200
    assert upstream.asked[0].body == raw
    status, error = await passing.api.refused("POST", "/embeddings", {"model": "m" * 100_000})
    assert (status, error["param"], len(upstream.asked)) == (400, "model", 1)
    countless = b'{"model":"new","input":[%s1]}' % (b"1," * 1_000_000)
    status, error = await passing.api.refused("POST", "/embeddings", raw=countless)
    assert (status, error["code"], len(upstream.asked)) == (400, "invalid_json", 1)


@pytest.mark.filterwarnings("ignore:Sending a large body")
async def test_a_large_chat_is_rehearsed_and_one_of_countless_values_is_not(tmp_path: Path) -> None:
    async with serving(tmp_path) as live:

        async def asked(messages: list[dict[str, Any]]) -> int:
            return (
                await live.api.call("POST", "/chat/completions", {"model": "rehearsal", "messages": messages})
            ).status

        said = [{"role": "user", "content": "x" * 100_000}, {"role": "user", "content": "say: hi"}]
        assert (await asked(said), await asked(said[1:] * 60_000)) == (200, 400)


async def test_without_our_key_nothing_goes_out(passing: Live, upstream: AnyUpstream) -> None:
    passing.api.headers["Authorization"] = "Bearer wrong"
    status, _ = await passing.api.refused("POST", "/chat/completions", {"model": "m"})
    assert (status, upstream.asked) == (401, [])


async def test_status_body_and_rate_limits_come_back_as_they_are(passing: Live, upstream: AnyUpstream) -> None:
    async def busy(_: web.Request) -> web.StreamResponse:
        headers = {"Retry-After": "7", "x-ratelimit-remaining-tokens": "3", "Set-Cookie": "a=b", "Server": "x"}
        return web.json_response({"error": {"message": f"no room for {UPSTREAM_KEY}"}}, status=429, headers=headers)

    upstream.handler = busy
    reply = await passing.api.call("POST", "/chat/completions", {"model": "m"})
    assert (reply.status, reply.body) == (429, {"error": {"message": "no room for ***"}})
    told = {name.lower(): value for name, value in reply.headers.items()}
    assert (told["retry-after"], told["x-ratelimit-remaining-tokens"]) == ("7", "3")
    assert "set-cookie" not in told
    assert told["x-request-id"].startswith("req_")


async def test_a_stream_comes_byte_by_byte_and_unheld(passing: Live, upstream: AnyUpstream) -> None:
    more = asyncio.Event()

    async def stream(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b"data: on")
        await more.wait()
        await response.write(b'e\r\n: odd\n\ndata: {"usage": {"prompt_tokens": 5, "completion_tokens": 7}}\n\n')
        return response

    upstream.handler = stream
    async with (
        asyncio.timeout(10),
        passing.api.session.post(
            f"{passing.url}/chat/completions", json={"model": "m", "stream": True}, headers=passing.api.headers
        ) as answer,
    ):
        assert answer.headers["content-type"] == "text/event-stream"
        assert await answer.content.readany() == b"data: on"
        more.set()
        rest = await answer.content.read()
    assert rest == b'e\r\n: odd\n\ndata: {"usage": {"prompt_tokens": 5, "completion_tokens": 7}}\n\n'
    async with passing.api.session.get(f"{passing.api.base}/metrics", headers=passing.api.headers) as told:
        text = await told.text()
    assert 'threadmill_passed_on_total{path="chat/completions",status="200"} 1.0' in text
    assert 'threadmill_tokens_total{kind="completion"} 7.0' in text


@pytest.mark.parametrize("begun", [False, True])
async def test_a_caller_that_hangs_up_closes_the_upstream(passing: Live, upstream: AnyUpstream, begun: bool) -> None:
    asked, gone = asyncio.Event(), asyncio.Event()

    async def stall(request: web.Request) -> web.StreamResponse:
        try:
            if begun:
                response = web.StreamResponse()
                await response.prepare(request)
                await response.write(b"x")
            asked.set()
            await asyncio.Event().wait()
        finally:
            gone.set()
        raise AssertionError

    upstream.handler = stall
    url = f"{passing.url}/chat/completions"
    async with asyncio.timeout(10), aiohttp.ClientSession() as session:
        call = asyncio.create_task(session.post(url, json={"model": "m"}, headers=passing.api.headers).__aenter__())
        await asked.wait()
        if begun:
            (await call).close()
        else:
            call.cancel()
        await gone.wait()


async def test_an_upstream_that_breaks_off_is_no_whole_answer(passing: Live, upstream: AnyUpstream) -> None:
    async def cut(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"half")
        assert request.transport is not None
        request.transport.abort()
        return response

    upstream.handler = cut
    url = f"{passing.url}/chat/completions"
    async with passing.api.session.post(url, json={"model": "m"}, headers=passing.api.headers) as answer:
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.read()


@pytest.mark.parametrize("file_first", [False, True])
async def test_forms_are_streamed_with_the_models_own_name(
    passing: Live, upstream: AnyUpstream, file_first: bool
) -> None:
    audio = bytes(range(256)) * (400 if not file_first else 4)
    form = aiohttp.FormData()
    if file_first:
        form.add_field("file", audio, filename="a.mp3")
    form.add_field("model", "old")
    if not file_first:
        form.add_field("file", audio, filename="a.mp3")
    del passing.api.headers["Content-Type"]
    url = f"{passing.url}/audio/transcriptions"
    async with passing.api.session.post(url, data=form, headers=passing.api.headers) as answer:
        assert answer.status == 200
    (asked,) = upstream.asked
    assert audio in asked.body
    assert b"\r\n\r\nnew\r\n" in asked.body
    assert int(asked.headers["content-length"]) == len(asked.body)


async def test_a_form_too_large_is_refused_before_it_is_sent(passing: Live, upstream: AnyUpstream) -> None:
    form = aiohttp.FormData()
    form.add_field("file", io.BytesIO(b"x" * (33 * 1024 * 1024)), filename="a.mp3")
    del passing.api.headers["Content-Type"]
    url = f"{passing.url}/audio/transcriptions"
    try:
        async with passing.api.session.post(url, data=form, headers=passing.api.headers) as answer:
            assert answer.status == 413
    except aiohttp.ClientError:
        pass  # it was refused while the client still sent
    assert upstream.asked == []


async def test_azures_deployments_are_models(passing: Live, upstream: AnyUpstream) -> None:
    url = f"{passing.api.base}/openai/deployments/old/chat/completions?api-version=2024-05-01"
    headers = {"api-key": KEY, "Content-Type": "application/json"}
    async with passing.api.session.post(url, data=b'{"messages": []}', headers=headers) as answer:
        assert answer.status == 200
    (asked,) = upstream.asked
    assert (asked.path, asked.query, asked.json) == ("/v1/chat/completions", {}, {"messages": [], "model": "new"})


async def test_a_response_is_found_again_and_by_its_own_project_only(passing: Live, upstream: AnyUpstream) -> None:
    async def made(_: web.Request) -> web.StreamResponse:
        return web.json_response({"id": "resp_1", "object": "response"})

    upstream.handler = made
    await passing.api.ok("POST", "/responses", {"model": "m"})
    for method, path in (("GET", ""), ("GET", "/input_items"), ("POST", "/cancel"), ("DELETE", "")):
        await passing.api.ok(method, f"/responses/resp_1{path}")
    assert [(asked.method, asked.path) for asked in upstream.asked[1:]] == [
        ("GET", "/v1/responses/resp_1"),
        ("GET", "/v1/responses/resp_1/input_items"),
        ("POST", "/v1/responses/resp_1/cancel"),
        ("DELETE", "/v1/responses/resp_1"),
    ]
    passing.api.headers["Authorization"] = f"Bearer {KEY}2"
    assert (await passing.api.call("GET", "/responses/resp_1")).status == 404
    assert len(upstream.asked) == 5


@pytest.mark.parametrize("path", ["/responses/..%2Fmodels", "/responses/%2e%2e", "/files/../chat", "/fine_tuning/jobs"])
async def test_nothing_else_of_an_upstream_is_reached(passing: Live, upstream: AnyUpstream, path: str) -> None:
    assert (await passing.api.call("GET", path)).status in (404, 405)
    assert upstream.asked == []


@pytest.mark.parametrize("raw", [b"", b"[]", b"{", b'{"model": 5}', b"\xff", b'{"a":' * 9_999])
async def test_what_is_no_body_is_refused_or_left_to_the_upstream(
    passing: Live, upstream: AnyUpstream, raw: bytes
) -> None:
    reply = await passing.api.call("POST", "/embeddings", raw=raw)
    assert (reply.status, len(upstream.asked)) == ((200, 1) if not raw else (400, 0))


async def test_an_upstream_that_is_not_there_is_said(tmp_path: Path) -> None:
    async with serving(tmp_path, "http://127.0.0.1:1/v1") as live:
        status, error = await live.api.refused("POST", "/chat/completions", {"model": "m"})
    assert (status, error["message"]) == (503, "The upstream 'environment' cannot be reached.")


async def test_without_an_upstream_the_404_says_what_to_set(tmp_path: Path) -> None:
    async with serving(tmp_path) as live:
        for path in ("/chat/completions", "/embeddings"):
            status, error = await live.api.refused("POST", path, {"model": "gpt-4o"})
            assert (status, "THREADMILL_UPSTREAM_URL" in error["message"]) == (404, True)
        status, error = await live.api.refused("GET", "/responses/resp_1")
        assert (status, "THREADMILL_UPSTREAM_URL" in error["message"]) == (404, True)
        status, error = await live.api.refused("POST", "/embeddings", {"model": "rehearsal"})
        assert (status, "/v1/chat/completions only" in error["message"]) == (404, True)


async def test_an_upstream_may_be_left_out(tmp_path: Path, upstream: AnyUpstream) -> None:
    one = f'[[upstreams]]\nbase_url = "{upstream.url}"\n'
    for setting, passed in (("false", []), ('["embeddings", "images"]', ["/v1/embeddings", "/v1/images/edits"])):
        file = tmp_path / "threadmill.toml"
        file.write_text(f"{one}pass_through = {setting}\n")
        upstream.asked.clear()
        async with serving(tmp_path, CONFIG=str(file)) as live:
            for path in ("/chat/completions", "/embeddings", "/images/edits"):
                reply = await live.api.call("POST", path, {"model": "m"})
                assert reply.status == (200 if f"/v1{path}" in passed else 404)
                assert reply.status == 200 or "pass_through" in reply.body["error"]["message"]
        assert [asked.path for asked in upstream.asked] == passed


async def test_few_places_are_shared_with_runs(tmp_path: Path, upstream: AnyUpstream) -> None:
    file = tmp_path / "threadmill.toml"
    file.write_text(f'[[upstreams]]\nbase_url = "{upstream.url}"\nmax_concurrent = 1\n')
    begun, end = asyncio.Semaphore(0), asyncio.Semaphore(0)

    async def wait(_: web.Request) -> web.StreamResponse:
        begun.release()
        await end.acquire()
        return web.json_response({})

    upstream.handler = wait
    async with asyncio.timeout(10), serving(tmp_path, CONFIG=str(file)) as live:
        calls = [asyncio.create_task(live.api.ok("POST", "/embeddings", {"model": "m"})) for _ in range(2)]
        await begun.acquire()
        assert len(upstream.asked) == 1
        end.release()
        await begun.acquire()
        end.release()
        await asyncio.gather(*calls)


SCRIPT = 'say: Hello there\ncall: f {"x": 1}\ncall: g'


async def test_rehearsal_answers_chats_whole(tmp_path: Path) -> None:
    async with serving(tmp_path) as live:
        body: dict[str, Any] = {"model": "rehearsal", "messages": [{"role": "user", "content": SCRIPT}]}
        whole = await live.api.ok("POST", "/chat/completions", body)
        message = whole["choices"][0]["message"]
        assert (whole["object"], whole["choices"][0]["finish_reason"]) == ("chat.completion", "tool_calls")
        assert message["content"] == "Hello there"
        functions = [call["function"] for call in message["tool_calls"]]
        assert functions == [{"name": "f", "arguments": '{"x": 1}'}, {"name": "g", "arguments": "{}"}]
        assert whole["usage"]["completion_tokens"] > 0
        outputs = [{"role": "tool", "tool_call_id": call["id"], "content": "7"} for call in message["tool_calls"]]
        body["messages"] += [message, *outputs]
        assert (await live.api.ok("POST", "/chat/completions", body))["choices"][0]["message"]["content"]


async def test_rehearsal_answers_chats_streamed(tmp_path: Path) -> None:
    async with serving(tmp_path) as live:
        body: dict[str, Any] = {"model": "rehearsal", "messages": [{"role": "user", "content": SCRIPT}], "stream": True}
        body["stream_options"] = {"include_usage": True}
        async with live.api.session.post(f"{live.url}/chat/completions", json=body) as answer:
            assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
            events = (await answer.read()).split(b"\n\n")
    assert events[-2:] == [b"data: [DONE]", b""]
    chunks: list[dict[str, Any]] = [json.loads(event[6:]) for event in events[:-2]]
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks if chunk["choices"]]
    assert "".join(delta.get("content", "") for delta in deltas) == "Hello there"
    names = [call["function"]["name"] for delta in deltas for call in delta.get("tool_calls", ()) if "id" in call]
    assert names == ["f", "g"]
    assert chunks[-1]["usage"]["completion_tokens"] > 0


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"messages": [{"role": "user", "content": "fail: rate_limit"}]}, 429),
        ({"messages": [{"role": "user", "content": "fail: server_error"}]}, 500),
        ({"messages": [{"role": "user", "content": "fail: context"}]}, 400),
        ({"messages": [{"role": "user", "content": "fail: nonsense"}]}, 400),
        ({"messages": [{"role": "user", "content": "fail: rate_limit"}], "stream": True}, 429),
        ({"messages": [{"role": "wizard", "content": "x"}]}, 400),
        ({"messages": "x"}, 400),
        ({"messages": [], "n": 2}, 400),
        ({}, 400),
    ],
)
async def test_rehearsal_refuses_chats_in_the_apis_own_shape(tmp_path: Path, body: dict[str, Any], status: int) -> None:
    async with serving(tmp_path) as live:
        reply = await live.api.call("POST", "/chat/completions", {"model": "rehearsal", **body})
    assert (reply.status, reply.body["error"].keys()) == (status, {"message", "type", "param", "code"})


async def test_rehearsal_reads_every_shape_of_a_chat(tmp_path: Path) -> None:
    tool: dict[str, Any] = {
        "type": "function",
        "function": {"name": "f", "parameters": {"type": "object", "properties": {"a": {}}}},
    }
    parts = [{"type": "text", "text": "Hi"}, {"type": "image_url", "image_url": {"url": "http://x/y.png"}}]
    body: dict[str, Any] = {
        "model": "rehearsal",
        "messages": [{"role": "developer", "content": "x"}, {"role": "user", "content": parts}],
    }
    async with serving(tmp_path) as live:

        async def message(**more: Any) -> dict[str, Any]:
            return (await live.api.ok("POST", "/chat/completions", body | more))["choices"][0]["message"]

        assert (await message())["content"] == "You said: Hi"
        named = {"type": "function", "function": {"name": "f"}}
        for choice in (named, "required"):
            made = await message(tools=[tool], tool_choice=choice)
            assert made["content"] is None
            assert made["tool_calls"][0]["function"] == {"name": "f", "arguments": '{"a": "example"}'}
        assert (await message(tools=[tool], tool_choice="auto"))["content"] == "You said: Hi"
        shaped = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "boolean"}}}
        assert (await message(response_format=shaped))["content"] == "true"
        refused = {"messages": [{"role": "user", "content": "refuse: No."}]}
        assert (await message(**refused))["refusal"] == "No."
