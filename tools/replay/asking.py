"""Step 3c of a replay: a recorded exchange as a request to our server, ids and all; uploads are made up again."""

import json
import re
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from yarl import URL

from tools.replay.ids import Ids
from tools.replay.recording import Exchange, Json, JsonObject, Recording, as_list, as_object, walk
from tools.replay.server import Target


@dataclass(frozen=True, slots=True)
class Answer:
    """What our server said: `body` decoded if it is JSON, else its text."""

    status: int
    headers: dict[str, str]
    body: Json


@dataclass(frozen=True, slots=True)
class Request:
    """A request ready to be sent; `path` is behind the base URL and percent-encoded as recorded."""

    method: str
    path: str
    headers: dict[str, str] = field(default_factory=dict[str, str])
    data: "bytes | aiohttp.FormData | None" = None


class Asker:
    """Sends requests to one server."""

    def __init__(self, session: aiohttp.ClientSession, target: Target) -> None:
        self._session: aiohttp.ClientSession = session
        self._target: Target = target

    def open(self, request: Request) -> "aiohttp.client._RequestContextManager":  # pyright: ignore[reportPrivateUsage] - aiohttp names its return type so
        """An open answer, to be read by the caller."""
        headers = {"Authorization": f"Bearer {self._target.key}", "OpenAI-Beta": "assistants=v2", **request.headers}
        sent = {name: value for name, value in headers.items() if value}
        url = URL(self._target.base_url + request.path, encoded=True)
        return self._session.request(request.method, url, headers=sent, data=request.data)

    async def ask(self, request: Request) -> Answer:
        """A whole answer. Raises aiohttp.ClientError, TimeoutError."""
        async with self.open(request) as response:
            return Answer(response.status, dict(response.headers), _decoded(await response.read()))

    async def get(self, path: str) -> Answer:
        """A look of our own."""
        return await self.ask(Request("GET", path))

    async def post(self, path: str, body: JsonObject) -> Answer:
        """A request of our own."""
        return await self.ask(Request("POST", path, {"Content-Type": "application/json"}, json.dumps(body).encode()))


def _decoded(body: bytes) -> Json:
    text = body.decode(errors="replace")
    try:
        return json.loads(text)
    except ValueError:
        return text


class Requests:
    """Makes requests out of exchanges. `files` are the texts of uploaded files, as far as searches showed them."""

    def __init__(self, recording: Recording, ids: Ids) -> None:
        self._ids: Ids = ids
        self._texts: dict[str, list[str]] = _file_texts(recording)

    def of(self, exchange: Exchange) -> Request:
        """The exchange's request with our ids."""
        path = self._ids.translate(exchange.path + (f"?{exchange.query}" if exchange.query else ""))
        headers = _credentials(exchange)
        if exchange.method == "POST" and exchange.segments in (("files",), ("uploads",)):
            return Request("POST", path, headers, self._upload(exchange))
        if exchange.asked is None:
            return Request(exchange.method, path, headers)
        if isinstance(exchange.asked, str):
            data = self._ids.translate(exchange.asked)
        else:
            data = json.dumps(self._ids.translate_json(exchange.asked), ensure_ascii=False)
        headers = {"Content-Type": "application/json", **headers}
        return Request(exchange.method, path, headers, data.encode())

    def _upload(self, exchange: Exchange) -> aiohttp.FormData:
        """The form of an upload: what was asked if that was recorded, else what the answer shows of it."""
        asked, shown = as_object(exchange.asked), as_object(exchange.body)
        form = aiohttp.FormData(quote_fields=False)  # a name such as text/csv goes as it is
        form.add_field("purpose", str(asked.get("purpose") or shown.get("purpose") or _refused_purpose(shown)))
        if shown.get("expires_at"):
            form.add_field("expires_after[anchor]", "created_at")
            form.add_field("expires_after[seconds]", str(int(shown["expires_at"]) - int(shown["created_at"])))
        name = str(asked.get("filename") or shown.get("filename") or "file.txt")
        form.add_field("file", self.content(shown), filename=name, content_type="application/octet-stream")
        return form

    def upload_of(self, path: str, file: JsonObject) -> Request:
        """A request that makes a file like the one shown."""
        form = aiohttp.FormData(quote_fields=False)  # a name such as text/csv goes as it is
        form.add_field("purpose", str(file.get("purpose") or "assistants"))
        form.add_field("file", self.content(file), filename=str(file.get("filename") or "file.txt"))
        return Request("POST", path, {}, form)

    def content(self, file: JsonObject) -> bytes:
        """Bytes for a file: what searches found in it, else as many as it had."""
        size = int(file.get("bytes") or 1)
        found = "\n".join(self._texts.get(str(file.get("id")), ())).encode()
        return found + b" " * (size - len(found)) if found else b"x" * size


def _credentials(exchange: Exchange) -> dict[str, str]:
    """Headers for an exchange that was refused for its headers; an empty value leaves the header out."""
    message = str(as_object(as_object(exchange.body).get("error")).get("message") or "")
    if exchange.status == 401:
        wrong = re.search(r"API key provided: (\S+?)\.(?:\s|$)", message)
        return {"Authorization": f"Bearer {wrong[1].replace('*', 'x')}" if wrong else ""}
    if exchange.status == 400 and "'OpenAI-Beta' header" in message:
        return {"OpenAI-Beta": ""}
    return {}


def _refused_purpose(body: JsonObject) -> str:
    found = re.match(r"'([^']*)' is not one of", str(as_object(body.get("error")).get("message") or ""))
    return found[1] if found else "assistants"


def _file_texts(recording: Recording) -> dict[str, list[str]]:
    """What the recording shows of each file's text, in the order searches found it."""
    texts: dict[str, list[str]] = {}
    for exchange in recording.exchanges:
        for answer in exchange.answers():
            for said in walk(answer):
                _note_text(said, texts)
    return texts


def _note_text(said: JsonObject, texts: dict[str, list[str]]) -> None:
    file_id = said.get("file_id")
    if not isinstance(file_id, str) or not isinstance(said.get("content"), list):
        return
    known = texts.setdefault(file_id, [])
    for part in as_list(said["content"]):
        text: Any = as_object(part).get("text")
        if isinstance(text, str) and text not in known:
            known.append(text)
