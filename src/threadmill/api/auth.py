"""Bearer key -> project. Keys are kept as salted hashes and compared in constant time (ADR-0009)."""

import hashlib
import hmac
import os
from collections.abc import Mapping

from threadmill.domain.error import Unauthenticated
from threadmill.domain.ids import ProjectId

MIN_MASKABLE_LENGTH = 20
"""Characters of a key that may be shown in part."""

DEFAULT_PROJECT = ProjectId("default")

NO_KEY = (
    "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth "
    "(i.e. Authorization: Bearer YOUR_KEY), or as the password field (with blank username) if you're accessing the "
    "API from your browser and are prompted for a username and password. You can obtain an API key from "
    "the operator of this server."
)


class ApiKeys:
    """The keys this server knows. With none, every caller is the default project (loopback only, see bootstrap)."""

    def __init__(self, keys: Mapping[str, str]) -> None:
        self._salt: bytes = os.urandom(16)
        self._projects: list[tuple[bytes, ProjectId]] = [
            (self._hash(key), ProjectId(project)) for key, project in keys.items()
        ]

    def _hash(self, key: str) -> bytes:
        return hashlib.blake2b(key.encode(errors="surrogateescape"), key=self._salt, digest_size=32).digest()

    def authenticate(self, authorization: str, api_key: str) -> ProjectId:
        """The project behind `Authorization: Bearer …` or Azure's `api-key`. Raises Unauthenticated (behaviour.md 8.3)."""
        if not self._projects:
            return DEFAULT_PROJECT
        scheme, _, token = authorization.partition(" ")
        key = token.strip() if scheme.lower() == "bearer" else api_key
        if not key:
            raise Unauthenticated(NO_KEY)
        digest = self._hash(key)
        found: ProjectId | None = None
        for known, project in self._projects:
            if hmac.compare_digest(known, digest):
                found = project
        if found is None:
            text = (
                f"Incorrect API key provided: {_mask(key)}. You can find your API key with the operator of this server."
            )
            raise Unauthenticated(text, code="invalid_api_key")
        return found


def _mask(key: str) -> str:
    """Enough to recognise one's own key by, as the service showed it: first eight, last four; never most of it."""
    if len(key) < MIN_MASKABLE_LENGTH:
        return "*" * len(key)
    return f"{key[:8]}{'*' * (len(key) - 12)}{key[-4:]}"
