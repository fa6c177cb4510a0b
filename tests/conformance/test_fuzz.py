# schemathesis is untyped.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
"""Schemathesis against a live server: valid and malformed input on every route of the spec, over real HTTP.

Nothing may crash the server: no 5xx, always the official error body (the session's ledger checks each answer's shape and
content type). The same cases every time, in bounded time.
"""

import asyncio
import json
import re
import threading
from collections.abc import Callable, Generator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis import GenerationMode
from schemathesis.config import (
    CoveragePhaseConfig,
    ExamplesPhaseConfig,
    GenerationConfig,
    PhasesConfig,
    ProjectConfig,
    ProjectsConfig,
    SchemathesisConfig,
)
from schemathesis.generation.feedback import FeedbackSources
from schemathesis.pytest._test_builder import build_operation_test

from tests.support.schema import operations, spec_as_published
from tests.support.serving import serving
from threadmill.wire.deviations import ADDED_OPERATIONS

EXAMPLES, FEW = 20, 5
"""Cases by chance: where a body is looked at behind ids that exist, and elsewhere."""

OURS = {f"{added.method} {added.path}" for added in ADDED_OPERATIONS}
PUBLISHED = sorted({one.name for one in operations()} - OURS)
WITH_OBJECTS = [name for name in PUBLISHED if re.match(r"\w+ /(assistants|threads|files|vector_stores)", name)]


@cache
def schema(*, edges: bool) -> Any:
    """The pinned spec. `edges`: with cases at and beyond every limit of an operation, beside those by chance."""
    modes = [GenerationMode.POSITIVE, GenerationMode.NEGATIVE]
    generation = GenerationConfig(modes=modes, deterministic=True, max_examples=EXAMPLES, database="none")
    phases = PhasesConfig(coverage=CoveragePhaseConfig(enabled=edges), examples=ExamplesPhaseConfig(enabled=edges))
    project = ProjectConfig(generation=generation, phases=phases)
    config = SchemathesisConfig(projects=ProjectsConfig(default=project))
    return schemathesis.openapi.from_dict(spec_as_published(), config=config)


def try_cases(operation: str, attempt: Callable[[Any], None], *, edges: bool = False) -> None:
    """Make an operation's cases and try each.

    Not by schemathesis's own parametrize: it makes every case when tests are collected, so in each process of a run.
    """
    method, _, path = operation.partition(" ")
    of = schema(edges=edges)

    @settings(LIMITS, max_examples=EXAMPLES if edges and method == "POST" else FEW)
    def test(case: Any) -> None:
        attempt(case)

    build_operation_test(
        config=of.config, operation=of[path][method], test_func=test, given_kwargs={}, feedback=FeedbackSources()
    )()


@pytest.fixture(scope="module")
def base_url(tmp_path_factory: pytest.TempPathFactory) -> Generator[str, None, None]:
    """A server in a thread of its own, as schemathesis is not asynchronous."""
    found: list[str] = []
    listening, over = threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def serve(directory: Path) -> None:
        async with serving(directory) as live:
            found.append(live.url)
            listening.set()
            await over.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve(tmp_path_factory.mktemp("fuzz"))))
    thread.start()
    assert listening.wait(60), "the server did not begin to listen"
    yield found[0]
    loop.call_soon_threadsafe(over.set)
    thread.join()
    loop.close()


@pytest.fixture(scope="module")
def session() -> Generator[requests.Session, None, None]:
    with requests.Session() as opened:
        yield opened


LIMITS = settings(
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)


@pytest.mark.parametrize("operation", PUBLISHED)
def test_no_input_crashes_the_server(operation: str, base_url: str, session: requests.Session) -> None:
    """With ids that are made up, so that most of it ends there: a few cases each."""
    try_cases(operation, lambda case: judge(case.call(base_url=base_url, session=session)))


@pytest.mark.parametrize("operation", WITH_OBJECTS)
def test_no_input_on_living_objects_crashes_the_server(
    operation: str, base_url: str, session: requests.Session
) -> None:
    """The same with ids that exist, so that bodies are looked at behind the ids."""

    def attempt(case: Any) -> None:
        ids = WORLD or living(base_url, session)
        WORLD.update(ids)
        case.path_parameters = {name: ids[name] for name in case.path_parameters}
        if isinstance(case.body, dict) and isinstance(case.body.get("assistant_id"), str):
            case.body["assistant_id"] = ids["assistant_id"]
        answer = case.call(base_url=base_url, session=session)
        judge(answer)
        if answer.status_code == 200 and (case.method == "DELETE" or case.path.endswith("/runs")):
            WORLD.clear()  # deleted, or busy for a while

    try_cases(operation, attempt, edges=True)


WORLD: dict[str, str] = {}
"""Ids of objects that live and are at rest."""


def living(base_url: str, session: requests.Session) -> dict[str, str]:
    """A thread of its own, with a run that has ended."""

    def made(path: str, body: dict[str, Any]) -> dict[str, Any]:
        return session.post(f"{base_url}{path}", json=body).json()

    assistant = made("/assistants", {"model": "rehearsal"})["id"]
    said = {"messages": [{"role": "user", "content": "say: hi"}]}
    events = session.post(
        f"{base_url}/threads/runs", json={"assistant_id": assistant, "thread": said, "stream": True}
    ).text
    ended: dict[str, Any] = json.loads(events.split("event: thread.message.completed\ndata: ")[1].split("\n")[0])
    step: dict[str, Any] = json.loads(events.split("event: thread.run.step.completed\ndata: ")[1].split("\n")[0])
    uploaded = session.post(f"{base_url}/files", data={"purpose": "vision"}, files={"file": ("a.txt", b"x")})
    store = made("/vector_stores", {})["id"]
    batch = made(f"/vector_stores/{store}/file_batches", {"file_ids": [uploaded.json()["id"]]})
    return {
        "file_id": uploaded.json()["id"],
        "vector_store_id": store,
        "batch_id": batch["id"],
        "assistant_id": assistant,
        "thread_id": ended["thread_id"],
        "message_id": ended["id"],
        "run_id": ended["run_id"],
        "step_id": step["id"],
    }


def judge(answer: Any) -> None:
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        assert list(answer.json()["error"]) == ["message", "type", "param", "code"]
