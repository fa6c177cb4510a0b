"""The one gate through which everything a session says reaches the server: cleaned, and bounded in bytes.

The code inside is hostile and may speak in our own program's voice, so names, texts, sizes and amounts are all untrusted.
"""

import re
import unicodedata
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from threadmill.adapters.sandbox.backend import checked_path
from threadmill.engine.ports.sandbox import Ended, FileRefused, FileWritten, Image, Logs, Output

MAX_NAME_BYTES = 255
MAX_MESSAGE_CHARACTERS = 1_000
_MAX_SIZE = 1 << 50
_SURROGATES = re.compile("[\ud800-\udfff]")


@dataclass(slots=True)
class OutputBudget:
    """Bytes of files and pictures that may still come out: of one call with what is fetched after it, of the session.

    What is counted is what arrives, not what it takes inside: a sparse file of 4 GB is 4 GB here. `told` are the sizes that
    the call told of its files: what is too large is not begun with.
    """

    per_call: int
    session: int
    call: int = 0
    told: dict[str, int] = field(default_factory=dict[str, int])

    def begin_call(self) -> None:
        """A new call has its own allowance, as far as the session's goes."""
        self.call = min(self.per_call, self.session)
        self.told.clear()

    def take(self, size: int) -> bool:
        """Whether `size` bytes more may come out; they are counted if so."""
        if size > self.call:
            return False
        self.call -= size
        self.session -= size
        return True


async def gated(outputs: AsyncGenerator[Output, None], budget: OutputBudget) -> AsyncGenerator[Output, None]:
    """What an execution says, as the server may keep it; what cannot be kept is told in the log instead."""
    budget.begin_call()
    async with aclosing(outputs) as said:
        async for output in said:
            yield _admitted(output, budget)


def _admitted(output: Output, budget: OutputBudget) -> Output:
    match output:
        case Logs(text):
            return Logs(_SURROGATES.sub("\ufffd", text))
        case Ended(message=message):
            return replace(output, message=None if message is None else clean_line(message, MAX_MESSAGE_CHARACTERS))
        case Image():
            return _admitted_image(output, budget)
        case FileWritten(path, size):
            if not _is_path(path):
                return Logs("[a file was left out: its name cannot be told]\n")
            budget.told[path] = size = min(max(size, 0), _MAX_SIZE)
            return FileWritten(path, size)


def _admitted_image(image: Image, budget: OutputBudget) -> Image | Logs:
    if not budget.take(len(image.data)):
        return Logs("[a picture was left out: this session's pictures and files are larger than they may be]\n")
    path = image.path if image.path is not None and _is_path(image.path) else None
    return Image(clean_name(image.name), image.data, path)


def _is_path(path: str) -> bool:
    try:
        checked_path(path)
    except FileRefused:
        return False
    return True


async def fetched(path: str, content: AsyncGenerator[bytes, None], budget: OutputBudget) -> AsyncGenerator[bytes, None]:
    """A file's pieces as long as the budget allows. Raises FileRefused, before the first one if its size is known."""
    refused = FileRefused(f"'{path}' is not kept: what comes out of this session is larger than it may be.")
    async with aclosing(content) as pieces:
        if budget.told.get(path, 0) > budget.call:
            raise refused
        async for piece in pieces:
            if not budget.take(len(piece)):
                raise refused
            yield piece


def clean_line(text: str, most: int) -> str:
    """One printable line of at most `most` characters."""
    return " ".join(_without_controls(text[: 4 * most]).split())[:most]


def clean_name(name: str) -> str:
    """A file name that can be stored, listed and sent in a header: no control characters, at most 255 bytes."""
    plain = _without_controls(name[: 4 * MAX_NAME_BYTES]).strip()
    return plain.encode()[:MAX_NAME_BYTES].decode(errors="ignore") or "file"


def _without_controls(text: str) -> str:
    return "".join(" " if unicodedata.category(character) in {"Cc", "Cs"} else character for character in text)
