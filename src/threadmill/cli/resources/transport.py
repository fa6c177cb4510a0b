"""Sends one request and gives its answer. Every text that leaves here for a person is rid of secrets first.

The standard library's client: it is there at once (20 ms), follows the environment's proxies, and streams line by line.
"""

import http.client
import ipaddress
import json
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO, Any
from urllib.parse import urlsplit

from threadmill.cli.resources.error import Exit, Failure, refused, usage
from threadmill.cli.resources.request import Request
from threadmill.cli.resources.upload import form_of

SECRET_HEADERS = frozenset({"authorization", "api-key", "cookie", "set-cookie", "proxy-authorization"})
SHORTEST_SECRET = 6
"""A shorter key is no secret, and taking it out would tear words apart."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where requests go and as whom. `headers` are the user's own; `timeout` is seconds of silence."""

    base_url: str
    api_key: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    timeout: float
    debug: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful answer, its body not read yet."""

    headers: Mapping[str, str]
    _body: IO[bytes]
    _client: "Client"

    def read(self) -> bytes:
        """The whole body. Raises Failure when the connection breaks."""
        try:
            body = self._body.read()
        except (OSError, http.client.HTTPException) as error:
            raise self._client.broken(error) from None
        self._client.show("<", body)
        return body

    def lines(self) -> Iterator[bytes]:
        """The body line by line, as it comes. Raises Failure when the connection breaks."""
        try:
            for line in self._body:
                self._client.show("<", line.rstrip(b"\n"))
                yield line
        except (OSError, http.client.HTTPException) as error:
            raise self._client.broken(error) from None

    def pieces(self, size: int = 1 << 20) -> Iterator[bytes]:
        """The body in pieces, for large files. Raises Failure when the connection breaks or the body ends early."""
        came = 0
        try:
            while piece := self._body.read(size):
                came += len(piece)
                yield piece
        except (OSError, http.client.HTTPException) as error:
            raise self._client.broken(error) from None
        # http.client notices a body that ends early only when it is read whole.
        promised = self.headers.get("content-length", "")
        if promised.isdecimal() and came < int(promised):
            raise self._client.broken(ConnectionError(f"{came} of {promised} bytes came"))


class _Heeding(http.client.HTTPConnection):
    """Reads the answer of a server that refuses an upload before all of it is sent."""

    def request(self, *args: Any, **kwargs: Any) -> None:
        try:
            super().request(*args, **kwargs)
        except (BrokenPipeError, ConnectionResetError):
            if self.sock is None:  # pyright: ignore[reportUnnecessaryComparison] - None until connected
                raise


class _HeedingTls(_Heeding, http.client.HTTPSConnection):
    """The same behind TLS."""


class _Http(urllib.request.HTTPHandler):
    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_Heeding, req)


class _Https(urllib.request.HTTPSHandler):
    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_HeedingTls, req)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would send the key to another host and forget the body; the user shall decide."""

    def redirect_request(self, *_args: Any, **_kwargs: Any) -> None:
        return None


class Client:
    """Talks to one server."""

    def __init__(self, target: Target) -> None:
        self._target: Target = target
        self._base: str = target.base_url.rstrip("/")
        parts = urlsplit(self._base)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise usage(f"--base-url is {self.clean(self._base)!r}; it must be like http://127.0.0.1:8000/v1.")
        handlers: list[urllib.request.BaseHandler] = [_NoRedirect(), _Http(), _Https()]
        if _is_loopback(parts.hostname):
            handlers.append(urllib.request.ProxyHandler({}))
        self._opener: urllib.request.OpenerDirector = urllib.request.build_opener(*handlers)

    def send(self, request: Request, *, beta: bool, stream: bool = False) -> Answer:
        """The answer to `request`. Raises Failure for what the server refuses and for what stops the way there."""
        headers = self._headers(beta=beta, stream=stream)
        body: bytes | Iterator[bytes] | None = None
        if request.uploads:
            form = form_of(request)
            headers |= {"Content-Type": form.content_type, "Content-Length": str(form.size)}
            body = form.pieces()
        elif request.body is not None:
            headers["Content-Type"] = "application/json"
            body = json.dumps(request.body, ensure_ascii=False).encode(errors="replace")
        self._show_request(request, headers, body)
        return self._open(request, headers, body)

    def _open(self, request: Request, headers: dict[str, str], body: bytes | Iterator[bytes] | None) -> Answer:
        url = self._base + request.target
        try:
            sent = urllib.request.Request(url, body, headers, method=request.method)  # noqa: S310 - http(s), see __init__
            response = self._opener.open(sent, timeout=self._target.timeout)
        except urllib.error.HTTPError as error:
            raise self._refused(request, error) from None
        except (OSError, http.client.HTTPException) as error:
            raise self.broken(error) from None
        except ValueError:  # its text may hold the key
            raise usage("The URL, the key or a header has a character HTTP does not allow.") from None
        found = {name.lower(): value for name, value in response.headers.items()}
        self._show_answer(response.status, response.reason, found)
        return Answer(found, response, self)

    def _headers(self, *, beta: bool, stream: bool) -> dict[str, str]:
        headers = {"User-Agent": "threadmill-cli", "Accept": "text/event-stream" if stream else "application/json"}
        if self._target.api_key:
            headers["Authorization"] = f"Bearer {self._target.api_key}"
        if beta:
            headers["OpenAI-Beta"] = "assistants=v2"
        return headers | dict(self._target.headers)

    def _refused(self, request: Request, error: urllib.error.HTTPError) -> Failure:
        headers = {name.lower(): value for name, value in error.headers.items()}
        try:
            body = error.read()
        except (OSError, http.client.HTTPException):
            body = b""
        self._show_answer(error.code, error.reason, headers)
        self.show("<", body)
        where = f"{request.method} {self.clean(self._base + request.target)}"
        if 300 <= error.code < 400:
            text = f"{error.code}: the server sends us on to {self.clean(headers.get('location', 'nowhere'))}."
            return Failure(text, Exit.REFUSED, "Name that server with --base-url if you trust it.", {"request": where})
        return refused(error.code, self.clean(body.decode(errors="replace")).encode(), headers, where)

    def broken(self, error: Exception) -> Failure:
        """No answer, or not all of it."""
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        where = {"server": self.clean(self._base)}
        if isinstance(reason, TimeoutError):
            text = f"The server said nothing for {self._target.timeout:g} s."
            return Failure(text, Exit.CONNECTION, "Try again, or give it longer with --timeout.", where)
        if isinstance(reason, ConnectionRefusedError):
            text = f"Nothing listens on {where['server']}."
            advice = "Start a server with `threadmill serve`, or name another with --base-url."
            return Failure(text, Exit.CONNECTION, advice)
        what = getattr(reason, "strerror", None) or getattr(reason, "verify_message", None) or str(reason)
        text = f"The connection failed: {self.clean(what or type(reason).__name__)}."
        return Failure(text, Exit.CONNECTION, "Check --base-url and the network, then try again.", where)

    def clean(self, text: str) -> str:
        """The text without the key, the user's header values, and a password in the base URL."""
        secrets = [self._target.api_key, *self._target.headers.values(), urlsplit(self._base).password or ""]
        for secret in secrets:
            if len(secret) >= SHORTEST_SECRET:
                text = text.replace(secret, "***")
        return text

    def _show_request(self, request: Request, headers: Mapping[str, str], body: object) -> None:
        if self._target.debug:
            self._say(f"> {request.method} {self._base}{request.target}")
            own = {name.lower() for name in self._target.headers}
            self._show_headers(">", headers, own)
            self.show(">", body if isinstance(body, bytes) else b"(a form with a file)" if body else b"")

    def _show_answer(self, status: int, reason: str, headers: Mapping[str, str]) -> None:
        if self._target.debug:
            self._say(f"< {status} {reason}")
            self._show_headers("<", headers, set())

    def _show_headers(self, mark: str, headers: Mapping[str, str], own: set[str]) -> None:
        for name, value in headers.items():
            hidden = name.lower() in SECRET_HEADERS or name.lower() in own
            self._say(f"{mark} {name}: {'***' if hidden else value}")

    def show(self, mark: str, body: bytes) -> None:
        """With --debug, the body on standard error."""
        if self._target.debug and body:
            self._say(f"{mark} {body.decode(errors='replace')}")

    def _say(self, text: str) -> None:
        print(self.clean(text), file=sys.stderr, flush=True)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
