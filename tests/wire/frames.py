"""Reading SSE bytes as a client does, with nothing but the format's own rules."""

from collections.abc import Iterator
from typing import NamedTuple


class Frame(NamedTuple):
    """One event of a stream. `id` is empty where there was none."""

    event: str
    data: str
    id: str = ""


def read(stream: bytes) -> Iterator[Frame]:
    """The frames in order."""
    blocks = stream.decode().split("\n\n")
    assert blocks.pop() == "", "the last frame is not closed"
    for block in blocks:
        fields = dict(line.split(": ", 1) for line in block.split("\n"))
        yield Frame(fields["event"], fields["data"], fields.get("id", ""))
