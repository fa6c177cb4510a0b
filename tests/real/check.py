"""Against a real model, llama.cpp's server with Gemma 3 270M: `make test-real`. Not collected by `make test`.

The server is started by the script that docs/how-to/connect-a-model.md shows. The model has little sense, so nothing here
depends on what it says; its answers are kept short, because on a busy machine it says ten tokens a second.
"""

import asyncio
import json
import re
import subprocess
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.cli.command import run
from tests.support.serving import Api, Live, Sent, serving

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-clients" / "real" / "bin" / "python"
PAGE = (ROOT / "docs" / "how-to" / "connect-a-model.md").read_text()
PLACES = 2
CONTEXT = 1024
"""Tokens of one place."""

SHORT = 'max_tokens_field = "max_tokens"\nextra_body = { max_tokens = 48 }'
"""No run may ask for less than 256."""

SCHEMA = {
    "type": "object",
    "properties": {"city": {"enum": ["Paris", "Rome"]}, "n": {"type": "integer", "maximum": 99}},
    "required": ["city", "n"],
    "additionalProperties": False,
}
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def script() -> str:
    """The page's second command, on a free port, with short contexts and one thread: the tests need the other core."""
    found = re.search(r"^llama/bin/python - <<'END'\n(.*?)^END$", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None
    shown = "= 8080, 4096, 2\n"
    assert shown in found[1]
    return found[1].replace(shown, f"= 0, {CONTEXT * PLACES}, {PLACES}\nparams.cpuparams.n_threads = 1\n")


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    """The address of a real server."""
    log = tmp_path_factory.mktemp("llama") / "log"
    with log.open("w") as told:
        process = subprocess.Popen([PYTHON, "-c", script()], stdout=subprocess.PIPE, stderr=told, text=True)
    assert process.stdout is not None
    try:
        found = next((line for line in process.stdout if line.startswith("http://")), None)
        assert found is not None, log.read_text()
        yield found.strip()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@asynccontextmanager
async def threadmill(directory: Path, llama: str, *more: str) -> AsyncGenerator[Live]:
    """A server in front of it; `more` are lines of its upstream."""
    async with serving(directory, CONFIG=str(written(directory, llama, *more))) as live:
        yield live


def written(directory: Path, llama: str, *more: str) -> Path:
    """A threadmill.toml for it."""
    lines = ["[[upstreams]]", 'name = "llama"', f'base_url = "{llama}/v1"', f"max_concurrent = {PLACES}", *more]
    path = directory / "threadmill.toml"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
async def live(tmp_path: Path, llama: str) -> AsyncGenerator[Live]:
    async with threadmill(tmp_path, llama, SHORT) as running:
        yield running


async def streamed(api: Api, *said: str, **fields: Any) -> list[Sent]:
    """A whole run of a new thread."""
    thread = await api.thread(*said)
    assistant = await api.assistant(model="gemma3", instructions="Be brief.", temperature=0)
    return await api.stream(f"/threads/{thread}/runs", {"assistant_id": assistant, **fields})


def run_of(events: list[Sent]) -> dict[str, Any]:
    """The run as its stream ended."""
    return next(event.data for event in reversed(events) if event.name.startswith("thread.run."))


def text_of(events: list[Sent]) -> str:
    """What the deltas say."""
    deltas = [event.data["delta"]["content"][0]["text"] for event in events if event.name == "thread.message.delta"]
    return "".join(delta["value"] for delta in deltas)


def whole_text_of(events: list[Sent]) -> str:
    """What the message says in the end."""
    ends = ("thread.message.completed", "thread.message.incomplete")
    message = next(event.data for event in events if event.name in ends)
    return message["content"][0]["text"]["value"]


async def processing(llama: str) -> int:
    """How many places of the model are at work."""
    async with aiohttp.ClientSession() as session, session.get(f"{llama}/slots") as response:
        return sum(slot["is_processing"] for slot in await response.json())


async def test_text_is_streamed_as_it_is_made(live: Live) -> None:
    events = await streamed(live.api, "Tell me about the sea.")
    deltas = [event for event in events if event.name == "thread.message.delta"]
    assert len(deltas) > 8
    assert text_of(events) == whole_text_of(events)
    assert run_of(events)["status"] in ("completed", "incomplete")
    assert run_of(events)["usage"]["completion_tokens"] >= len(deltas)


async def test_a_json_schema_is_kept(live: Live) -> None:
    said = 'Answer with JSON only, such as {"city": "Rome", "n": 3}. Paris is number 7.'
    wanted = {"type": "json_schema", "json_schema": {"name": "place", "schema": SCHEMA}}
    events = await streamed(live.api, said, response_format=wanted)
    assert run_of(events)["status"] == "completed", whole_text_of(events)
    answer = json.loads(text_of(events))
    assert answer["city"] in ("Paris", "Rome")
    assert isinstance(answer["n"], int)


async def test_a_prompt_beyond_the_context_is_told_plainly(live: Live) -> None:
    events = await streamed(live.api, "sea and land " * CONTEXT)
    ended = run_of(events)
    assert ended["status"] == "failed"
    assert ended["last_error"]["code"] == "invalid_prompt"
    assert "context" in ended["last_error"]["message"]


async def test_a_long_thread_is_cut_to_fit(live: Live) -> None:
    events = await streamed(live.api, *(f"{number}: " + "sea and land " * 40 for number in range(20)), "And now?")
    assert run_of(events)["status"] in ("completed", "incomplete"), run_of(events)["last_error"]
    assert CONTEXT / 3 < run_of(events)["usage"]["prompt_tokens"] < CONTEXT


async def test_a_cancelled_run_frees_its_place(tmp_path: Path, llama: str) -> None:
    async with threadmill(tmp_path, llama) as live:
        thread = await live.api.thread("Count to ten thousand.")
        assistant = await live.api.assistant(model="gemma3")
        path = f"/threads/{thread}/runs"
        async with live.api.opened(path, {"assistant_id": assistant}) as events:
            async for event in events:
                if event.name == "thread.run.created":
                    path += f"/{event.data['id']}"
                if event.name == "thread.message.delta":
                    break
            assert await processing(llama) == 1
            await live.api.ok("POST", f"{path}/cancel")
            assert [event.name async for event in events][-2:] == ["thread.run.cancelled", "done"]
        async with asyncio.timeout(10):
            while await processing(llama):
                pass


async def test_eight_runs_share_two_places(live: Live, llama: str) -> None:
    runs = [asyncio.create_task(streamed(live.api, f"Number {number}.")) for number in range(8)]
    async with asyncio.timeout(60):
        while (await _waiting(live), await processing(llama)) != (8 - PLACES, PLACES):
            assert not any(one.done() for one in runs)
    assert {run_of(await one)["status"] for one in runs} <= {"completed", "incomplete"}


async def _waiting(live: Live) -> int:
    url = live.url.removesuffix("/v1") + "/metrics"
    async with live.api.session.get(url) as response:
        found = re.search(r"threadmill_upstream_requests\{.*waiting.*\} (\d+)", await response.text())
    return int(found[1]) if found else 0


async def test_a_function_is_called_if_the_model_can_and_nothing_fails_if_it_cannot(live: Live) -> None:
    events = await streamed(live.api, "What is the weather in Paris?", tools=[WEATHER], tool_choice="required")
    ended = run_of(events)
    if ended["status"] == "requires_action":
        call = ended["required_action"]["submit_tool_outputs"]["tool_calls"][0]
        assert call["function"]["name"] == "get_weather"
        assert "city" in json.loads(call["function"]["arguments"])
    else:
        assert ended["status"] in ("completed", "incomplete"), ended["last_error"]
        assert text_of(events)


async def test_models_test_tells_what_it_can(tmp_path: Path, llama: str) -> None:
    config = written(tmp_path, llama, SHORT)
    told = await asyncio.to_thread(run, "models", "test", THREADMILL_CONFIG=str(config))
    assert told.err == ""
    assert "ok      reached; the key is taken; this model is one of 1 on its list" in told.out
    assert "ok      a streamed answer" in told.out
    assert told.code == ("failed" in told.out)
