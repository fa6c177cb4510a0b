"""Word 97 to 2003 documents to text: olefile reads the container, the piece table is read here. Runs in the fenced process.

No kept library reads the latter; the format is Microsoft's [MS-DOC]. Every number in it is a claim.
"""

import email
import email.policy
import io
import re
import struct
from collections.abc import Iterator
from importlib import import_module
from typing import Any

from threadmill.adapters.extract.errors import TextBuffer, UnreadableFile
from threadmill.adapters.extract.html import read_html
from threadmill.adapters.extract.office import read_docx, read_word_xml

# By name: neither has hints.
_OLEFILE: Any = import_module("olefile")
_RTF: Any = import_module("striprtf.striprtf")

_BROKEN = "The document is broken: {}."
_ENCRYPTED, _TABLE_1, _COMPRESSED = 0x0100, 0x0200, 0x40000000
_WORD_97 = 0xC1

# Between these stand a field's instruction and its result; only the result is shown.
_FIELD = re.compile("\x13[^\x13\x14\x15]*(?:\x14([^\x13\x14\x15]*))?\x15")
_SIGNS = str.maketrans({"\r": "\n", "\x07": "\t", "\x0b": "\n", "\x0c": "\n", "\x1e": "-", "\x1f": None, "\xa0": " "})


def read_doc(data: memoryview, out: TextBuffer) -> None:
    """All text, notes and headers at its end. What else is called .doc is read as what it is. Raises UnreadableFile."""
    head = bytes(data[:1_024]).lstrip(b"\xef\xbb\xbf \r\n\t")
    if other := next((read for mark, read in _OTHERS if mark in head[: max(len(mark), 400)].lower()), None):
        other(data, out)
        return
    out.notes.format = "Word 97"
    try:
        with _OLEFILE.OleFileIO(io.BytesIO(data)) as opened:
            file: Any = opened
            text = "".join(_pieces(file))
    except (struct.error, IndexError, UnicodeDecodeError, KeyError, OSError, ValueError, TypeError):
        raise UnreadableFile(_BROKEN.format("it is not a Word document, or cut off")) from None
    while "\x13" in text and (shorter := _FIELD.sub(r"\1", text)) != text:
        text = shorter
    out.add(text.translate(_SIGNS))


def _read_mhtml(data: memoryview, out: TextBuffer) -> None:
    """A web page with its pictures in one file, as Word saves it: its first page."""
    message = email.message_from_bytes(bytes(data), policy=email.policy.default)
    for part in message.walk():
        if part.get_content_type() in ("text/html", "application/xhtml+xml"):
            held = part.get_payload(decode=True)
            if isinstance(held, bytes):
                read_html(memoryview(held), out)
                out.notes.format = "MHTML"
                return
    raise UnreadableFile(_BROKEN.format("it is a web archive without a page"))


def read_rtf(data: memoryview, out: TextBuffer) -> None:
    """The words of a rich text document."""
    out.notes.format = "RTF"
    text: str = _RTF.rtf_to_text(bytes(data).decode("latin-1"), errors="replace")
    out.add(text)


_OTHERS = (
    (b"pk\x03\x04", read_docx),
    (b"{\\rtf", read_rtf),
    (b"mime-version:", _read_mhtml),
    (b"<w:worddocument", read_word_xml),
    (b"<pkg:package", read_word_xml),
    (b"<html", read_html),
    (b"<!doctype html", read_html),
)
"""How other kinds of document that go by the name .doc begin."""


def _pieces(file: Any) -> Iterator[str]:
    """The pieces of the text in order: each in one byte a character, or two."""
    main = _stream(file, "WordDocument")
    kind, version, flags = struct.unpack_from("<HH6xH", main)
    if kind != 0xA5EC or version < _WORD_97:
        raise UnreadableFile("The document was written by Word 95 or older; save it as .docx.")
    if flags & _ENCRYPTED:
        raise UnreadableFile("The document is encrypted with a password.")
    table = _stream(file, "1Table" if flags & _TABLE_1 else "0Table")
    at, size = struct.unpack_from("<II", main, 0x1A2)
    places, starts = _piece_table(table[at : at + size])
    for first, last, start in zip(places, places[1:], starts, strict=False):
        count, offset = last - first, start & ~_COMPRESSED
        if count < 0:
            raise UnreadableFile(_BROKEN.format("its pieces are out of order"))
        if start & _COMPRESSED:
            yield main[offset // 2 : offset // 2 + count].decode("cp1252", "replace")
        else:
            yield main[offset : offset + 2 * count].decode("utf-16-le", "replace")


def _stream(file: Any, name: str) -> bytes:
    """A stream of the outermost storage; embedded documents have theirs. Raises KeyError, OSError."""
    if not file.exists(name):
        raise KeyError(name)
    with file.openstream(name) as stream:
        data: bytes = stream.read()
        return data


def _piece_table(data: bytes) -> tuple[tuple[int, ...], list[int]]:
    """Where each piece begins in the text, one more for the end, and where its characters lie."""
    at = 0
    while data[at] == 1:
        at += 3 + struct.unpack_from("<H", data, at + 1)[0]
    (size,) = struct.unpack_from("<I", data, at + 1)
    count = (size - 4) // 12
    places = struct.unpack_from(f"<{count + 1}I", data, at + 5)
    first = at + 5 + 4 * (count + 1)
    return places, [struct.unpack_from("<I", data, first + 8 * piece + 2)[0] for piece in range(count)]
