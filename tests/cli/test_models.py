"""`threadmill models test`: a command beside the API's own, with an exit code scripts can use."""

import asyncio

from tests.cli.command import run
from tests.support.upstream import Call, ScriptedUpstream, Text


async def test_what_works_ends_with_zero_and_what_does_not_with_one() -> None:
    async with ScriptedUpstream() as upstream:
        upstream.models_body = {"object": "list", "data": [{"id": "qwen3"}]}
        for call in (Call("get_weather", '{"city":"Paris"}'), Text("It is \x1b[31msunny.")):
            upstream.answer(Text("Hello."))
            upstream.answer(call)
        settings = {"THREADMILL_UPSTREAM_URL": upstream.url, "THREADMILL_ALIASES": "gpt-4*=qwen3"}
        works = await asyncio.to_thread(run, "models", "test", **settings)
        fails = await asyncio.to_thread(run, "models", "test", "gpt-4-turbo", **settings)
    assert (works.code, works.err) == (0, "")
    assert works.out.splitlines()[0] == "qwen3 at the upstream 'environment'"
    assert [line.split()[0] for line in works.out.splitlines()[1:]] == ["ok", "ok", "note", "ok"]
    assert (fails.code, fails.err) == (1, "")
    assert fails.out.splitlines()[-1].startswith(
        "  failed  no function call: the model answered “It is \\u001b[31msunny.”"
    )
    assert {request.json["model"] for request in upstream.requests} == {"qwen3"}


def test_without_an_upstream_it_says_what_to_set() -> None:
    nothing = run("models", "test")
    assert (nothing.code, nothing.out) == (2, "")
    assert "No upstream is set" in nothing.err
    assert "Set THREADMILL_UPSTREAM_URL" in nothing.err


def test_the_built_in_model_needs_no_upstream_and_the_group_keeps_its_commands() -> None:
    built_in = run("models", "test", "rehearsal")
    assert (built_in.code, built_in.err) == (0, "")
    assert built_in.out == "rehearsal is the built-in model: it needs no upstream, and it always works.\n"
    told = run("models", "--help").out
    assert [line.split()[0] for line in told.split("Commands:")[1].splitlines() if line.strip()] == [
        "list", "retrieve", "test",
    ]  # fmt: skip
