"""How a reader's process gets its file and answers: both on descriptor 0.

The answer's first byte says which: T notes and the text in UTF-8, I the file is at fault, S this server is, U another reader is
wanted. An end without an answer is a crash or a limit. Light, for it is in every reader.
"""

import json
import os
import re
from collections.abc import Callable
from dataclasses import asdict
from itertools import islice

from threadmill.adapters.extract import process_limits
from threadmill.adapters.extract.errors import NotSure, TextBuffer, UnreadableFile

PIECE = 1 << 20

MAX_WORDS = 5_000_000
"""As many tokens as a file may have. Who has more words has more tokens, and is not sent to be counted."""

# A letter behind none and no digit: no token reaches from one to the next.
_WORD = re.compile(r"(?<![^\W_])[^\W\d_]")

# Nobody searches for these, and NUL ends texts elsewhere.
_CONTROLS = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f\ud800-\udfff]")

Read = Callable[[memoryview, TextBuffer], None]


def answer_with(read: Read, memory_bytes: int, cpu_seconds: int, max_characters: int) -> None:
    """Go behind the fence, read the file, answer, end the process."""
    process_limits.restrict_process(memory_bytes, cpu_seconds)
    try:
        found = _text(read, max_characters)
    except NotSure:
        found = b"U"
    except UnreadableFile as error:
        found = b"I" + str(error).encode("utf-8", "replace")
    except MemoryError:
        found = b"IThe file takes more memory to read than it may have."
    except RecursionError:
        found = b"IThe file is nested too deeply to be read."
    except Exception as error:  # noqa: BLE001 - the parent logs it
        found = b"S" + f"{type(error).__name__}: {error}".encode("utf-8", "replace")
    _write(found)


def _text(read: Read, max_characters: int) -> bytes:
    """The whole answer: T, how long the notes are, the notes in JSON, the text. Raises UnreadableFile, NotSure."""
    data = _input()
    if not len(data):
        raise UnreadableFile("The file is empty.")
    out = TextBuffer(max_characters)
    read(data, out)
    text = _CONTROLS.sub("", out.text().replace("\r\n", "\n").replace("\r", "\n").replace("\f", "\n"))
    if not text or text.isspace():
        raise UnreadableFile("The file has no text. Scanned pages and pictures are not read.")
    if _has_more_words(text, MAX_WORDS):
        raise UnreadableFile(f"The file has {MAX_WORDS + 1:,} tokens or more; at most {MAX_WORDS:,} are allowed.")
    notes = json.dumps(asdict(out.notes)).encode()
    return b"".join((b"T", len(notes).to_bytes(4, "big"), notes, text.encode("utf-8")))


def _has_more_words(text: str, most: int) -> bool:
    return len(text) > most and next(islice(_WORD.finditer(text), most, None), None) is not None


def _input() -> memoryview:
    held = bytearray()
    while piece := os.read(0, PIECE):
        held += piece
    return memoryview(held)


def _write(data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(0, rest) :]
    # Without the interpreter's own end, which would only give back memory piece by piece.
    os._exit(0)
