"""Who may ask, what is refused before it is looked at, and what every answer carries."""

from pathlib import Path

import aiohttp
import pytest

from tests.support.serving import Api, Live, serving
from threadmill.adapters.sqlite.store import SqliteStore


async def test_without_keys_any_key_will_do_on_loopback(live: Live) -> None:
    assert (await live.api.call("GET", "/assistants")).status == 200


async def test_projects_never_see_each_others_objects(tmp_path: Path) -> None:
    async with serving(tmp_path, keys="one=key-of-project-one,two=key-of-project-two,key-of-default-project") as live:

        def caller(key: str) -> Api:
            return Api(live.api.base, live.api.session, {"Authorization": f"Bearer {key}"})

        one, two = caller("key-of-project-one"), caller("key-of-project-two")
        assistant, thread = await one.assistant(), await one.thread("hi")
        run = (await one.stream(f"/threads/{thread}/runs", {"assistant_id": assistant}))[-2].data["id"]
        message = (await one.ok("GET", f"/threads/{thread}/messages"))["data"][0]["id"]
        step = (await one.ok("GET", f"/threads/{thread}/runs/{run}/steps"))["data"][0]["id"]
        for path in (
            f"/assistants/{assistant}",
            f"/threads/{thread}",
            f"/threads/{thread}/messages",
            f"/threads/{thread}/messages/{message}",
            f"/threads/{thread}/runs",
            f"/threads/{thread}/runs/{run}",
            f"/threads/{thread}/runs/{run}/steps",
            f"/threads/{thread}/runs/{run}/steps/{step}",
        ):
            status, error = await two.refused("GET", path)
            assert (status, error["message"][:3]) == (404, "No "), path
        for path in (f"/threads/{thread}/runs/{run}/cancel", f"/threads/{thread}/messages"):
            assert (await two.refused("POST", path, {"role": "user", "content": "x"}))[0] == 404
        own = await two.thread("mine")
        status, error = await two.refused("POST", f"/threads/{own}/runs", {"assistant_id": assistant})
        assert (status, error["message"]) == (404, f"No assistant found with id '{assistant}'.")
        assert (await two.ok("GET", "/assistants"))["data"] == []
        assert [found["id"] for found in (await two.ok("GET", "/threads"))["data"]] == [own]


async def test_a_wrong_key_is_refused_without_being_repeated(tmp_path: Path) -> None:
    async with serving(tmp_path, keys="right-key-right-key") as live:
        wrong = Api(live.api.base, live.api.session, {"Authorization": "Bearer not-a-real-key-of-ours"})
        status, error = await wrong.refused("GET", "/assistants")
        assert (status, error["code"], error["type"]) == (401, "invalid_api_key", "invalid_request_error")
        assert error["message"].startswith("Incorrect API key provided: not-a-re")
        assert "not-a-real-key-of-ours" not in error["message"]
        nobody = Api(live.api.base, live.api.session, {"X-Nothing": "x"})
        status, error = await nobody.refused("GET", "/assistants")
        assert status == 401
        assert error["message"].startswith("You didn't provide an API key.")
        azure = Api(live.api.base, live.api.session, {"api-key": "right-key-right-key"})
        assert (await azure.call("GET", "/assistants")).status == 200


async def test_the_old_beta_is_refused_with_what_to_do(live: Live) -> None:
    old = Api(live.api.base, live.api.session, {"OpenAI-Beta": "assistants=v1"})
    status, error = await old.refused("GET", "/assistants")
    assert (status, error["code"]) == (400, "invalid_beta")
    assert "assistants=v2" in error["message"]
    without = Api(live.api.base, live.api.session, {"X-Nothing": "x"})
    assert (await without.call("GET", "/assistants")).status == 200


async def test_every_answer_carries_the_services_headers(live: Live) -> None:
    for path in ("/assistants", "/nothing"):
        async with live.api.session.get(f"{live.url}{path}") as response:
            assert response.headers["openai-version"] == "2020-10-01"
            assert len(response.headers["x-request-id"]) == len("req_") + 32
            assert response.headers["openai-processing-ms"].isdecimal()
            assert response.headers["content-type"] == "application/json"


async def test_unknown_routes_and_methods_answer_in_the_apis_shape(live: Live) -> None:
    for method, path, status in (("GET", "/nothing", 404), ("DELETE", "/assistants", 405), ("GET", "/batches", 404)):
        async with live.api.session.request(method, f"{live.url}{path}") as response:
            body = await response.json()
            assert response.status == status
            assert list(body["error"]) == ["message", "type", "param", "code"]


async def test_a_huge_body_is_refused(tmp_path: Path) -> None:
    config = tmp_path / "threadmill.toml"
    config.write_text("[limits]\nmax_body_bytes = 2048\n")
    async with serving(tmp_path / "data", CONFIG=str(config)) as live:
        status, error = await live.api.refused("POST", "/threads", raw=b'{"metadata":{"a":"' + b"x" * 3000 + b'"}}')
        assert (status, error["code"]) == (413, "request_too_large")


@pytest.mark.parametrize("raw", [b"{", b"[]", b'"x"', b"\xff", b'{"a":NaN}', b"[" * 200 + b"]" * 200])
async def test_bodies_that_are_no_json_object_are_refused(live: Live, raw: bytes) -> None:
    status, error = await live.api.refused("POST", "/assistants", raw=raw)
    assert (status, error["type"]) == (400, "invalid_request_error")


async def test_health_readiness_and_metrics_need_no_key(tmp_path: Path) -> None:
    async with serving(tmp_path, keys="secret-secret-secret") as live, aiohttp.ClientSession() as session:
        base = live.api.base
        async with session.get(f"{base}/healthz") as response:
            assert (response.status, await response.text()) == (200, "ok\n")
        async with session.get(f"{base}/readyz") as response:
            assert response.status == 200
        async with session.get(f"{base}/metrics") as response:
            assert "threadmill_runs_total" in await response.text()


async def test_a_server_whose_upstream_is_away_is_not_ready(tmp_path: Path) -> None:
    async with serving(tmp_path, "http://127.0.0.1:9/v1") as live:
        async with live.api.session.get(f"{live.api.base}/readyz") as response:
            assert response.status == 503
        async with live.api.session.get(f"{live.api.base}/healthz") as response:
            assert response.status == 200


async def test_runs_are_counted_by_status(live: Live) -> None:
    assistant, thread = await live.api.assistant(), await live.api.thread("say: hello")
    await live.api.stream(f"/threads/{thread}/runs", {"assistant_id": assistant})
    async with live.api.session.get(f"{live.api.base}/metrics") as response:
        text = await response.text()
    assert 'threadmill_runs_total{status="completed"} 1.0' in text
    assert "threadmill_run_queue_seconds_count 1.0" in text
    assert "threadmill_model_first_piece_seconds_count 1.0" in text


async def test_a_server_that_cannot_write_now_says_when_to_try_again(live: Live) -> None:
    thread = await live.api.thread()
    store = live.assembly.engine.ports.store
    assert isinstance(store, SqliteStore)
    await store.set_max_pages(1)
    reply = await live.api.call("POST", f"/threads/{thread}/messages", {"role": "user", "content": "long " * 10_000})
    assert (reply.status, reply.body["error"]["type"]) == (503, "server_error")
    assert (reply.headers["Retry-After"], reply.headers["retry-after-ms"]) == ("1", "250")
    assert "Retry-After" not in (await live.api.call("GET", "/threads/thread_none")).headers
