"""A browser is hostile until shown otherwise (ADR-0021): foreign hosts and pages, preflights, what pages may read."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.serving import Api, Live, serving

KEY = "key-of-sixteen-letters"
PAGE = "https://app.example"


async def status_of(
    live: Live, headers: Mapping[str, str], method: str = "POST", path: str = "/assistants"
) -> tuple[int, Any]:
    """Status and error code of a request with these headers; the body is a whole assistant's."""
    reply = await Api(live.api.base, live.api.session, dict(headers)).call(method, path, {"model": "rehearsal"})
    return reply.status, reply.body.get("error", {}).get("code")


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8000",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "10.0.0.1",
        "a@localhost",
        "",
    ],
)
async def test_without_keys_a_foreign_host_is_refused(live: Live, host: str) -> None:
    assert await status_of(live, {"Host": host}) == (403, "host_not_allowed")
    assert await status_of(live, {"Host": host}, "GET") == (403, "host_not_allowed")


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:1", "localhost.", "127.0.0.1", "127.8.8.8:80", "[::1]:8000", "app.localhost"]
)
async def test_without_keys_this_machines_own_names_are_served(live: Live, host: str) -> None:
    assert (await status_of(live, {"Host": host}))[0] == 200


async def test_a_named_host_is_served_and_others_are_told_how_to_name_theirs(tmp_path: Path) -> None:
    async with serving(tmp_path, ALLOWED_HOSTS="api.example, *.inside.example") as live:
        for host in ("api.example", "API.example:443", "a.inside.example", "localhost"):
            assert (await status_of(live, {"Host": host}))[0] == 200
        for host in ("b.api.example", "inside.example", "xinside.example"):
            status, error = await Api(live.api.base, live.api.session, {"Host": host}).refused("GET", "/assistants")
            assert (status, error["type"]) == (403, "invalid_request_error")
            assert host in error["message"]
            assert "THREADMILL_API_KEYS" in error["message"]
            assert "THREADMILL_ALLOWED_HOSTS" in error["message"]


async def test_with_keys_any_host_is_served_unless_hosts_are_named(tmp_path: Path) -> None:
    authorized = {"Authorization": f"Bearer {KEY}", "Host": "anything.example"}
    async with serving(tmp_path / "a", keys=KEY) as live:
        assert (await status_of(live, authorized))[0] == 200
    async with serving(tmp_path / "b", keys=KEY, ALLOWED_HOSTS="api.example") as live:
        assert await status_of(live, authorized) == (403, "host_not_allowed")
        async with live.api.session.get(f"{live.api.base}/readyz", headers={"Host": "10.0.0.1"}) as response:
            assert response.status == 200  # a prober knows no name


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "http://localhost:3000"},
        {"Origin": "null"},
        {"Origin": "http://[half"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"},
        {"Origin": "http://evil.example", "Sec-Fetch-Site": "same-origin"},
    ],
)
async def test_without_keys_a_foreign_page_is_refused_before_anything_else_is_looked_at(
    live: Live, headers: dict[str, str]
) -> None:
    for path in ("/assistants", "/nothing"):
        assert await status_of(live, {**headers, "Content-Type": "text/plain"}, path=path) == (
            403,
            "origin_not_allowed",
        )
    assert await status_of(live, headers, "GET") == (403, "origin_not_allowed")
    assert (await live.api.ok("GET", "/assistants"))["data"] == []


async def test_without_keys_a_page_of_this_server_and_one_that_is_named_may_ask(tmp_path: Path) -> None:
    async with serving(tmp_path, CORS_ORIGINS=PAGE) as live:
        assert (await status_of(live, {"Origin": live.api.base, "Content-Type": "text/plain"}))[0] == 200
        assert (await status_of(live, {"Sec-Fetch-Site": "same-origin"}))[0] == 200
        assert (await status_of(live, {"Sec-Fetch-Site": "none"}))[0] == 200
        named = {"Origin": PAGE, "Sec-Fetch-Site": "cross-site"}
        assert (await status_of(live, {**named, "Content-Type": "application/json; charset=utf-8"}))[0] == 200
        assert await status_of(live, {"Origin": "https://app.example.evil.example"}) == (403, "origin_not_allowed")


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
async def test_a_page_of_another_origin_must_say_that_its_body_is_json(tmp_path: Path, kind: str) -> None:
    """Anything else a browser sends without asking first."""
    async with serving(tmp_path, keys=KEY) as live:
        authorized = {"Authorization": f"Bearer {KEY}", "Content-Type": kind}
        assert await status_of(live, {**authorized, "Origin": PAGE}) == (400, "unsupported_content_type")
        assert (await status_of(live, authorized))[0] == 200  # as curl sends it


def preflight(origin: str = PAGE, asked: str = "authorization, content-type, x-stainless-os") -> dict[str, str]:
    return {"Origin": origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": asked}


@pytest.mark.parametrize(
    "path", ["/v1/threads/runs", "/openai/threads?api-version=1", "/v1/files/file-x", "/v1/nothing"]
)
async def test_with_keys_a_preflight_is_answered_before_the_key_is_asked_for(tmp_path: Path, path: str) -> None:
    async with (
        serving(tmp_path, keys=KEY) as live,
        live.api.session.options(f"{live.api.base}{path}", headers=preflight()) as got,
    ):
        assert (got.status, await got.read()) == (204, b"")
        assert got.headers["access-control-allow-origin"] == "*"
        assert got.headers["access-control-allow-headers"] == "authorization, content-type, x-stainless-os"
        assert {"GET", "POST", "DELETE"} <= set(got.headers["access-control-allow-methods"].split(", "))


async def test_answers_errors_and_streams_may_be_read_by_a_page(tmp_path: Path) -> None:
    async with serving(tmp_path, keys=KEY) as live:
        api = Api(
            live.api.base, live.api.session, {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
        )
        assistant, thread = await api.assistant(), await api.thread("say: hello")
        page = {**api.headers, "Origin": PAGE}
        for method, path, body, headers in (
            ("GET", "/assistants", None, page),
            ("GET", "/assistants", None, {"Origin": PAGE}),
            ("GET", "/nothing", None, page),
            ("POST", f"/threads/{thread}/runs", {"assistant_id": assistant, "stream": True}, page),
        ):
            async with live.api.session.request(method, f"{live.url}{path}", json=body, headers=headers) as got:
                assert got.headers["access-control-allow-origin"] == "*"
                exposed = set(got.headers["access-control-expose-headers"].split(", "))
                assert exposed >= {"x-request-id", "openai-poll-after-ms", "openai-processing-ms", "openai-version"}
                assert exposed >= {"retry-after", "retry-after-ms"}
                await got.read()


async def test_named_origins_are_reflected_and_others_get_nothing(tmp_path: Path) -> None:
    async with serving(tmp_path, keys=KEY, CORS_ORIGINS=PAGE) as live:
        headers = {"Authorization": f"Bearer {KEY}"}
        async with live.api.session.get(f"{live.url}/assistants", headers={**headers, "Origin": PAGE}) as got:
            assert (got.headers["access-control-allow-origin"], got.headers["vary"]) == (PAGE, "Origin")
        async with live.api.session.get(
            f"{live.url}/assistants", headers={**headers, "Origin": "https://b.example"}
        ) as got:
            assert (got.status, got.headers.get("access-control-allow-origin")) == (200, None)
        async with live.api.session.options(f"{live.url}/assistants", headers=preflight("https://b.example")) as got:
            assert (got.status, got.headers.get("access-control-allow-origin")) == (403, None)


async def test_without_keys_no_page_gets_a_preflight_through(live: Live) -> None:
    async with live.api.session.options(f"{live.url}/assistants", headers=preflight()) as got:
        assert (got.status, got.headers.get("access-control-allow-origin")) == (403, None)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"X-Forwarded-For": "203.0.113.5"}, 401),
        ({"Via": "1.1 proxy"}, 401),
        ({"Host": "api.example"}, 401),
        ({"Origin": "http://evil.example"}, 401),
        ({"Sec-Fetch-Site": "cross-site"}, 401),
        ({"X-Forwarded-For": "203.0.113.5", "Authorization": f"Bearer {KEY}"}, 200),
    ],
)
async def test_with_keys_metrics_need_one_or_this_machine_itself(
    tmp_path: Path, headers: dict[str, str], status: int
) -> None:
    async with (
        serving(tmp_path, keys=KEY) as live,
        live.api.session.get(f"{live.api.base}/metrics", headers=headers) as got,
    ):
        assert got.status == status


async def test_metrics_can_be_opened(tmp_path: Path) -> None:
    async with serving(tmp_path, keys=KEY, METRICS_OPEN="1") as live:
        headers = {"X-Forwarded-For": "203.0.113.5"}
        async with live.api.session.get(f"{live.api.base}/metrics", headers=headers) as got:
            assert got.status == 200
