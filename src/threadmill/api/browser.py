"""A browser is hostile until shown otherwise (ADR-0021): which hosts and origins may ask, and CORS for those that may.

With keys the key is the guard, so any origin may ask. Without keys the only guard is the machine's own address, which
any page's script can reach: a foreign origin or host is refused before anything else is looked at.
"""

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.types import Scope

from threadmill.domain.error import Forbidden

PROBES = frozenset({"/healthz", "/readyz"})
"""Asked by machines under any name; they do nothing and show nothing of the data."""

EXPOSED = b"x-request-id, openai-poll-after-ms, openai-processing-ms, retry-after, retry-after-ms, openai-version"
METHODS = b"GET, POST, DELETE, PUT, PATCH, HEAD, OPTIONS"
MAX_AGE = b"7200"
"""Seconds a browser may remember a preflight; none remembers it longer."""

_FOREIGN_SITES = frozenset({b"cross-site", b"same-site"})
_PORT_OF = {"http": 80, "https": 443}
_SHOWN = 100
"""Characters of a caller's header that an error repeats."""

Headers = dict[bytes, bytes]


@dataclass(frozen=True, slots=True)
class BrowserPolicy:
    """What pages of other origins may do. `allowed_hosts` empty: loopback without keys, any with keys."""

    has_keys: bool
    cors_origins: frozenset[str] = frozenset()
    allowed_hosts: frozenset[str] = frozenset()

    def check(self, scope: Scope, headers: Headers) -> None:
        """Raises Forbidden for a host this server does not answer to, and without keys for a foreign origin."""
        path: str = scope["path"]
        if path in PROBES:
            return
        if not self.has_keys or self.allowed_hosts:
            self._check_host(scope)
        if not self.has_keys and self._is_foreign(scope, headers):
            raise Forbidden(
                "This server has no API keys, so pages of other origins may not use it. Set THREADMILL_API_KEYS to let "
                "every page with a key ask, or name this page's origin in THREADMILL_CORS_ORIGINS.",
                code="origin_not_allowed",
            )

    def _check_host(self, scope: Scope) -> None:
        hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
        if not hosts and scope.get("http_version") == "1.0":  # no browser's; HTTP/1.1 must name one
            return
        name = _host_name(hosts[0]) if len(hosts) == 1 else ""
        if name and (is_loopback(name) or self._is_allowed(name)):
            return
        shown = ", ".join(hosts)[:_SHOWN]
        keys = "" if self.has_keys else "Set THREADMILL_API_KEYS to serve it to others, or "
        text = f"This server does not answer to the host '{shown}'. {keys}name it in THREADMILL_ALLOWED_HOSTS."
        raise Forbidden(text.replace(". name", ". Name"), code="host_not_allowed")

    def _is_allowed(self, name: str) -> bool:
        return any(
            allowed in ("*", name) or (allowed.startswith("*.") and name.endswith(allowed[1:]))
            for allowed in self.allowed_hosts
        )

    def _is_foreign(self, scope: Scope, headers: Headers) -> bool:
        origin = headers.get(b"origin")
        if origin is not None:
            text = origin.decode("latin-1").lower()
            return not (is_own_origin(text, headers) or self.allows(text))
        if headers.get(b"sec-fetch-site") not in _FOREIGN_SITES:
            return False
        # A link that the user followed to a page of ours; what comes back is the user's to see, not the other page's.
        followed = headers.get(b"sec-fetch-mode") == b"navigate" and headers.get(b"sec-fetch-dest") == b"document"
        return not followed or scope["method"] not in ("GET", "HEAD") or scope["path"].startswith(("/v1", "/openai"))

    def allows(self, origin: str) -> bool:
        """Whether pages of this origin may read answers."""
        return "*" in self.cors_origins or origin in self.cors_origins

    def cors_headers(self, headers: Headers) -> list[tuple[bytes, bytes]]:
        """For an answer to a request with an Origin; nothing for one that may not read it."""
        origin = headers.get(b"origin")
        if origin is None or not self.allows(origin.decode("latin-1").lower()):
            return []
        return [*self._allow_origin(origin), (b"access-control-expose-headers", EXPOSED)]

    def _allow_origin(self, origin: bytes) -> list[tuple[bytes, bytes]]:
        if "*" in self.cors_origins:
            return [(b"access-control-allow-origin", b"*")]
        return [(b"access-control-allow-origin", origin), (b"vary", b"Origin")]

    def preflight(self, headers: Headers) -> list[tuple[bytes, bytes]]:
        """The headers that answer a preflight. Raises Forbidden for an origin that may not ask."""
        origin = headers[b"origin"]
        if not self.allows(origin.decode("latin-1").lower()):
            text = "Pages of this origin may not use this server; see THREADMILL_CORS_ORIGINS."
            raise Forbidden(text, code="origin_not_allowed")
        answer = [
            *self._allow_origin(origin),
            (b"access-control-allow-methods", METHODS),
            (b"access-control-max-age", MAX_AGE),
        ]
        if asked := headers.get(b"access-control-request-headers"):
            answer.append((b"access-control-allow-headers", asked))
        if headers.get(b"access-control-request-private-network") == b"true":
            answer.append((b"access-control-allow-private-network", b"true"))
        return answer


def is_preflight(scope: Scope, headers: Headers) -> bool:
    """Whether a browser asks what another request may do."""
    return scope["method"] == "OPTIONS" and b"origin" in headers and b"access-control-request-method" in headers


def is_own_origin(origin: str, headers: Headers) -> bool:
    """Whether the page came from the very address it asks; TLS may end before us, so the scheme does not count."""
    try:
        page = urlsplit(origin)
        asked = urlsplit(f"{page.scheme}://{headers.get(b'host', b'').decode('latin-1').lower()}")
        default = _PORT_OF.get(page.scheme)
        return bool(page.hostname) and (page.hostname, page.port or default) == (asked.hostname, asked.port or default)
    except ValueError:
        return False


def is_cross_origin(headers: Headers) -> bool:
    """Whether a page of another origin asks."""
    origin = headers.get(b"origin")
    if origin is None:
        return headers.get(b"sec-fetch-site") in _FOREIGN_SITES
    return not is_own_origin(origin.decode("latin-1").lower(), headers)


_FORWARDED = (b"forwarded", b"x-forwarded-for", b"x-real-ip", b"via")


def is_local(scope: Scope, headers: Headers) -> bool:
    """Whether somebody on this machine asks: not a proxy for somebody else, nor a page for its author."""
    client = scope.get("client")
    if client is None or not is_loopback(client[0]) or any(name in headers for name in _FORWARDED):
        return False
    return is_loopback(_host_name(headers.get(b"host", b"").decode("latin-1"))) and not is_cross_origin(headers)


def is_loopback(host: str) -> bool:
    """Whether a name or address is this machine's own."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+?)\.?)(?::[0-9]{1,5})?", re.IGNORECASE)


def _host_name(host: str) -> str:
    """A Host header's name or address in lower case, without port and final dot; empty for what is none."""
    found = _HOST.fullmatch(host)
    return "" if found is None else (found[1] or found[2]).lower()
