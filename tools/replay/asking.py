"""Step 3c of a replay: a recorded exchange as a request to our server, ids and all; uploads are made up again."""

import json
import re
from dataclasses import dataclass, field

import aiohttp
from yarl import URL

from tools.replay.ids import Ids
from tools.replay.recording import Exchange, Json, JsonObject, Recording, as_object
from tools.replay.server import Target
from tools.replay.uploads import Form, Uploads


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
    if not text:
        return None
    try:
        return json.loads(text)
    except ValueError:
        return text


class Requests:
    """Makes requests out of exchanges."""

    def __init__(self, recording: Recording, ids: Ids) -> None:
        self._ids: Ids = ids
        self._uploads: Uploads = Uploads(recording)

    def of(self, exchange: Exchange) -> Request:
        """The exchange's request with our ids."""
        path = self._ids.translate(exchange.path + (f"?{exchange.query}" if exchange.query else ""))
        headers = _credentials(exchange)
        if self._uploads.is_upload(exchange):
            return _upload(path, headers, self._uploads.of(exchange))
        if exchange.asked is None:
            return Request(exchange.method, path, headers)
        if isinstance(exchange.asked, str):
            data = self._ids.translate(exchange.asked)
        else:
            data = json.dumps(self._ids.translate_json(exchange.asked))
        headers = {"Content-Type": "application/json", **headers}
        return Request(exchange.method, path, headers, data.encode(errors="surrogatepass"))

    def upload_of(self, path: str, file: JsonObject) -> Request:
        """A request that makes a file like the one shown."""
        return _upload(path, {}, self._uploads.like(file))


def _upload(path: str, headers: dict[str, str], form: Form) -> Request:
    typed = {"Content-Type": form.kind, **headers} if form.kind else headers
    return Request("POST", path, typed, form.data)


def _credentials(exchange: Exchange) -> dict[str, str]:
    """Headers for an exchange that was refused for its headers; an empty value leaves the header out."""
    message = str(as_object(as_object(exchange.body).get("error")).get("message") or "")
    if exchange.status == 401:
        wrong = re.search(r"API key provided: (\S+?)\.(?:\s|$)", message)
        return {"Authorization": f"Bearer {wrong[1].replace('*', 'x')}" if wrong else ""}
    if exchange.status == 400 and "'OpenAI-Beta' header" in message:
        return {"OpenAI-Beta": ""}
    return {}
