"""Where a limit of a body lies."""

from typing import Any, NamedTuple

from threadmill.wire.request.body import Body


class Edge(NamedTuple):
    """A limit: the last value taken, the first refused, and what the refusal names."""

    kind: type[Body]
    field: str
    taken: Any
    refused: Any
    param: str
    code: str
