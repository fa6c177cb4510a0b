"""Near misses of an address say the right one; nothing is redirected; what browsers ask for by themselves is no error."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from tests.support.serving import Live, serving
from tests.support.stage import FakeClock
from tests.support.upstream import ScriptedUpstream
from threadmill.api.readiness import FRESH_SECONDS, Readiness
from threadmill.domain.run import Run


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("/assistants", "/v1/assistants"),
        ("/threads/thread_1/runs", "/v1/threads/thread_1/runs"),
        ("/v1/v1/threads", "/v1/threads"),
        ("//v1//files", "/v1/files"),
        ("/api/v1/vector_stores", "/v1/vector_stores"),
        ("/models/", "/v1/models"),
    ],
)
async def test_a_base_url_that_misses_is_told_the_right_one(live: Live, path: str, meant: str) -> None:
    async with live.api.session.get(f"{live.api.base}{path}", headers=live.api.headers) as got:
        error = (await got.json())["error"]
    assert got.status == 404
    assert error["message"] == f"Invalid URL (GET {path}). Did you mean {meant}? The base URL of a client ends in /v1."


@pytest.mark.parametrize("path", ["/v1/nothing", "/nothing", "/", "/v1", "/v2/threads"])
async def test_an_address_that_is_near_none_of_ours_is_told_as_it_was(live: Live, path: str) -> None:
    async with live.api.session.get(f"{live.api.base}{path}", headers=live.api.headers, allow_redirects=False) as got:
        assert (got.status, (await got.json())["error"]["message"]) == (404, f"Invalid URL (GET {path})")


@pytest.mark.parametrize("prefix", ["/v1", "/openai", "/openai/v1"])
async def test_a_final_slash_is_served_without_a_redirect(live: Live, prefix: str) -> None:
    url = f"{live.api.base}{prefix}/threads/"
    async with live.api.session.post(url, data=b"{}", headers=live.api.headers, allow_redirects=False) as got:
        assert (got.status, (await got.json())["object"]) == (200, "thread")


async def test_what_browsers_ask_for_by_themselves_is_no_error(tmp_path: Path) -> None:
    async with serving(tmp_path, keys="key-of-sixteen-letters") as live:
        for path in ("/favicon.ico", "/robots.txt", "/apple-touch-icon.png"):
            async with live.api.session.get(f"{live.api.base}{path}") as got:
                assert (got.status, await got.read()) == (204, b"")


async def test_fifty_probes_ask_an_upstream_once_and_again_only_seconds_later(tmp_path: Path) -> None:
    async with ScriptedUpstream() as upstream, serving(tmp_path, upstream.url) as live:
        clock = FakeClock()
        readiness = Readiness(replace(live.assembly.engine, ports=replace(live.assembly.engine.ports, clock=clock)))
        upstream.models_status = 500
        problems = await asyncio.gather(*(readiness.problem() for _ in range(50)))
        assert len(set(problems)) == 1
        assert problems[0] is not None
        asked = len(upstream.model_requests)
        upstream.models_status = 200
        clock.ticks += FRESH_SECONDS - 0.1
        assert await readiness.problem() == problems[0]
        assert len(upstream.model_requests) == asked
        clock.ticks += 0.1
        assert await readiness.problem() is None
        assert len(upstream.model_requests) == asked + 1


async def test_a_prober_that_leaves_does_not_end_the_question_for_the_others(live: Live) -> None:
    readiness = Readiness(live.assembly.engine)
    leaves, stays = asyncio.create_task(readiness.problem()), asyncio.create_task(readiness.problem())
    await asyncio.to_thread(lambda: None)
    leaves.cancel()
    async with asyncio.timeout(30):
        assert await stays is None


async def test_the_probe_is_asked_over_http_as_often_as_one_likes(tmp_path: Path) -> None:
    async with ScriptedUpstream() as upstream, serving(tmp_path, upstream.url) as live:
        before = len(upstream.model_requests)
        for _ in range(50):
            async with live.api.session.get(f"{live.api.base}/readyz") as got:
                assert got.status == 200
        assert len(upstream.model_requests) <= before + 3  # the one at start, one, and one more on a slow machine


class BrokenQueue:
    """Raises what nobody foresaw."""

    async def queued(self, limit: int) -> Sequence[Run]:
        raise ValueError(limit)


async def test_a_look_that_fails_in_a_way_nobody_foresaw_is_said_too(live: Live) -> None:
    ports: Any = replace(live.assembly.engine.ports, queue=cast("Any", BrokenQueue()))
    problem = await Readiness(replace(live.assembly.engine, ports=ports)).problem()
    assert problem == "The server does not get on: looking at it fails (ValueError). Its log says more."
