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

from threadmill.cli.resources.error import CliError, ExitCode, api_error, usage_error
from threadmill.cli.resources.request import Request
from threadmill.cli.resources.upload import build_form

SECRET_HEADERS = frozenset({"authorization", "api-key", "cookie", "set-cookie", "proxy-authorization"})
MIN_SECRET_LENGTH = 6
"""A shorter key is no secret, and taking it out would tear words apart."""


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """Where requests go and as whom. `headers` are the user's own; `timeout` is seconds of silence."""

    base_url: str
    api_key: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    timeout: float
    debug: bool


@dataclass(frozen=True, slots=True)
class Response:
    """A successful answer, its body not read yet."""

    headers: Mapping[str, str]
    _body: IO[bytes]
    _client: "Client"

    def read(self) -> bytes:
        """The whole body. Raises CliError when the connection breaks."""
        try:
            body = self._body.read()
        except (OSError, http.client.HTTPException) as error:
            raise self._client.connection_error(error) from None
        self._client.show("<", body)
        return body

    def lines(self) -> Iterator[bytes]:
        """The body line by line, as it comes. Raises CliError when the connection breaks."""
        try:
            for line in self._body:
                self._client.show("<", line.rstrip(b"\n"))
                yield line
        except (OSError, http.client.HTTPException) as error:
            raise self._client.connection_error(error) from None

    def pieces(self, size: int = 1 << 20) -> Iterator[bytes]:
        """The body in pieces, for large files. Raises CliError when the connection breaks or the body ends early."""
        came = 0
        try:
            while piece := self._body.read(size):
                came += len(piece)
                yield piece
        except (OSError, http.client.HTTPException) as error:
            raise self._client.connection_error(error) from None
        # http.client notices a body that ends early only when it is read whole.
        promised = self.headers.get("content-length", "")
        if promised.isdecimal() and came < int(promised):
            raise self._client.connection_error(ConnectionError(f"{came} of {promised} bytes came"))


class _EarlyReplyConnection(http.client.HTTPConnection):
    """Reads the answer of a server that refuses an upload before all of it is sent."""

    def request(self, *args: Any, **kwargs: Any) -> None:
        try:
            super().request(*args, **kwargs)
        except (BrokenPipeError, ConnectionResetError):
            if self.sock is None:  # pyright: ignore[reportUnnecessaryComparison] - None until connected
                raise


class _EarlyReplyTlsConnection(_EarlyReplyConnection, http.client.HTTPSConnection):
    """The same behind TLS."""


class _Http(urllib.request.HTTPHandler):
    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_EarlyReplyConnection, req)


class _Https(urllib.request.HTTPSHandler):
    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_EarlyReplyTlsConnection, req)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would send the key to another host and forget the body; the user shall decide."""

    def redirect_request(self, *_args: Any, **_kwargs: Any) -> None:
        return None


class Client:
    """Talks to one server."""

    def __init__(self, target: ServerConfig) -> None:
        self._target: ServerConfig = target
        self._base: str = target.base_url.rstrip("/")
        parts = urlsplit(self._base)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise usage_error(f"--base-url is {self.redact(self._base)!r}; it must be like http://127.0.0.1:8000/v1.")
        handlers: list[urllib.request.BaseHandler] = [_NoRedirect(), _Http(), _Https()]
        if _is_loopback(parts.hostname):
            handlers.append(urllib.request.ProxyHandler({}))
        self._opener: urllib.request.OpenerDirector = urllib.request.build_opener(*handlers)

    def send(self, request: Request, *, beta: bool, stream: bool = False) -> Response:
        """The answer to `request`. Raises CliError for what the server refuses and for what stops the way there."""
        headers = self._headers(beta=beta, stream=stream)
        body: bytes | Iterator[bytes] | None = None
        if request.uploads:
            form = build_form(request)
            headers |= {"Content-Type": form.content_type, "Content-Length": str(form.size)}
            body = form.pieces()
        elif request.body is not None:
            headers["Content-Type"] = "application/json"
            body = json.dumps(request.body, ensure_ascii=False).encode(errors="replace")
        self._show_request(request, headers, body)
        return self._open(request, headers, body)

    def _open(self, request: Request, headers: dict[str, str], body: bytes | Iterator[bytes] | None) -> Response:
        url = self._base + request.target
        try:
            sent = urllib.request.Request(url, body, headers, method=request.method)  # noqa: S310 - http(s), see __init__
            response = self._opener.open(sent, timeout=self._target.timeout)
        except urllib.error.HTTPError as error:
            raise self._refused(request, error) from None
        except (OSError, http.client.HTTPException) as error:
            raise self.connection_error(error) from None
        except ValueError:  # its text may hold the key
            raise usage_error("The URL, the key or a header has a character HTTP does not allow.") from None
        found = {name.lower(): value for name, value in response.headers.items()}
        self._show_response(response.status, response.reason, found)
        return Response(found, response, self)

    def _headers(self, *, beta: bool, stream: bool) -> dict[str, str]:
        headers = {"User-Agent": "threadmill-cli", "Accept": "text/event-stream" if stream else "application/json"}
        if self._target.api_key:
            headers["Authorization"] = f"Bearer {self._target.api_key}"
        if beta:
            headers["OpenAI-Beta"] = "assistants=v2"
        return headers | dict(self._target.headers)

    def _refused(self, request: Request, error: urllib.error.HTTPError) -> CliError:
        headers = {name.lower(): value for name, value in error.headers.items()}
        try:
            body = error.read()
        except (OSError, http.client.HTTPException):
            body = b""
        self._show_response(error.code, error.reason, headers)
        self.show("<", body)
        where = f"{request.method} {self.redact(self._base + request.target)}"
        if 300 <= error.code < 400:
            text = f"{error.code}: the server sends us on to {self.redact(headers.get('location', 'nowhere'))}."
            return CliError(
                text, ExitCode.REFUSED, "Name that server with --base-url if you trust it.", {"request": where}
            )
        return api_error(error.code, self.redact(body.decode(errors="replace")).encode(), headers, where)

    def connection_error(self, error: Exception) -> CliError:
        """No answer, or not all of it."""
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        where = {"server": self.redact(self._base)}
        if isinstance(reason, TimeoutError):
            text = f"The server said nothing for {self._target.timeout:g} s."
            return CliError(text, ExitCode.CONNECTION, "Try again, or give it longer with --timeout.", where)
        if isinstance(reason, ConnectionRefusedError):
            text = f"Nothing listens on {where['server']}."
            advice = "Start a server with `threadmill serve`, or name another with --base-url."
            return CliError(text, ExitCode.CONNECTION, advice)
        what = getattr(reason, "strerror", None) or getattr(reason, "verify_message", None) or str(reason)
        text = f"The connection failed: {self.redact(what or type(reason).__name__)}."
        return CliError(text, ExitCode.CONNECTION, "Check --base-url and the network, then try again.", where)

    def redact(self, text: str) -> str:
        """The text without the key, the user's header values, and a password in the base URL."""
        secrets = [self._target.api_key, *self._target.headers.values(), urlsplit(self._base).password or ""]
        for secret in secrets:
            if len(secret) >= MIN_SECRET_LENGTH:
                text = text.replace(secret, "***")
        return text

    def _show_request(self, request: Request, headers: Mapping[str, str], body: object) -> None:
        if self._target.debug:
            self._print(f"> {request.method} {self._base}{request.target}")
            own = {name.lower() for name in self._target.headers}
            self._show_headers(">", headers, own)
            self.show(">", body if isinstance(body, bytes) else b"(a form with a file)" if body else b"")

    def _show_response(self, status: int, reason: str, headers: Mapping[str, str]) -> None:
        if self._target.debug:
            self._print(f"< {status} {reason}")
            self._show_headers("<", headers, set())

    def _show_headers(self, mark: str, headers: Mapping[str, str], own: set[str]) -> None:
        for name, value in headers.items():
            hidden = name.lower() in SECRET_HEADERS or name.lower() in own
            self._print(f"{mark} {name}: {'***' if hidden else value}")

    def show(self, mark: str, body: bytes) -> None:
        """With --debug, the body on standard error."""
        if self._target.debug and body:
            self._print(f"{mark} {body.decode(errors='replace')}")

    def _print(self, text: str) -> None:
        print(self.redact(text), file=sys.stderr, flush=True)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
