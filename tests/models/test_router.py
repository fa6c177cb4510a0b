"""Several upstreams, aliases, rehearsal and the questions asked about models."""

import asyncio
import socket
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import ValidationError

from tests.models.support import Naps, ask, client, pieces_of, text_of
from tests.support.upstream import Pause, ScriptedUpstream, Stall, Text
from threadmill.adapters.models import router as router_module
from threadmill.adapters.models.context_windows import context_window_of
from threadmill.adapters.models.factory import open_models
from threadmill.adapters.models.rehearsal.model import Rehearsal
from threadmill.adapters.models.router import ModelAliases, ModelRouter, UpstreamRoute
from threadmill.adapters.models.upstream.connection import Connection
from threadmill.adapters.models.upstream.openai_compatible import OpenAICompatible
from threadmill.adapters.models.upstream.settings import Timeouts, UpstreamSettings
from threadmill.adapters.system.metrics import PrometheusMetrics
from threadmill.adapters.tokens.counter import BpeTokenCounter
from threadmill.engine.ports.model import ModelError
from threadmill.settings import ConfigFile, SettingsError, UpstreamConfig, load

REHEARSAL = Rehearsal(BpeTokenCounter())
NAMES = ModelAliases({"gpt-4-1106-preview": "gpt-4o"}, {"gpt-4o": 64_000, "mine": 5_000})


def listing(*entries: dict[str, object]) -> dict[str, object]:
    return {"object": "list", "data": list(entries)}


async def test_names_lead_to_their_upstream_and_the_rest_to_the_default() -> None:
    async with AsyncExitStack() as stack:
        default, special = [await stack.enter_async_context(ScriptedUpstream()) for _ in range(2)]
        first = await stack.enter_async_context(client(default.url))
        second = await stack.enter_async_context(client(special.url))
        models = ModelRouter([UpstreamRoute(first), UpstreamRoute(second, ("llama-*", "exact"))], REHEARSAL, NAMES)
        for upstream, name in ((special, "llama-3"), (special, "exact"), (default, "gpt-4o")):
            upstream.answer(Text(name))
            assert text_of(await pieces_of(models, ask(model=name))) == name
            assert upstream.requests[-1].json["model"] == name


async def test_a_retired_name_is_sent_as_the_living_one() -> None:
    async with ScriptedUpstream() as upstream, client(upstream.url) as model:
        upstream.answer(Text("x"))
        models = ModelRouter([UpstreamRoute(model)], REHEARSAL, NAMES)
        await pieces_of(models, ask(model="gpt-4-1106-preview"))
        assert upstream.requests[0].json["model"] == "gpt-4o"
        assert models.get_info("gpt-4-1106-preview").id == "gpt-4-1106-preview"
        assert models.get_info("gpt-4-1106-preview").context_window == 64_000


PATTERNS = ModelAliases({"gpt-4*": "qwen3", "gpt-4o*": "big", "*": "llama3.3", "gpt-4-old": "exact"})


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        ("gpt-4-1106-preview", "qwen3"),
        ("gpt-4o-mini", "big"),
        ("o1", "llama3.3"),
        ("gpt-4-old", "exact"),
        ("gpt-4-own", "gpt-4-own"),
        ("llama3.3", "llama3.3"),
    ],
)
@pytest.mark.parametrize("listed", [False, True])
async def test_the_longest_pattern_wins_behind_an_exact_alias_and_an_upstreams_own_model(
    asked: str, sent: str, listed: bool
) -> None:
    async with ScriptedUpstream() as upstream, client(upstream.url) as model:
        upstream.models_body = listing({"id": "gpt-4-own"}, {"id": "qwen3"})
        models = ModelRouter([UpstreamRoute(model)], REHEARSAL, PATTERNS)
        if listed:
            await models.list()
        upstream.answer(Text("x"))
        await pieces_of(models, ask(model=asked))
        assert upstream.requests[0].json["model"] == sent
        assert models.get_info(asked).id == asked
        assert not [info.id for info in await models.list() if "*" in info.id]


async def test_patterns_leave_rehearsal_and_what_an_upstreams_patterns_name() -> None:
    async with ScriptedUpstream() as upstream, client(upstream.url) as model, client("http://127.0.0.1:1/v1") as dead:
        models = ModelRouter(
            [UpstreamRoute(model, ("mine-*", "llama3.3")), UpstreamRoute(dead, ("x",))], REHEARSAL, PATTERNS
        )
        assert "You said" in text_of(await pieces_of(models, ask(model="rehearsal")))
        for name in ("mine-1", "other"):
            upstream.answer(Text("x"))
            await pieces_of(models, ask(model=name))
        assert [request.json["model"] for request in upstream.requests] == ["mine-1", "llama3.3"]


def test_aliases_of_the_environment_win_over_the_files(tmp_path: Path) -> None:
    file = tmp_path / "threadmill.toml"
    file.write_text('[[upstreams]]\nbase_url = "http://a/v1"\n[aliases]\na = "file"\nb = "file"\n')
    found = load({"THREADMILL_CONFIG": str(file), "THREADMILL_ALIASES": "a=one, gpt-4* = two:7b,"})
    assert found.config.aliases == {"a": "one", "b": "file", "gpt-4*": "two:7b"}


@pytest.mark.parametrize("text", ["a", "=b", "a=", "a=b=c", "a b"])
def test_aliases_that_can_be_read_in_two_ways_are_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="write PATTERN=MODEL"):
        load({"THREADMILL_UPSTREAM_URL": "http://a/v1", "THREADMILL_ALIASES": text})


async def test_rehearsal_is_always_there_and_without_an_upstream_alone() -> None:
    models = ModelRouter([], REHEARSAL)
    assert "You said" in text_of(await pieces_of(models, ask(model="rehearsal")))
    with pytest.raises(ModelError, match="only 'rehearsal' is.*THREADMILL_UPSTREAM_URL"):
        await pieces_of(models, ask(model="gpt-4o"))
    assert [info.id for info in await models.list()] == ["rehearsal"]
    await models.ready()
    await models.aclose()


async def test_rehearsal_that_is_not_offered_is_a_name_like_any() -> None:
    async with client("http://127.0.0.1:1/v1") as model:
        models = ModelRouter([UpstreamRoute(model, ("gpt-*",))], None)
        with pytest.raises(ModelError, match=r"'rehearsal' is served by no upstream; served are gpt-\*\."):
            await pieces_of(models, ask(model="rehearsal"))
        assert await models.list() == ()
    off = ConfigFile.model_validate({"models": {"rehearsal": False, "m": {"context_window": 300}}})
    assert (off.rehearsal, list(off.models)) == (False, ["m"])
    with pytest.raises(ModelError, match="no upstream"):
        await pieces_of(open_models(off, BpeTokenCounter(), PrometheusMetrics()), ask(model="rehearsal"))


async def test_a_name_that_no_pattern_fits_is_refused_with_the_patterns() -> None:
    async with client("http://127.0.0.1:1/v1") as model:
        models = ModelRouter([UpstreamRoute(model, ("gpt-*",))], REHEARSAL)
        with pytest.raises(ModelError, match=r"served are rehearsal, gpt-\*"):
            await pieces_of(models, ask(model="claude"))
        assert models.get_info("claude").context_window is None


async def test_the_list_joins_rehearsal_upstreams_and_aliases_and_survives_a_dead_upstream() -> None:
    async with ScriptedUpstream() as upstream, client(upstream.url) as model, client("http://127.0.0.1:1/v1") as dead:
        upstream.models_body = listing({"id": "gpt-4o", "created": 7, "owned_by": "openai"}, {"id": "llama-3"})
        models = ModelRouter([UpstreamRoute(dead, ("llama-*",)), UpstreamRoute(model)], REHEARSAL, NAMES)
        found = {info.id: info for info in await models.list()}
    # llama-3 leads to the dead upstream, so the one that lists it cannot serve it.
    assert set(found) == {"rehearsal", "gpt-4o", "gpt-4-1106-preview"}
    assert (found["gpt-4o"].created, found["gpt-4o"].owned_by) == (7, "openai")


async def test_leaving_the_routers_stream_leaves_the_upstream() -> None:
    async with ScriptedUpstream() as upstream, client(upstream.url) as model:
        upstream.answer(Text("x"), Stall())
        stream = ModelRouter([UpstreamRoute(model)], REHEARSAL).stream(ask())
        await anext(stream)
        await stream.aclose()
        async with asyncio.timeout(5):
            await upstream.requests[0].disconnected.wait()


async def test_models_are_listed_once_a_minute_with_the_windows_servers_tell() -> None:
    naps = Naps()
    async with ScriptedUpstream() as upstream, client(upstream.url, naps) as model:
        told: tuple[dict[str, object], ...] = (
            {"id": "a", "max_model_len": 1},
            {"id": "b", "context_length": 2},
            {"id": "c", "meta": {"n_ctx_train": 3}},
            {"id": "d", "meta": {"n_ctx": 4, "n_ctx_train": 3}},
            {"id": "gpt-4"},
        )
        upstream.models_body = listing(*told)
        assert [info.context_window for info in await model.list()] == [1, 2, 3, 4, 8192]
        await model.list()
        assert len(upstream.model_requests) == 1
        naps.now = 61
        await model.list()
        assert len(upstream.model_requests) == 2
        assert model.get_info("b").context_window == 2


async def test_the_last_known_models_are_told_at_once_and_asked_for_in_the_background() -> None:
    naps = Naps()
    async with ScriptedUpstream() as upstream, client(upstream.url, naps) as model:
        router = ModelRouter([UpstreamRoute(model)], None)
        upstream.models_body = listing({"id": "a"})
        assert [info.id for info in await router.list()] == ["a"]
        upstream.models_body = listing({"id": "b"})
        naps.now = 61
        assert [info.id for info in await router.list()] == ["a"]
        async with asyncio.timeout(5):
            while not model.has("b"):
                await asyncio.to_thread(lambda: None)
        assert [info.id for info in await router.list()] == ["b"]
        upstream.models_status, naps.now = 503, 200
        await router.list()
        with pytest.raises(ModelError):
            await model.list()
        assert [info.id for info in await router.list()] == ["b"], "what cannot be had now is the last known"


async def test_an_upstream_that_says_nothing_is_waited_for_once_and_by_nobody_later(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(router_module, "FIRST_LIST_SECONDS", 0.01)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/v1"
        async with client(url, timeouts=Timeouts(ready=0.1)) as model:
            models = ModelRouter([UpstreamRoute(model)], REHEARSAL, ModelAliases({"gpt-*": "mine"}))
            assert [info.id for info in await models.list()] == ["rehearsal"]
            await models.learn_names()  # to the end of the first question
            began = asyncio.get_running_loop().time()
            for _ in range(20):
                await models.list()
                await models.learn_names()
            assert asyncio.get_running_loop().time() - began < 0.1
    assert len(caplog.records) == 1, "told once"


async def test_an_upstream_is_ready_when_it_answers_and_takes_the_key() -> None:
    async with ScriptedUpstream() as upstream, client(upstream.url) as model:
        await model.ready()
        upstream.models_status = 404
        await model.ready()
        for status in (401, 503):
            upstream.models_status = status
            with pytest.raises(ModelError):
                await model.ready()
    async with client("http://127.0.0.1:1/v1") as model:
        with pytest.raises(ModelError):
            await model.ready()


def test_windows_go_by_family_and_settings_win() -> None:
    names = {"gpt-4": 8192, "gpt-4-0613": 8192, "gpt-4-1106-preview": 128_000, "gpt-4o-mini": 128_000, "o10": None}
    names |= {"gpt-4.1-nano": 1_047_576, "o3-mini": 200_000, "openai/gpt-5": 400_000, "ft:gpt-3.5-turbo:me": 16_385}
    assert {name: context_window_of(name, {}) for name in names} == names
    assert context_window_of("gpt-4", {"gpt-4": 1}) == 1


async def test_a_configuration_becomes_models() -> None:
    async with ScriptedUpstream() as upstream:
        config = ConfigFile.model_validate(
            {
                "upstreams": [{"base_url": upstream.url, "api_key": "k-1234"}],
                "aliases": {"old": "new"},
                "models": {"new": {"context_window": 300}},
            }
        )
        models = open_models(config, BpeTokenCounter(), PrometheusMetrics())
        upstream.answer(Text("x"))
        await pieces_of(models, ask(model="old"))
        assert upstream.requests[0].headers["Authorization"] == "Bearer k-1234"
        assert models.get_info("old").context_window == 300
        await models.aclose()


async def test_an_upstreams_settings_reach_its_requests() -> None:
    async with ScriptedUpstream() as upstream:
        one = {"base_url": upstream.url, "api_key": "k-1234", "api_key_header": "api-key", "headers": {"X-Team": "me"}}
        one |= {"extra_body": {"stream_options": {"include_usage": False}, "top_k": 3}, "omit": ["temperature"]}
        one |= {"first_token_seconds": 3, "keepalive_seconds": 7, "max_concurrent": 2, "system_role": "developer"}
        metrics = PrometheusMetrics()
        models = open_models(ConfigFile.model_validate({"upstreams": [one]}), BpeTokenCounter(), metrics)
        upstream.answer(Text("x"))
        await pieces_of(models, replace(ask(), temperature=0.3))
        await models.aclose()
    headers, body = upstream.requests[0].headers, upstream.requests[0].json
    assert (headers["api-key"], headers["X-Team"], "Authorization" in headers) == ("k-1234", "me", False)
    assert (body["stream_options"], body["top_k"], "temperature" in body) == ({"include_usage": False}, 3, False)
    assert b'threadmill_upstream_requests{state="answering",upstream="default"} 0.0' in metrics.text()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"omit": ["model"]}, "cannot hold model"),
        ({"extra_body": {"messages": [], "stream": False}}, "cannot hold messages, stream"),
        ({"headers": {"X Team": "a"}}, "'X Team' cannot be sent"),
        ({"headers": {"X-Team": "secret\r\nHost: b"}}, "'X-Team' cannot be sent"),
        ({"api_key_header": "a: b"}, "String should match pattern"),
        ({"max_concurrent": 0}, "greater than or equal to 1"),
    ],
)
def test_settings_that_cannot_be_sent_are_refused(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said) as caught:
        UpstreamConfig.model_validate({"base_url": "http://a"} | wrong)
    assert "secret" not in str(caught.value.errors(include_input=False))


async def test_silence_on_a_connection_is_probed_by_the_system() -> None:
    async with ScriptedUpstream() as upstream:
        upstream.answer(Text("x"), Stall())
        connection = Connection(UpstreamSettings(upstream.url, timeouts=Timeouts(keepalive=42)))
        response = await connection.post("chat/completions", b"{}", None)
        assert response.connection is not None
        assert response.connection.transport is not None
        opened: socket.socket = response.connection.transport.get_extra_info("socket")
        assert opened.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 42
        assert opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL) == 10
        response.close()
        await connection.aclose()


async def test_each_upstream_is_asked_once_and_who_does_not_answer_is_named(caplog: pytest.LogCaptureFixture) -> None:
    async with ScriptedUpstream() as fine, ScriptedUpstream() as locked, client(fine.url) as first:
        locked.models_status = 401
        async with client(locked.url) as second, client("http://127.0.0.1:1/v1") as dead:
            await ModelRouter([UpstreamRoute(one) for one in (first, second, dead)], REHEARSAL).check_upstreams()
    told = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert sorted(text.partition(" Runs that need it")[0] for text in told) == [
        "The upstream 'default' cannot be reached.",
        "The upstream refused this server's API key.",
    ]


async def test_the_base_urls_query_and_own_headers_are_kept() -> None:
    async with ScriptedUpstream() as upstream:
        settings = UpstreamSettings(f"{upstream.url}/?api-version=1", headers={"api-key": "abc"})
        model = OpenAICompatible(settings)
        upstream.answer(Text("x"))
        await pieces_of(model)
        await model.aclose()
        assert upstream.requests[0].query == {"api-version": "1"}
        assert upstream.requests[0].headers["api-key"] == "abc"
        assert "Authorization" not in upstream.requests[0].headers


async def test_a_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    # The scripted server stands in as the proxy: it gets a request for a host that does not exist.
    async with ScriptedUpstream() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url.removesuffix("/v1"))
        monkeypatch.setenv("no_proxy", "")
        async with client("http://nowhere.invalid/v1") as model:
            proxy.answer(Text("x"))
            assert text_of(await pieces_of(model)) == "x"
            assert proxy.requests[0].headers["Host"] == "nowhere.invalid"


async def test_a_ca_file_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    for path in (tmp_path / "none.pem", Path(__file__)):
        model = OpenAICompatible(UpstreamSettings("https://127.0.0.1:1/v1", ca_file=path))
        with pytest.raises(ModelError, match="CA file of the upstream 'default' cannot be read"):
            await model.ready()


def test_secrets_do_not_show_in_a_repr() -> None:
    assert "hush" not in repr(UpstreamSettings("http://x", api_key="hush", headers={"a": "hush"}))


async def test_a_first_answer_waits_for_no_other() -> None:
    pause = Pause()
    async with ScriptedUpstream() as upstream, client(upstream.url) as model:
        upstream.answer(pause, Text("slow"))
        upstream.answer(Text("fast"))
        slow = asyncio.create_task(pieces_of(model))
        await pause.reached.wait()
        assert text_of(await pieces_of(model)) == "fast"
        pause.go.set()
        assert text_of(await slow) == "slow"
