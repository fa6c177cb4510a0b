"""`threadmill models test`: what an upstream can do, told in plain words, against upstreams that deviate."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.models.support import QUICK, Naps
from tests.support.upstream import Call, Delta, ScriptedUpstream, Stall, Text
from threadmill.adapters.models.model_check import check_model, models_to_check
from threadmill.adapters.models.rehearsal.model import Rehearsal
from threadmill.adapters.models.router import ModelAliases, ModelRouter, UpstreamRoute
from threadmill.adapters.models.upstream.openai_compatible import OpenAICompatible
from threadmill.adapters.models.upstream.settings import UpstreamSettings
from threadmill.adapters.tokens.counter import BpeTokenCounter
from threadmill.domain.outcome import Usage

USED = Usage(3, 2)
PARIS = Call("get_weather", ['{"city":', '"Paris"}'])
LISTED = {"object": "list", "data": [{"id": "m"}, {"id": "n"}]}


@asynccontextmanager
async def route_to(url: str, patterns: tuple[str, ...] = ("*",), **settings: Any) -> AsyncGenerator[UpstreamRoute]:
    made = UpstreamSettings(url, "near", timeouts=QUICK, **settings)
    upstream = OpenAICompatible(made, retry_policy=Naps().retry_policy())
    try:
        yield UpstreamRoute(upstream, patterns)
    finally:
        await upstream.aclose()


async def found(upstream: ScriptedUpstream, model: str | None = "m", seconds: float = 5, **settings: Any) -> list[str]:
    """The findings, one line each."""
    async with route_to(upstream.url, **settings) as route:
        return [f"{finding.verdict}: {finding.text}" async for finding in check_model(route, model, seconds)]


def works(upstream: ScriptedUpstream) -> None:
    upstream.answer(Text("Hello", " there."), usage=USED)
    upstream.answer(PARIS, usage=USED)


def refuses_the_key(upstream: ScriptedUpstream) -> None:
    upstream.models_status = 401


def refuses_the_key_late(upstream: ScriptedUpstream) -> None:
    upstream.fail(403, {"message": "no such key: key-of-sixteen-letters"})


def has_no_such_model(upstream: ScriptedUpstream) -> None:
    upstream.models_body = {"object": "list", "data": [{"id": "llama"}]}
    upstream.fail(404, {"message": "model not found", "code": "model_not_found"})


def has_another_address(upstream: ScriptedUpstream) -> None:
    upstream.models_status, upstream.models_body = 404, {}
    upstream.fail(404, {"message": "Not Found"})


def refuses_stream_options(upstream: ScriptedUpstream) -> None:
    upstream.fail(400, {"message": "property 'stream_options' is unsupported"})
    upstream.answer(Text("Hi"))
    upstream.answer(PARIS)


def knows_the_old_limit(upstream: ScriptedUpstream) -> None:
    upstream.fail(400, {"message": "Unrecognized request argument supplied: max_completion_tokens"})
    works(upstream)


def knows_no_tools(upstream: ScriptedUpstream) -> None:
    upstream.answer(Text("Hi"), usage=USED)
    upstream.fail(400, {"message": "registry/gemma does not support tools"})


def needs_a_flag_for_tools(upstream: ScriptedUpstream) -> None:
    upstream.answer(Text("Hi"), usage=USED)
    upstream.fail(400, {"message": '"auto" tool choice requires --enable-auto-tool-choice to be set'})


def answers_in_place_of_calling(upstream: ScriptedUpstream) -> None:
    upstream.answer(Text("Hi"), usage=USED)
    upstream.answer(Text("It is \x1b[31m sunny in Paris."), usage=USED)


def writes_calls_as_text(upstream: ScriptedUpstream) -> None:
    upstream.answer(Text("Hi"), usage=USED)
    upstream.answer(Text('<tool_call>{"name": "get_weather"}</tool_call>'), usage=USED)


def calls_something_else(upstream: ScriptedUpstream) -> None:
    upstream.answer(Text("Hi"), usage=USED)
    upstream.answer(Call("weather"), usage=USED)


def calls_without_json(upstream: ScriptedUpstream) -> None:
    upstream.answer(Text("Hi"), usage=USED)
    upstream.answer(Call("get_weather", "Paris"), usage=USED)


def calls_with_nothing(upstream: ScriptedUpstream) -> None:
    upstream.answer(Text("Hi"), usage=USED)
    upstream.answer(Call("get_weather", ""), usage=USED)


def says_nothing(upstream: ScriptedUpstream) -> None:
    upstream.answer(usage=USED)
    upstream.answer(usage=USED)


def thinks_too_long(upstream: ScriptedUpstream) -> None:
    for _ in range(2):
        upstream.answer(Text("<think>Well, ", "hm"), Delta({}, finish="length"), finish=None, usage=USED)


def thinks_in_tags(upstream: ScriptedUpstream) -> None:
    upstream.answer(Text("<think>hm</think>", "Hi"), usage=USED)
    upstream.answer(PARIS, usage=USED)


def holds_its_stream_back(upstream: ScriptedUpstream) -> None:
    upstream.reply(200, b'{"choices": [{"message": {"content": "' + b"word " * 40 + b'"}, "finish_reason": "stop"}]}')
    upstream.answer(PARIS, usage=USED)


def falls_silent(upstream: ScriptedUpstream) -> None:
    upstream.answer(Text("Hel"), Stall())


HELLO = "ok: a streamed answer: “Hello there.” (first piece after "
HI = "ok: a streamed answer: “Hi” (first piece after "
REACHED = "ok: reached; the key is taken; this model is one of 2 on its list"
CALLED = 'ok: a function call: get_weather {"city":"Paris"}'
UNCOUNTED = "note: it does not say how many tokens were used; they are counted here"
KEY = "failed: The upstream refused this server's API key."

CASES: dict[Callable[[ScriptedUpstream], None], list[str]] = {
    works: [REACHED, HELLO, CALLED],
    refuses_the_key: [KEY],
    refuses_the_key_late: [REACHED, KEY],
    has_no_such_model: [
        "note: reached; this model is not on its list: llama",
        "failed: The upstream has no model 'm'.",
    ],
    has_another_address: [
        "note: reached; it lists no models",
        "failed: The upstream has no chat completions for model 'm'; its base URL usually ends in /v1.",
    ],
    refuses_stream_options: [REACHED, HI, "note: it refuses stream_options and is asked without it", UNCOUNTED, CALLED],
    knows_the_old_limit: [
        REACHED,
        HELLO,
        'note: it wants the token limit as max_tokens: max_tokens_field = "max_tokens" saves a request',
        CALLED,
    ],
    knows_no_tools: [REACHED, HI, "failed: function calls are not supported: The upstream refused the request"],
    needs_a_flag_for_tools: [
        REACHED,
        HI,
        'failed: no function call: The upstream refused the request with HTTP 400: "auto" tool choice requires --enable',
    ],
    answers_in_place_of_calling: [REACHED, HI, "failed: no function call: the model answered “It is \x1b[31m sunny in"],
    writes_calls_as_text: [
        REACHED,
        HI,
        "failed: no function call: the model wrote it as text, and its server did not read it as one (vLLM: --enable",
    ],
    calls_something_else: [REACHED, HI, "failed: the model called weather, a function it was not offered"],
    calls_without_json: [REACHED, HI, "failed: a function call whose arguments are no JSON object: Paris"],
    calls_with_nothing: [REACHED, HI, "failed: a function call whose arguments are no JSON object: nothing"],
    says_nothing: [
        REACHED,
        "failed: no text: the answer was empty",
        "failed: no function call: nothing came; assistants with tools need another model",
    ],
    thinks_too_long: [
        REACHED,
        "failed: no text: 1,024 tokens were not enough for it",
        "note: thoughts came in tags in front of the answer and are hidden",
        "failed: no function call: 1,024 tokens were not enough for it",
    ],
    thinks_in_tags: [REACHED, HI, "note: thoughts came in tags in front of the answer and are hidden", CALLED],
    holds_its_stream_back: [
        REACHED,
        "ok: a streamed answer: “word word",
        "note: the answer came all at once: something in between holds streams back",
        UNCOUNTED,
        CALLED,
    ],
}


@pytest.mark.parametrize("upstream_that", CASES, ids=lambda script: script.__name__)
async def test_what_an_upstream_does_is_told_in_plain_words(upstream_that: Callable[[ScriptedUpstream], None]) -> None:
    async with ScriptedUpstream() as upstream:
        upstream.models_body = LISTED
        upstream_that(upstream)
        told = await found(upstream, api_key="key-of-sixteen-letters")
    expected = CASES[upstream_that]
    assert len(told) == len(expected), told
    for line, beginning in zip(told, expected, strict=True):
        assert line.startswith(beginning)


async def test_thoughts_that_are_kept_are_named_with_the_setting_that_hides_them() -> None:
    async with ScriptedUpstream() as upstream:
        thinks_in_tags(upstream)
        told = await found(upstream, reasoning="keep")
    assert 'note: thoughts stand in the answer (reasoning = "hide" takes them out)' in told


async def test_an_answer_that_does_not_end_is_not_waited_for() -> None:
    async with ScriptedUpstream() as upstream:
        falls_silent(upstream)
        told = await found(upstream, seconds=0.2)
    assert told[1:] == ["failed: The answer began and did not end within 0.2 seconds; --timeout waits longer."]


async def test_an_upstream_that_is_not_there_is_told_with_its_name() -> None:
    async with ScriptedUpstream() as upstream:
        pass
    assert await found(upstream) == ["failed: The upstream 'near' cannot be reached."]


async def test_without_a_model_to_ask_for_the_list_is_told() -> None:
    async with ScriptedUpstream() as upstream:
        upstream.models_body = {"object": "list", "data": [{"id": f"m{number}"} for number in range(14)]}
        told = await found(upstream, None)
    assert told[0].startswith("failed: which model? It lists m0, m1, ")
    assert told[0].endswith("m11 and 2 more; threadmill models test MODEL asks one")


@pytest.mark.parametrize(
    ("patterns", "aliases", "listed", "chosen"),
    [
        (("*",), {"gpt-4*": "n"}, ["m", "n"], "n"),
        (("*",), {"gpt-4": "rehearsal"}, ["m"], "m"),
        (("llama-*", "qwen3"), {}, ["m", "n"], "qwen3"),
        (("*",), {}, ["m"], "m"),
        (("*",), {}, ["m", "n"], None),
        (("*",), {}, [], None),
    ],
)
async def test_an_upstream_is_tried_with_the_model_an_app_would_meet(
    patterns: tuple[str, ...], aliases: dict[str, str], listed: list[str], chosen: str | None
) -> None:
    async with ScriptedUpstream() as upstream, route_to(upstream.url, patterns) as route:
        upstream.models_body = {"object": "list", "data": [{"id": name} for name in listed]}
        router = ModelRouter([route], Rehearsal(BpeTokenCounter()), ModelAliases(aliases))
        assert (await models_to_check(router))[0] == (route, chosen)
