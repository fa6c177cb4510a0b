"""Each threadmill.toml of docs/how-to/connect-a-model.md is read as it stands, and its requests are what it says."""

import re
from pathlib import Path

import pytest

from tests.models.support import ask, pieces_of, text_of
from tests.support.upstream import ScriptedUpstream, Text
from threadmill.adapters.models.factory import open_models
from threadmill.adapters.system.metrics import PrometheusMetrics
from threadmill.adapters.tokens.counter import BpeTokenCounter
from threadmill.settings import load

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "connect-a-model.md").read_text()
FILES = dict(re.findall(r"^## ([^\n]+)\n.*?^```toml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL))
MODELS = {"Anthropic": "claude-x", "Gemini": "gemini-x", "DeepSeek": "deepseek-x"}
KEY = "key-of-sixteen-letters"


@pytest.mark.parametrize("provider", FILES)
async def test_a_file_of_the_page_reaches_its_upstream(provider: str, tmp_path: Path) -> None:
    async with ScriptedUpstream() as upstream:
        text = re.sub(r'base_url = "[^"?]*', f'base_url = "{upstream.url}', FILES[provider])
        (tmp_path / "threadmill.toml").write_text(text)
        keys = dict.fromkeys(re.findall(r'api_key_env = "(\w+)"', text), KEY)
        config = load({"THREADMILL_CONFIG": str(tmp_path / "threadmill.toml"), **keys}).config
        models = open_models(config, BpeTokenCounter(), PrometheusMetrics())
        upstream.answer(Text("<think>hm</think>", "Hi"))
        assert text_of(await pieces_of(models, ask(model=MODELS.get(provider, "some-model")))) == "Hi"
        await models.aclose()
    sent = upstream.requests[0]
    if keys and "api_key_header" not in text:
        assert sent.headers["Authorization"] == f"Bearer {KEY}"
    if provider == "Azure OpenAI":
        assert (sent.headers["api-key"], sent.query) == (KEY, {"api-version": "preview"})
    if provider == "Mistral":
        assert "stream_options" not in sent.json
    if provider == "Ollama":
        assert sent.json["model"] == "llama3.3"


def test_the_page_has_the_providers_people_ask_for() -> None:
    named = (
        "OpenAI, Azure OpenAI, Anthropic, Gemini, Mistral, Groq, DeepSeek, OpenRouter, Ollama, vLLM, llama.cpp, LiteLLM"
    )
    assert list(FILES) == named.split(", ")
