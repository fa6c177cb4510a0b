"""What happens in the process that counts: texts come on descriptor 0, numbers go out there, until its other end is closed.

Started by `vocabularies.py`. It imports next to nothing, so it takes little more than the vocabularies it was asked for.
"""

import signal
import socket
import struct
from typing import cast

from threadmill.adapters.tokens.vocabulary import VOCABULARIES, token_lengths, tokenizer

REQUEST = struct.Struct("!BBII")
"""Which vocabulary, what is asked, how many texts, bytes of what follows: their lengths, four bytes each, and the texts."""

COUNTS, LENGTHS = 0, 1
"""How many tokens each text has, four bytes each; or how many bytes each token of the one text has, one byte each."""

SIZE = struct.Struct("!I")
"""Bytes of an answer, ahead of it."""

MAX_DESCRIPTORS = 1 << 20


def main() -> None:
    """Serve until the other end of the socket is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the server is stopped so, and may still count
    asked = socket.socket(fileno=0).makefile("rwb")
    while len(head := asked.read(REQUEST.size)) == REQUEST.size:
        vocabulary, kind, number, size = cast("tuple[int, int, int, int]", REQUEST.unpack(head))
        answer = _answer(VOCABULARIES[vocabulary], kind, _texts(asked.read(size), number))
        asked.write(SIZE.pack(len(answer)) + answer)
        asked.flush()


def _texts(data: bytes, number: int) -> list[str]:
    at, texts = 4 * number, list[str]()
    for length in struct.unpack_from(f"!{number}I", data):
        texts.append(data[at : at + length].decode())
        at += length
    return texts


def _answer(name: str, kind: int, texts: list[str]) -> bytes:
    if kind == COUNTS:
        return struct.pack(f"!{len(texts)}I", *map(tokenizer(name).count, texts))
    return bytes(map(token_lengths(name).__getitem__, tokenizer(name).encode(texts[0])))
