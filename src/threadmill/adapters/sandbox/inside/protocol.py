"""The wire between server and session: length-prefixed frames over a socket. Both ends share this file."""

import json
import socket
import struct
from collections.abc import Iterator, Mapping
from enum import IntEnum
from typing import TypeAlias

HEADER = struct.Struct(">BI")
MAX_PAYLOAD = 1 << 20
"""Bytes; larger content goes as several DATA frames."""

Value: TypeAlias = str | int | float | bool | None
Fields: TypeAlias = Mapping[str, Value]


class Kind(IntEnum):
    """What a frame carries. Requests go in; the rest comes out. DATA goes both ways and ends with END."""

    EXECUTE = 1
    INTERRUPT = 2
    PUT = 3
    GET = 4
    DATA = 5
    END = 6
    READY = 7
    LOG = 8
    OUTPUT_TRUNCATED = 9
    IMAGE = 10
    FILE_WRITTEN = 11
    ENDED = 12
    DONE = 13
    REFUSED = 14
    IMAGE_ACK = 15
    MEMORY_USED = 16


class BrokenFrame(Exception):
    """The other end sent what no frame looks like."""


def pack(kind: Kind, payload: bytes = b"") -> bytes:
    """One frame."""
    return HEADER.pack(kind, len(payload)) + payload


def pack_fields(kind: Kind, **fields: Value) -> bytes:
    """One frame of named values."""
    return pack(kind, json.dumps(fields).encode())


def pieces(content: bytes) -> list[bytes]:
    """DATA frames for the content, then END."""
    cuts = range(0, len(content), MAX_PAYLOAD)
    return [*(pack(Kind.DATA, content[at : at + MAX_PAYLOAD]) for at in cuts), pack(Kind.END)]


def parse_header(raw: bytes) -> tuple[Kind, int]:
    """Kind and length of what follows. Raises BrokenFrame."""
    number, length = HEADER.unpack(raw)
    if length > MAX_PAYLOAD or number not in Kind.__members__.values():
        raise BrokenFrame(f"kind {number}, {length} bytes")
    return Kind(number), length


def parse_fields(payload: bytes) -> dict[str, Value]:
    """Named values of a frame; only flat ones. Raises BrokenFrame."""
    try:
        found: object = json.loads(payload)
    except (ValueError, RecursionError):
        raise BrokenFrame("not JSON") from None
    if not isinstance(found, dict):
        raise BrokenFrame("not an object")
    values: dict[str, Value] = {}
    for name, value in found.items():  # pyright: ignore[reportUnknownVariableType]
        if not isinstance(name, str) or not isinstance(value, str | int | float | bool | None):
            raise BrokenFrame("not flat")
        values[name] = value
    return values


def read(connection: socket.socket) -> tuple[Kind, bytes] | None:
    """The next frame, waiting for it; None at the end."""
    raw = _exactly(connection, HEADER.size)
    if raw is None:
        return None
    kind, length = parse_header(raw)
    payload = _exactly(connection, length)
    return None if payload is None else (kind, payload)


def content(connection: socket.socket) -> bytes | None:
    """What DATA frames up to END carry; None if the connection ends first."""
    parts: list[bytes] = []
    while (frame := read(connection)) is not None:
        if frame[0] == Kind.END:
            return b"".join(parts)
        parts.append(frame[1])
    return None


class FrameReader:
    """Frames out of a connection that may send half of one and no more: reading never waits."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._buffer = bytearray()

    def receive(self) -> list[tuple[Kind, bytes]] | None:
        """The frames that are whole now; None at the end. Raises BrokenFrame, OSError."""
        try:
            part = self._connection.recv(1 << 18, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return []
        if not part:
            return None
        self._buffer += part
        return list(self._whole_frames())

    def _whole_frames(self) -> Iterator[tuple[Kind, bytes]]:
        while len(self._buffer) >= HEADER.size:
            kind, length = parse_header(bytes(self._buffer[: HEADER.size]))
            end = HEADER.size + length
            if len(self._buffer) < end:
                return
            payload = bytes(self._buffer[HEADER.size : end])
            del self._buffer[:end]
            yield kind, payload


def _exactly(connection: socket.socket, size: int) -> bytes | None:
    parts: list[bytes] = []
    while size:
        part = connection.recv(min(size, 1 << 18))
        if not part:
            return None
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
