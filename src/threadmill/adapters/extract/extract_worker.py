"""The fenced process: one file on standard input, its text or the reason why not on standard output.

The answer's first byte says which: T text in UTF-8, I the file is at fault, S this server is. An end without an answer
is a crash or a limit. Started by `subprocess_extractor.py` as `python -I -c ...`; imports standard library and one parser only.
"""

import codecs
import os
import re
import sys
from collections.abc import Callable

from threadmill.adapters.extract import process_limits
from threadmill.adapters.extract.errors import TextBuffer, UnreadableFile

Reader = Callable[[memoryview, TextBuffer], None]

PIECE = 1 << 20

KINDS = {
    b"%PDF-": "a PDF",
    b"PK\x03\x04": "a zip archive",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": "an old Office document",
}
"""How files begin whose extension may say something else."""

ENCODINGS = ("utf-8", "utf-16", "utf-16-le", "utf-16-be", "cp437", "cp1252")
"""Loaded before the fence; the last two are those of zip archives' names and of old Word documents."""

OWN_KINDS = {".pdf": "a PDF", ".docx": "a zip archive", ".pptx": "a zip archive", ".doc": "an old Office document"}

# Nobody searches for these, and NUL ends texts elsewhere.
_CONTROLS = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f\ud800-\udfff]")


def main(extension: str, memory_bytes: int, cpu_seconds: int, max_characters: int) -> None:
    """Read, answer, end. Everything is imported before the fence, for behind it no file can be opened."""
    reader = _reader(extension)
    for encoding in ENCODINGS:
        codecs.lookup(encoding)
    process_limits.restrict_process(memory_bytes, cpu_seconds)
    try:
        answer = b"T" + _text(extension, reader, max_characters).encode("utf-8")
    except UnreadableFile as error:
        answer = b"I" + str(error).encode("utf-8", "replace")
    except MemoryError:
        answer = b"IThe file takes more memory to read than it may have."
    except RecursionError:
        answer = b"IThe file is nested too deeply to be read."
    except Exception as error:  # noqa: BLE001 - the parent logs it
        answer = b"S" + f"{type(error).__name__}: {error}".encode("utf-8", "replace")
    _answer(answer)


def _reader(extension: str) -> Reader:
    """Each imports its own parser, which takes as long as all the rest."""
    if extension == ".pdf":
        from threadmill.adapters.extract.pdf import read_pdf as reader  # noqa: PLC0415 - see above
    elif extension == ".docx":
        from threadmill.adapters.extract.office import read_docx as reader  # noqa: PLC0415 - see above
    elif extension == ".pptx":
        from threadmill.adapters.extract.office import read_pptx as reader  # noqa: PLC0415 - see above
    elif extension == ".doc":
        from threadmill.adapters.extract.word97 import read_doc as reader  # noqa: PLC0415 - see above
    elif extension == ".html":
        from threadmill.adapters.extract.html import read_html as reader  # noqa: PLC0415 - see above
    elif extension == ".json":
        from threadmill.adapters.extract.plain import read_json as reader  # noqa: PLC0415 - see above
    else:
        from threadmill.adapters.extract.plain import read_text as reader  # noqa: PLC0415 - see above
    return reader


def _text(extension: str, reader: Reader, max_characters: int) -> str:
    data = _input()
    if not len(data):
        raise UnreadableFile("The file is empty.")
    _check_kind(extension, data)
    out = TextBuffer(max_characters)
    reader(data, out)
    text = _CONTROLS.sub("", out.text().replace("\r\n", "\n").replace("\r", "\n").replace("\f", "\n"))
    if not text or text.isspace():
        raise UnreadableFile("The file has no text. Scanned pages and pictures are not read.")
    return text


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


def _answer(data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(1, rest) :]
    # Without the interpreter's own end, which would only give back memory piece by piece.
    sys.stdout.flush()
    os._exit(0)
