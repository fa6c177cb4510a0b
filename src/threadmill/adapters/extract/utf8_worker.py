"""The reader of small files that are UTF-8 beyond doubt, as most are.

It knows nothing else, so its process is small, and to fork it takes a fifth of the time. Forked by `fork_server.py`, answers as `answering.py` says.
"""

import re

from threadmill.adapters.extract.answering import answer_with
from threadmill.adapters.extract.errors import NotSure, TextBuffer
from threadmill.adapters.extract.telltales import PROBE, declared_in, utf_16

_OTHER = re.compile(b"[\x00-\x08\x0b\x0e-\x1f]|\\A(?:\xef\xbb\xbf|%PDF-)")
"""What makes a text something else, or has to be looked at: control characters, marks, the beginnings of documents."""


def preload() -> None:
    """Do once what would be done in each process again."""
    read_utf_8(memoryview("é".encode()), TextBuffer(1))


def answer(extension: str, memory_bytes: int, cpu_seconds: int, max_characters: int) -> None:
    """Read a file of plain text, or say that another reader is wanted; does not return."""
    del extension
    answer_with(read_utf_8, memory_bytes, cpu_seconds, max_characters)


def read_utf_8(data: memoryview, out: TextBuffer) -> None:
    """Text that `decoding.py` would read as UTF-8 too, without a note. Raises NotSure."""
    held = bytes(data)
    head = held[:PROBE]
    if _OTHER.search(held) or next(declared_in(head), None) or utf_16(head):
        raise NotSure
    try:
        text = held.decode()
    except UnicodeDecodeError:
        raise NotSure from None
    out.notes.encoding = "utf-8"
    out.add(text)
