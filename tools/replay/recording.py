"""Step 1 of a replay: the files of a directory, read into exchanges. Knows the format and nothing about comparing."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeAlias, cast
from urllib.parse import parse_qs

Json: TypeAlias = Any
"""A decoded JSON value."""

JsonObject: TypeAlias = dict[str, Any]


class NotARecording(Exception):
    """A file is not what the format says; the message names the file and what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One SSE event as recorded: its name and its data, decoded (`[DONE]` stays a text)."""

    name: str
    data: Json


@dataclass(frozen=True)
class Exchange:
    """One request and its answer: a body or frames. `path` begins behind `/v1` and has no query; `query` is as sent."""

    number: int
    method: str
    path: str
    query: str
    asked: Json
    status: int
    headers: Mapping[str, str]
    body: Json
    frames: tuple[Frame, ...] | None = None

    @property
    def name(self) -> str:
        """Method and path, for people."""
        return f"{self.method} {self.path}" + (f"?{self.query}" if self.query else "")

    @cached_property
    def segments(self) -> tuple[str, ...]:
        """The path's parts."""
        return tuple(part for part in self.path.split("/") if part)

    @property
    def succeeded(self) -> bool:
        """Whether the service took the request."""
        return 200 <= self.status < 300

    @property
    def is_outage(self) -> bool:
        """Whether the service could not serve it that day: nothing the API says, and nothing was done."""
        return self.status == HTTPStatus.TOO_MANY_REQUESTS or self.status >= HTTPStatus.INTERNAL_SERVER_ERROR

    def parameter(self, name: str) -> str | None:
        """One query parameter, decoded."""
        values = parse_qs(self.query).get(name)
        return values[-1] if values else None

    def answers(self) -> Iterator[Json]:
        """Everything the service said: the body, or each frame's data in order."""
        if self.frames is None:
            yield self.body
        else:
            yield from (frame.data for frame in self.frames)


@dataclass(frozen=True, slots=True)
class Recording:
    """One file: a test of some client, from its first request to its last."""

    name: str
    exchanges: tuple[Exchange, ...]


def load(*places: Path) -> tuple[list[Recording], list[str]]:
    """The recordings of directories (and of those in them) or files, by path; and what is wrong with the others."""
    found: list[Recording] = []
    faults: list[str] = []
    for place in places:
        paths = [place] if place.is_file() else sorted(place.rglob("*.json"))
        root = place.parent if place.is_file() else place
        faults += [] if paths else [f"{place} holds no *.json files."]
        for path in paths:
            try:
                found.append(read(path.relative_to(root).with_suffix("").as_posix(), _text(path), str(path)))
            except NotARecording as error:
                faults.append(str(error))
    return found, faults


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")  # some writers begin with a byte order mark
    except (OSError, UnicodeDecodeError) as error:
        raise NotARecording(f"{path} cannot be read: {error}.") from None


def read(name: str, text: str, source: str = "the recording") -> Recording:
    """One recording from its text. Raises NotARecording."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise NotARecording(f"{source} is not JSON: {error}.") from None
    if not isinstance(document, list):
        raise NotARecording(f"{source} is not a list of exchanges.")
    said = cast("list[Json]", document)
    return Recording(name, tuple(_exchange(number, one, source) for number, one in enumerate(said)))


def _exchange(number: int, said: Json, source: str) -> Exchange:
    asked, answered = as_object(as_object(said).get("request")), as_object(as_object(said).get("response"))
    method, path, status = asked.get("method"), asked.get("path"), answered.get("status")
    if not (isinstance(method, str) and isinstance(path, str) and type(status) is int):
        shape = "{request: {method, path, body}, response: {status, headers, body | events}}"
        raise NotARecording(f"{source}: exchange {number} is not {shape}.")
    path, _, query = path.partition("#")[0].partition("?")
    events = answered.get("events")
    frames = tuple(map(_frame, as_list(events))) if isinstance(events, list) else None
    body = _nothing_for_empty(answered.get("body"))
    return Exchange(
        number,
        method.upper(),
        _plain(path),
        query,
        _nothing_for_empty(asked.get("body")),
        status,
        _headers(answered.get("headers")),
        body,
        frames,
    )


def _frame(said: Json) -> Frame:
    event = as_object(said)
    data: Json = event.get("data")
    if isinstance(data, str) and data != "[DONE]":
        with suppress(ValueError):
            data = json.loads(data)
    return Frame(str(event.get("event") or ""), data)


def _nothing_for_empty(body: Json) -> Json:
    return None if body == "" else body


def _headers(said: Json) -> dict[str, str]:
    """Lower-case names; of a header given as a list, its first value."""
    found = {key.lower(): as_list(value)[:1] or value for key, value in as_object(said).items()}
    return {key: str(as_list(value)[0] if as_list(value) else value) for key, value in found.items()}


def _plain(path: str) -> str:
    """The path behind the base URL, however much of it was recorded."""
    path = "/" + re.sub(r"^https?://[^/]*", "", path).lstrip("/")
    return re.sub(r"^(/openai/v1|/openai|/v1)(?=/)", "", path)


def as_object(value: Json) -> JsonObject:
    """The value if it is an object, else an empty one."""
    return cast("JsonObject", value) if isinstance(value, dict) else {}


def as_number(value: Json) -> float | None:
    """The value if it is a number, else None."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def as_list(value: Json) -> list[Json]:
    """The value if it is a list, else an empty one."""
    return cast("list[Json]", value) if isinstance(value, list) else []


def walk(value: Json) -> Iterator[JsonObject]:
    """Every object inside a value, outer ones first."""
    if isinstance(value, dict):
        said = as_object(value)
        yield said
        for item in said.values():
            yield from walk(item)
    for item in as_list(value):
        yield from walk(item)
