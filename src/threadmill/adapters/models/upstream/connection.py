"""HTTP to one upstream: where it is, how it is reached, and what it means when it is not."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Mapping
from typing import TypeAlias
from urllib.request import getproxies, proxy_bypass

import aiohttp
from yarl import URL

from threadmill.adapters.models.upstream.encoded_request import EncodedRequest
from threadmill.adapters.models.upstream.settings import UpstreamSettings
from threadmill.adapters.models.upstream.upstream_error import TransientError
from threadmill.domain.outcome import ErrorCode
from threadmill.engine.ports.model import ModelError
from threadmill.engine.ports.pass_through import PassedCall

MAX_ERROR_BYTES = 64 * 1024
"""Bytes of an error body that are read."""

PROBES = 4
"""Unanswered probes behind which a connection is lost."""


_Address: TypeAlias = tuple[int, int, int, str, tuple[object, ...]]
"""As getaddrinfo gives it: family, kind, protocol first."""


class Connection:
    """A pool of connections to one upstream, opened with the first request.

    Proxies come from HTTP_PROXY, HTTPS_PROXY and NO_PROXY. aiohttp's own `trust_env` is not used for that: it would
    also read ~/.netrc, in a thread, on every request, and let it replace this server's key.
    """

    def __init__(self, settings: UpstreamSettings) -> None:
        self._settings: UpstreamSettings = settings
        self._base: URL = URL(settings.base_url)
        self._session: aiohttp.ClientSession | None = None
        self._proxy: str | None = None

    async def post(self, path: str, body: bytes, seconds: float | None) -> aiohttp.ClientResponse:
        """The response, its headers read within `seconds`. Raises ModelError, TransientError where another try may help."""
        return await self._request("POST", path, seconds, body)

    async def post_request(self, path: str, body: EncodedRequest, seconds: float | None) -> aiohttp.ClientResponse:
        """Like `post`; what is not short goes out while it is encoded. Raises Unavailable where a picture cannot be read."""
        if (whole := body.whole()) is not None:
            return await self._request("POST", path, seconds, whole)
        try:
            # Its length is told: not every server takes a body in chunks.
            length = {"Content-Length": str(body.size)}
            return await self._request("POST", path, seconds, body.pieces(), length)
        except ModelError:
            if body.failure is not None:
                raise body.failure from None
            raise

    async def get(self, path: str, seconds: float) -> aiohttp.ClientResponse:
        """Like `post`."""
        return await self._request("GET", path, seconds)

    async def forward(self, call: PassedCall, body: bytes | AsyncIterator[bytes] | None) -> aiohttp.ClientResponse:
        """The answer to somebody else's call, as long as it may take. Raises as `post`."""
        url = self._url(call.path)
        if call.query:
            url = url.extend_query(call.query)
        try:
            return await self._open().request(
                call.method, url, data=body, headers=dict(call.headers), proxy=self._proxy, allow_redirects=False
            )
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise self._unreachable(error, None) from None

    async def aclose(self) -> None:
        """Close every connection. The next request opens anew."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _request(
        self,
        method: str,
        path: str,
        seconds: float | None,
        body: bytes | AsyncIterator[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> aiohttp.ClientResponse:
        session = self._open()
        try:
            async with asyncio.timeout(seconds):
                return await session.request(
                    method, self._url(path), data=body, headers=headers, proxy=self._proxy, allow_redirects=False
                )
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise self._unreachable(error, seconds) from None

    def _url(self, path: str) -> URL:
        url = self._base.joinpath(*path.split("/"))
        return url.with_query(self._base.query) if self._base.query else url

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            # No limit: the engine bounds the runs. A queue here would look like a slow upstream.
            connector = aiohttp.TCPConnector(limit=0, ssl=self._trust(), socket_factory=self._socket)
            timeout = aiohttp.ClientTimeout(total=None, connect=self._settings.timeouts.connect)
            # No cookies: an upstream's session must not tie one user's runs to another's.
            self._session = aiohttp.ClientSession(
                connector=connector, timeout=timeout, headers=self._headers(), cookie_jar=aiohttp.DummyCookieJar()
            )
            self._proxy = _proxy_for(self._base)
        return self._session

    def _headers(self) -> dict[str, str]:
        # Compression would only make an upstream or its proxy hold tokens back.
        headers = {"Accept-Encoding": "identity", "Content-Type": "application/json"}
        if (key := self._settings.api_key) is not None:
            name = self._settings.api_key_header
            headers |= {name: key} if name else {"Authorization": f"Bearer {key}"}
        return headers | dict(self._settings.headers)

    def _socket(self, address: _Address) -> socket.socket:
        """A model may think for minutes in silence; a peer that is gone is found by the system's own probes."""
        family, kind, protocol, _, _ = address
        made = socket.socket(family, kind, protocol)
        made.setblocking(False)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        seconds = max(1, round(self._settings.timeouts.keepalive))
        for name, value in (
            ("TCP_KEEPIDLE", seconds),
            ("TCP_KEEPALIVE", seconds),  # macOS's name for it
            ("TCP_KEEPINTVL", max(1, seconds // PROBES)),
            ("TCP_KEEPCNT", PROBES),
        ):
            if hasattr(socket, name):
                made.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
        return made

    def _trust(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        if (path := self._settings.ca_file) is not None:
            try:
                context.load_verify_locations(path)
            except OSError:
                text = f"The CA file of the upstream '{self._settings.name}' cannot be read."
                raise ModelError(ErrorCode.SERVER_ERROR, text) from None
        return context

    def _unreachable(self, error: Exception, seconds: float | None) -> ModelError:
        name, code = self._settings.name, ErrorCode.SERVER_ERROR
        match error:
            case aiohttp.ServerTimeoutError():
                connect = self._settings.timeouts.connect
                return TransientError(code, f"The upstream '{name}' could not be reached within {connect:g} seconds.")
            case TimeoutError():
                # Not tried again: the caller has waited long enough.
                waited = "in time" if seconds is None else f"for {seconds:g} seconds"
                return ModelError(code, f"The upstream '{name}' sent nothing {waited}.")
            case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientSSLError():
                return ModelError(code, f"The upstream '{name}' has no certificate this server trusts; see ca_file.")
            case aiohttp.ClientConnectorError():
                return TransientError(code, f"The upstream '{name}' cannot be reached.")
            case aiohttp.ServerDisconnectedError() | aiohttp.ClientOSError() | OSError():
                return TransientError(code, f"The upstream '{name}' closed the connection.")
            case aiohttp.ClientPayloadError() | aiohttp.ClientResponseError():
                return TransientError(code, f"The upstream '{name}' did not answer in HTTP.")
            case _:
                return ModelError(code, f"The upstream '{name}' cannot be called; check its base URL.")


async def read_bounded(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """The body, at most `limit` bytes of it."""
    body = bytearray()
    while len(body) < limit and (data := await response.content.read(limit - len(body))):
        body += data
    return bytes(body)


def _proxy_for(url: URL) -> str | None:
    if url.host is None or proxy_bypass(url.host):
        return None
    return getproxies().get(url.scheme)
