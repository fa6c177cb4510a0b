"""A form with files, as `files create` sends it; files are read while they are sent."""

import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from threadmill.cli.resources.command_spec import Json
from threadmill.cli.resources.request import Request

READ_SIZE = 1 << 20


@dataclass(frozen=True, slots=True)
class MultipartForm:
    """A multipart/form-data body: texts and files in order. `size` is its length in bytes."""

    content_type: str
    size: int
    _parts: tuple[bytes | Path, ...]

    def pieces(self) -> Iterator[bytes]:
        """The body, piece by piece."""
        for part in self._parts:
            if isinstance(part, bytes):
                yield part
                continue
            with part.open("rb") as file:
                while piece := file.read(READ_SIZE):
                    yield piece


def build_form(request: Request) -> MultipartForm:
    """The form of a request with uploads; objects become `name[field]`, as the official clients send them."""
    boundary = secrets.token_hex(16)
    parts: list[bytes | Path] = []
    for name, value in _fields(request.body or {}):
        parts.append(_head(boundary, f'name="{name}"') + b"\r\n" + value.encode() + b"\r\n")
    for name, upload in request.uploads.items():
        file = upload.path.name.replace("\\", "\\\\").replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
        head = _head(boundary, f'name="{name}"; filename="{file}"')
        parts += [head + b"Content-Type: application/octet-stream\r\n\r\n", upload.path, b"\r\n"]
    parts.append(f"--{boundary}--\r\n".encode())
    size = sum(len(part) if isinstance(part, bytes) else part.stat().st_size for part in parts)
    return MultipartForm(f"multipart/form-data; boundary={boundary}", size, tuple(parts))


def _head(boundary: str, disposition: str) -> bytes:
    return f"--{boundary}\r\nContent-Disposition: form-data; {disposition}\r\n".encode()


def _fields(values: dict[str, Json], around: str = "") -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        name = f"{around}[{key}]" if around else key
        if isinstance(value, dict):
            yield from _fields(value, name)
        else:
            yield name, value if isinstance(value, str) else json.dumps(value)
