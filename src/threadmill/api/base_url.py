"""Near misses of an address: a base URL without /v1, with it twice, or with something before it."""

import re
from collections.abc import Iterator, Sequence

from starlette.routing import BaseRoute, Match
from starlette.types import Scope


def meant_path(routes: Sequence[BaseRoute], method: str, path: str) -> str | None:
    """The path of ours that was meant by one we do not have, if there is one."""
    for meant in _candidates(path):
        scope: Scope = {"type": "http", "method": method, "path": meant, "root_path": "", "headers": []}
        if any(route.matches(scope)[0] is not Match.NONE for route in routes):
            return meant
    return None


def _candidates(path: str) -> Iterator[str]:
    tidy = re.sub(r"/{2,}", "/", path).rstrip("/")
    without = re.sub(r"^(/v1)+(?=/|$)", "", tidy)
    yield f"/v1{without}"
    before, version, rest = tidy.rpartition("/v1/")
    if before and version:
        yield f"/v1/{rest}"
