"""Members a model refuses: asked again without them where that changes nothing, else named with their setting."""

import asyncio
import logging
from dataclasses import replace
from typing import Any

import pytest

from tests.models.support import QUICK, ask, pieces_of, text_of, user
from tests.support.upstream import ScriptedUpstream, Text
from threadmill.adapters.models.upstream.openai_compatible import OpenAICompatible
from threadmill.adapters.models.upstream.settings import UpstreamSettings
from threadmill.domain.tool import FunctionTool
from threadmill.engine.ports.model import ModelError, ModelRequest, PromptMessage, PromptRole

LIMITED = replace(ask(), max_completion_tokens=7)
RICH = replace(LIMITED, temperature=0.5, tools=(FunctionTool("f"),), parallel_tool_calls=False)

HARMLESS: dict[str, tuple[int, dict[str, Any], str]] = {
    "OpenAI, an old model": (
        400,
        {"error": {"message": "Unrecognized request argument supplied: max_completion_tokens", "param": None}},
        "max_completion_tokens",
    ),
    "OpenAI, only the code tells": (
        400,
        {"error": {"message": "Bad.", "param": "stream_options", "code": "unknown_parameter"}},
        "stream_options",
    ),
    "Mistral": (
        422,
        {
            "detail": [
                {"type": "extra_forbidden", "loc": ["body", "stream_options"], "msg": "Extra inputs are not permitted"}
            ]
        },
        "stream_options",
    ),
    "Gemini": (
        400,
        {
            "error": {
                "code": 400,
                "message": 'Invalid JSON payload received. Unknown name "stream_options": Cannot find field.',
            }
        },
        "stream_options",
    ),
    "Groq": (400, {"error": {"message": "property 'stream_options' is unsupported"}}, "stream_options"),
    "FastAPI": (422, {"detail": "max_completion_tokens is not allowed"}, "max_completion_tokens"),
}


@pytest.mark.parametrize("name", HARMLESS)
async def test_what_changes_no_meaning_is_learned_and_told_once(name: str, caplog: pytest.LogCaptureFixture) -> None:
    status, body, member = HARMLESS[name]
    async with ScriptedUpstream() as upstream:
        model = OpenAICompatible(UpstreamSettings(upstream.url, timeouts=QUICK))
        upstream.fail_with(status, body)
        for _ in range(2):
            upstream.answer(Text("x"))
            assert text_of(await pieces_of(model, LIMITED)) == "x"
        await model.aclose()
    first, *later = (request.json for request in upstream.requests)
    assert member in first
    assert len(later) == 2
    for body in later:
        assert member not in body
        assert body.get("max_completion_tokens", body.get("max_tokens")) == 7
    told = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert [member in record.getMessage() for record in told] == [True]


async def test_the_new_name_of_the_token_limit_is_learned_too_and_for_that_model_only() -> None:
    said = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
    async with ScriptedUpstream() as upstream:
        model = OpenAICompatible(UpstreamSettings(upstream.url, max_tokens_field="max_tokens"))
        upstream.fail(400, {"message": said, "param": "max_tokens", "code": "unsupported_parameter"})
        for name in ("o1", "gpt-4"):
            upstream.answer(Text("x"))
            await pieces_of(model, replace(LIMITED, model=name))
        await model.aclose()
    limits = [[key for key in request.json if key.startswith("max_")] for request in upstream.requests]
    assert limits == [["max_tokens"], ["max_completion_tokens"], ["max_tokens"]]


async def test_two_who_are_refused_at_once_both_learn() -> None:
    async with ScriptedUpstream() as upstream:
        model = OpenAICompatible(UpstreamSettings(upstream.url))
        for _ in range(2):
            upstream.fail(400, {"message": "stream_options is not supported"})
        for _ in range(2):
            upstream.answer(Text("x"))
        answers = await asyncio.gather(*(pieces_of(model) for _ in range(2)))
        await model.aclose()
    assert [text_of(answer) for answer in answers] == ["x", "x"]


@pytest.mark.parametrize(
    ("said", "member"),
    [
        ("Unsupported value: 'temperature' does not support 0.5 with this model.", "temperature"),
        ("`tools` is not supported by this model", "tools"),
        ("Unknown parameter: parallel_tool_calls", "parallel_tool_calls"),
    ],
)
async def test_what_changes_the_meaning_ends_with_the_setting_that_leaves_it_out(said: str, member: str) -> None:
    async with ScriptedUpstream() as upstream:
        model = OpenAICompatible(UpstreamSettings(upstream.url, name="near"))
        upstream.fail(400, {"message": said})
        with pytest.raises(ModelError) as caught:
            await pieces_of(model, RICH)
        await model.aclose()
    assert len(upstream.requests) == 1
    assert said.rstrip(".") in caught.value.message
    assert f'omit = ["{member}"] for the upstream "near"' in caught.value.message


async def test_a_refused_role_ends_with_its_setting() -> None:
    system = PromptMessage(PromptRole.SYSTEM, user("Be brief.").parts)
    async with ScriptedUpstream() as upstream:
        model = OpenAICompatible(UpstreamSettings(upstream.url, system_role="developer"))
        upstream.fail(400, {"message": "Unsupported value: 'messages[0].role' does not support 'developer'"})
        with pytest.raises(ModelError, match='system_role = "system"'):
            await pieces_of(model, ModelRequest("m", (system, user("Hi"))))
        await model.aclose()
    assert [message["role"] for message in upstream.requests[0].json["messages"]] == ["developer", "user"]


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (400, "max_completion_tokens is too large: this model supports at most 5 and not more"),
        (400, "The value of stream_options must be an object"),
        (500, "stream_options is not supported"),
        (400, "tool_calls is not allowed here"),
    ],
)
async def test_other_errors_are_no_refusals(status: int, said: str) -> None:
    async with ScriptedUpstream() as upstream:
        model = OpenAICompatible(UpstreamSettings(upstream.url, timeouts=replace(QUICK, attempts=1)))
        upstream.fail(status, {"message": said})
        with pytest.raises(ModelError) as caught:
            await pieces_of(model, LIMITED)
        await model.aclose()
    assert len(upstream.requests) == 1
    assert "threadmill.toml" not in caught.value.message


async def test_an_upstream_that_refuses_both_names_of_the_token_limit_is_asked_twice() -> None:
    async with ScriptedUpstream() as upstream:
        model = OpenAICompatible(UpstreamSettings(upstream.url))
        upstream.fail(400, {"message": "Unknown parameter: max_completion_tokens"})
        upstream.fail(400, {"message": "Unknown parameter: max_tokens"})
        with pytest.raises(ModelError, match=r'omit = \["max_tokens"\]'):
            await pieces_of(model, LIMITED)
        await model.aclose()
    assert len(upstream.requests) == 2
