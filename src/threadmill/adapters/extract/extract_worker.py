"""What happens in a reader's process: the file comes on descriptor 0, its text or the reason why not goes out there.

The answer's first byte says which: T notes and the text in UTF-8, I the file is at fault, S this server is. An end without
an answer is a crash or a limit. Forked by `fork_server.py`.
"""

import json
import os
import re
from collections.abc import Callable
from dataclasses import asdict
from importlib import import_module

from threadmill.adapters.extract import decoding, process_limits
from threadmill.adapters.extract.errors import TextBuffer, UnreadableFile
from threadmill.adapters.extract.html import read_html
from threadmill.adapters.extract.office import read_docx, read_pptx
from threadmill.adapters.extract.pdf import read_pdf
from threadmill.adapters.extract.plain import read_json, read_text
from threadmill.adapters.extract.word97 import read_doc

Reader = Callable[[memoryview, TextBuffer], None]

READERS: dict[str, Reader] = {
    ".pdf": read_pdf, ".docx": read_docx, ".pptx": read_pptx, ".doc": read_doc, ".html": read_html, ".json": read_json,
}  # fmt: skip
"""By extension; the others are text."""

MODULES = (
    "zipfile",
    "zlib",
    "bz2",
    "lzma",
    "heapq",
    "unicodedata",
    "encodings.idna",
    "lxml.etree",
    "email.parser",
    "email.policy",
    "quopri",
    "base64",
)
"""Imported by others when first used, which behind the fence is too late."""

PIECE = 1 << 20

KINDS = {
    b"%PDF-": "a PDF",
    b"PK\x03\x04": "a zip archive",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": "an old Office document",
}
"""How files begin whose extension may say something else."""

FORMATS = {".pdf": "PDF", ".docx": "DOCX", ".pptx": "PPTX", ".doc": "Word 97"}

OWN_KINDS = {".pdf": "a PDF", ".docx": "a zip archive", ".pptx": "a zip archive", ".doc": "an old Office document"}

# Nobody searches for these, and NUL ends texts elsewhere.
_CONTROLS = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f\ud800-\udfff]")


def preload() -> None:
    """Import all that readers need: behind the fence no file can be opened."""
    for name in MODULES:
        import_module(name)
    decoding.warm_up()


def answer(extension: str, memory_bytes: int, cpu_seconds: int, max_characters: int) -> None:
    """Go behind the fence, read the file, answer, end the process."""
    process_limits.restrict_process(memory_bytes, cpu_seconds)
    try:
        found = _text(extension, max_characters)
    except UnreadableFile as error:
        found = b"I" + str(error).encode("utf-8", "replace")
    except MemoryError:
        found = b"IThe file takes more memory to read than it may have."
    except RecursionError:
        found = b"IThe file is nested too deeply to be read."
    except Exception as error:  # noqa: BLE001 - the parent logs it
        found = b"S" + f"{type(error).__name__}: {error}".encode("utf-8", "replace")
    _write(found)


def _text(extension: str, max_characters: int) -> bytes:
    """The whole answer: T, how long the notes are, the notes in JSON, the text. Raises UnreadableFile."""
    data = _input()
    if not len(data):
        raise UnreadableFile("The file is empty.")
    _check_kind(extension, data)
    out = TextBuffer(max_characters)
    out.notes.format = FORMATS.get(extension, "text")
    READERS.get(extension, read_text)(data, out)
    text = _CONTROLS.sub("", out.text().replace("\r\n", "\n").replace("\r", "\n").replace("\f", "\n"))
    if not text or text.isspace():
        raise UnreadableFile("The file has no text. Scanned pages and pictures are not read.")
    notes = json.dumps(asdict(out.notes)).encode()
    return b"".join((b"T", len(notes).to_bytes(4, "big"), notes, text.encode("utf-8")))


def _check_kind(extension: str, data: memoryview) -> None:
    head = bytes(data[:1_024])
    found = next((kind for start, kind in KINDS.items() if head.startswith(start)), None)
    wanted = OWN_KINDS.get(extension)
    if (extension == ".pdf" and b"%PDF-" in head) or (extension == ".doc" and found != "a PDF"):
        # Some PDFs have a preface; .doc has been the name of several formats, which its reader tells apart.
        return
    if wanted == "a zip archive" and found == "an old Office document":
        # Office puts a document with a password into this container.
        raise UnreadableFile(
            "The document is encrypted with a password, or is an old Office document under a new name."
        )
    if found != wanted:
        raise UnreadableFile(f"The file's name ends in {extension}, but it is {found or f'not {wanted}'}.")


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
