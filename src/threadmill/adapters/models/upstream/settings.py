"""What is to be known about one upstream before it is called."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

HIDDEN = "***"


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds: to connect, for the first event of an answer, between two events (None: as long as the caller waits),
    for a whole answer that is not streamed (`whole`), for small questions (`ready`), and of silence on a connection
    behind which its peer is probed (`keepalive`). `attempts` counts the first one.
    """

    connect: float = 10
    first_token: float | None = None
    between_tokens: float | None = None
    whole: float = 120
    ready: float = 5
    keepalive: float = 60
    attempts: int = 3


@dataclass(frozen=True, slots=True)
class UpstreamSettings:
    """One Chat Completions server. `base_url` ends where `/chat/completions` begins; its query is kept (Azure).

    `headers` are sent with every request; the key goes under `api_key_header` as it is, else as a bearer token. `omit`
    names members of the body that are never sent, `extra_body` is a JSON object of those that always are. `ca_file` is trusted besides the system's authorities, which SSL_CERT_FILE
    replaces. `reasoning` is what becomes of thoughts in front of an answer that are no part of it.
    """

    base_url: str
    name: str = "default"
    api_key: str | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    api_key_header: str | None = None
    ca_file: Path | None = None
    timeouts: Timeouts = field(default_factory=Timeouts)
    max_tokens_field: Literal["max_completion_tokens", "max_tokens"] = "max_completion_tokens"
    system_role: Literal["system", "developer"] = "system"
    omit: frozenset[str] = frozenset()
    extra_body: bytes = b"{}"
    max_concurrent: int | None = None
    reasoning: Literal["hide", "keep"] = "hide"

    def redact(self, text: str) -> str:
        """`text` without this upstream's secrets, should the upstream have repeated them."""
        for secret in (self.api_key, *self.headers.values()):
            if secret and len(secret) >= 4:
                text = text.replace(secret, HIDDEN)
        return text
