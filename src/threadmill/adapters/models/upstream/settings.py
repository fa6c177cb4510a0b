"""What is to be known about one upstream before it is called."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

HIDDEN = "***"


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds: to connect, for the first event of an answer, between two events, and for small questions (`ready`).
    `attempts` counts the first one.
    """

    connect: float = 10
    first_token: float = 120
    between_tokens: float = 60
    ready: float = 5
    attempts: int = 3


@dataclass(frozen=True, slots=True)
class UpstreamSettings:
    """One Chat Completions server. `base_url` ends where `/chat/completions` begins; its query is kept (Azure).

    `headers` are sent with every request. `ca_file` is trusted besides the system's authorities, which SSL_CERT_FILE
    replaces. `reasoning` is what becomes of thoughts in front of an answer that are no part of it.
    """

    base_url: str
    name: str = "default"
    api_key: str | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    ca_file: Path | None = None
    timeouts: Timeouts = field(default_factory=Timeouts)
    max_tokens_field: Literal["max_completion_tokens", "max_tokens"] = "max_completion_tokens"
    reasoning: Literal["hide", "keep"] = "hide"

    def redact(self, text: str) -> str:
        """`text` without this upstream's secrets, should the upstream have repeated them."""
        for secret in (self.api_key, *self.headers.values()):
            if secret and len(secret) >= 4:
                text = text.replace(secret, HIDDEN)
        return text
