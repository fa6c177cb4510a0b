"""What the tests of this session have shown of the API. Every exchange with a live server passes here, is checked
against the pinned spec, and is taken apart into facts that name the test they come from."""

import json
import os
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from tests.support.form import form_of
from tests.support.order import OrderError, StreamOrder
from tests.support.schema import Operation, SchemaChecker, SchemaError, find_operation
from tests.support.surface import (
    ANY,
    PARAMETERS,
    VALUES,
    Fact,
    answer_schema,
    body_schema,
    event_schemas,
    query_schemas,
)
from threadmill.api.routes.system import UNASKED
from threadmill.wire.deviations import OTHER_CONTENT

NOT_API = ("/healthz", "/readyz", "/metrics", *UNASKED)
"""Paths outside the spec."""

PREFIXES = ("/v1/", "/openai/")
"""Where the API lies; elsewhere nothing is shown of it."""

CLIENT_GONE = 499
PREFLIGHT = ("OPTIONS", 204)
"""An answer that nobody reads."""

UNTOLD = "tests/conformance/test_fuzz.py"
"""Tests whose requests are checked and show nothing: nobody looks at what their answers mean."""

JSON, EVENTS = "application/json", "text/event-stream; charset=utf-8"

BYTES = {one.operation: one.content_type for one in OTHER_CONTENT}
"""Operations whose 200 is no JSON."""


def test_now() -> str:
    """The test that runs, without its parameters; empty between tests."""
    return plain_name(os.environ.get("PYTEST_CURRENT_TEST", "").partition(" (")[0])


def plain_name(nodeid: str) -> str:
    """A test's name without its parameters."""
    return nodeid.partition("[")[0]


@dataclass(frozen=True)
class Asked:
    """A request as it came. Header names are lower case."""

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: bytes = b""
    test: str = field(default_factory=test_now)

    @property
    def resumes(self) -> bool:
        """Whether the answer may begin in the midst of a run, or hold deltas only folded."""
        return self.method == "GET" and self.path.endswith("/events")


class Ledger:
    """Facts with the tests that showed them, and what broke the schema."""

    def __init__(self) -> None:
        self.facts: dict[Fact, set[str]] = defaultdict(set)
        self._checker = SchemaChecker(quick=True)
        self._problems: list[str] = []

    def problems(self) -> list[str]:
        """What broke the schema since this was last asked."""
        told, self._problems = self._problems, []
        return told

    def answered(self, asked: Asked, status: int, content_type: str, body: bytes) -> None:
        """A whole answer that is no stream."""
        if asked.path in NOT_API or status == CLIENT_GONE or (asked.method, status) == PREFLIGHT:
            return
        try:
            self._check(asked, status, content_type, body)
        except (SchemaError, ValueError) as error:
            self._problems.append(f"{asked.test}: {error}")
            return
        self._note_answer(asked, status, body)

    def _check(self, asked: Asked, status: int, content_type: str, body: bytes) -> None:
        wanted = JSON
        if status == 200:
            wanted = BYTES.get(find_operation(asked.method, asked.path).name, JSON)
        if content_type != wanted:
            raise SchemaError(f"{asked.method} {asked.path} {status}: content type {content_type}")
        if wanted == JSON:
            self._checker.check_response(asked.method, asked.path, status, body)

    def streams(self, asked: Asked, content_type: str) -> None:
        """The begin of a stream; its events follow one by one."""
        if content_type != EVENTS:
            self._problems.append(f"{asked.test}: {asked.method} {asked.path}: content type {content_type}")
        operation = self._operation(asked)
        if operation is not None:
            self._note_request(asked, operation, 200)

    def frame(self, asked: Asked, order: StreamOrder, frame: str) -> None:
        """One whole frame of a stream whose earlier frames `order` has seen, without the blank line at its end."""
        # Comments keep the connection; they may stand in front of an event.
        pairs = [line.partition(": ") for line in frame.split("\n") if not line.startswith(":")]
        lines = {name: value for name, _, value in pairs}
        if not lines:
            return
        name, data = lines.get("event", ""), lines.get("data", "")
        try:
            if set(lines) - {"id"} != {"event", "data"}:
                raise SchemaError(f"{asked.path}: a frame of {sorted(lines)}")
            self._checker.check_event(name, data)
            if not asked.resumes:
                order.see(name, data if name == "done" else json.loads(data))
        except (SchemaError, OrderError, ValueError) as error:
            self._problems.append(f"{asked.test}: {error}")
            return
        self._note_event(asked, name, data)

    def _operation(self, asked: Asked) -> Operation | None:
        if asked.test in ("", UNTOLD) or asked.test.startswith(f"{UNTOLD}::") or not asked.path.startswith(PREFIXES):
            return None
        try:
            return find_operation(asked.method, asked.path)
        except SchemaError:
            return None

    def _show(self, test: str, kind: str, place: str, value: str = ANY) -> None:
        self.facts[Fact(kind, place, value)].add(test)

    def _note_answer(self, asked: Asked, status: int, body: bytes) -> None:
        operation = self._operation(asked)
        if operation is None:
            return
        self._note_request(asked, operation, status)
        if status == 200 and operation.name not in BYTES:
            for at, value in VALUES.uses(answer_schema(operation), json.loads(body)):
                if value != ANY:
                    self._show(asked.test, "value", at, value)

    def _note_event(self, asked: Asked, name: str, data: str) -> None:
        operation = self._operation(asked)
        if operation is None:
            return
        self._show(asked.test, "event", name)
        self._show(asked.test, "event", name, operation.name)
        if name not in ("done", "error"):
            for at, value in VALUES.uses(event_schemas()[name], json.loads(data)):
                if value != ANY:
                    self._show(asked.test, "value", at, value)

    def _note_request(self, asked: Asked, operation: Operation, status: int) -> None:
        self._show(asked.test, "status", operation.name, str(status))
        self._note_client(asked, operation)
        if status != 200:
            return
        for name, said in parse_qsl(asked.query, keep_blank_values=True):
            if name in query_schemas(operation):
                place = f"{operation.name}#{name}"
                self._show(asked.test, "parameter", place)
                for _, value in PARAMETERS.uses(query_schemas(operation)[name], _query_value(name, said)):
                    self._show(asked.test, "parameter", place, value)
        if asked.body.strip() and (schema := body_schema(operation)):
            for at, value in PARAMETERS.uses(schema, _said(asked)):
                self._show(asked.test, "parameter", f"{operation.name}#{at}", value)

    def _note_client(self, asked: Asked, operation: Operation) -> None:
        agent = asked.headers.get("user-agent", "")
        if "x-stainless-lang" not in asked.headers:
            return
        self._show(asked.test, "client", agent, operation.name)
        for header in ("poll-helper", "stream-helper", "custom-event-handler", "helper-method"):
            said = asked.headers.get(f"x-stainless-{header}")
            if said is not None:
                self._show(asked.test, "client", agent, f"{header}: {said}")


def _said(asked: Asked) -> Any:
    kind = asked.headers.get("content-type", "")
    return form_of(kind, asked.body) if kind.startswith("multipart/") else json.loads(asked.body)


def _query_value(name: str, said: str) -> Any:
    return [said] if name.endswith("[]") else said


LEDGER = Ledger()
"""The session's."""
