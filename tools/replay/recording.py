"""Step 1 of a replay: the files of a directory, read into exchanges. Knows the format and nothing about comparing."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
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


def load(place: Path) -> list[Recording]:
    """The recordings of a directory, or of one file, by name. Raises NotARecording."""
    paths = [place] if place.is_file() else sorted(place.glob("*.json"))
    if not paths:
        raise NotARecording(f"{place} holds no *.json files.")
    return [read(path.stem, path.read_text(), str(path)) for path in paths]


def read(name: str, text: str, source: str = "the recording") -> Recording:
    """One recording from its text. Raises NotARecording."""
    try:
        document = json.loads(text)
    except ValueError as error:
        raise NotARecording(f"{source} is not JSON: {error}.") from None
    if not isinstance(document, list):
        raise NotARecording(f"{source} is not a list of exchanges.")
    said = cast("list[JsonObject]", document)
    try:
        return Recording(name, tuple(_exchange(number, one) for number, one in enumerate(said)))
    except (KeyError, TypeError, AttributeError) as error:
        text = "an exchange is not {request: {method, path, body}, response: {status, headers, body | events}}"
        raise NotARecording(f"{source}: {text}: {error!r}.") from None


def _exchange(number: int, said: JsonObject) -> Exchange:
    request, response = said["request"], said["response"]
    path, _, query = str(request["path"]).partition("?")
    events: list[JsonObject] | None = response.get("events")
    frames = None if events is None else tuple(Frame(one["event"], one["data"]) for one in events)
    headers = {key.lower(): str(value) for key, value in as_object(response.get("headers")).items()}
    asked, body = request.get("body"), response.get("body")
    return Exchange(number, request["method"], _plain(path), query, asked, response["status"], headers, body, frames)


def _plain(path: str) -> str:
    """The path behind the base URL, however much of it was recorded."""
    for prefix in ("/openai/v1", "/openai", "/v1"):
        if path.startswith(prefix + "/"):
            return path.removeprefix(prefix)
    return path


def as_object(value: Json) -> JsonObject:
    """The value if it is an object, else an empty one."""
    return cast("JsonObject", value) if isinstance(value, dict) else {}


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
