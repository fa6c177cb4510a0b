"""The body of a request as it goes out: what is small in one piece, what is large piece by piece, pictures as they are read."""

import binascii
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from threadmill.domain.error import Unavailable
from threadmill.engine.ports.model import StoredPicture

PIECE = 64 * 1024
"""Bytes that are sent at once, where the body has so many."""


@dataclass(slots=True)
class EncodedRequest:
    """A JSON object in parts, of which a picture is written in Base64; `members` is a JSON object of those that could be
    left out. `failure` says why the body came to no end.
    """

    parts: Sequence[bytes | StoredPicture]
    members: bytes
    failure: Unavailable | None = field(default=None, init=False)

    @property
    def size(self) -> int:
        """Bytes of the body."""
        return sum(map(_size, self.parts))

    def whole(self) -> bytes | None:
        """The body, if it is short and has no picture."""
        texts = [part for part in self.parts if isinstance(part, bytes)]
        return b"".join(texts) if len(texts) == len(self.parts) and self.size <= PIECE else None

    async def pieces(self) -> AsyncGenerator[bytes]:
        """The body. Raises Unavailable."""
        held = bytearray()
        try:
            for part in self.parts:
                if isinstance(part, StoredPicture) or len(held) + len(part) > PIECE:
                    yield bytes(held)
                    held.clear()
                if isinstance(part, StoredPicture):
                    async with aclosing(_base64(part)) as pieces:
                        async for piece in pieces:
                            yield piece
                elif len(part) > PIECE:
                    for at in range(0, len(part), PIECE):
                        yield part[at : at + PIECE]
                else:
                    held += part
            yield bytes(held)
        except Unavailable as error:
            self.failure = error
            raise


def _size(part: bytes | StoredPicture) -> int:
    return len(part) if isinstance(part, bytes) else (part.size + 2) // 3 * 4


async def _base64(picture: StoredPicture) -> AsyncGenerator[bytes]:
    read, rest = 0, b""
    async with aclosing(picture.read()) as pieces:
        async for piece in pieces:
            read += len(piece)
            data = rest + piece
            cut = len(data) // 3 * 3
            rest = data[cut:]
            yield binascii.b2a_base64(memoryview(data)[:cut], newline=False)
    if read != picture.size:
        raise Unavailable("The content of a picture is not what was stored.")
    if rest:
        yield binascii.b2a_base64(rest, newline=False)
