"""Word 97 to 2003 documents to text: the compound file around them and its piece table. Runs in the fenced process.

No kept library reads these; the two formats are Microsoft's [MS-CFB] and [MS-DOC]. Every number in them is a claim.
"""

import re
import struct
from collections.abc import Iterator

from threadmill.adapters.extract.errors import TextBuffer, UnreadableFile
from threadmill.adapters.extract.office import read_docx

_BROKEN = "The document is broken: {}."
_END_OF_CHAIN = 0xFFFFFFFA
"""Sector numbers from here on are marks."""

_ENCRYPTED, _TABLE_1, _COMPRESSED = 0x0100, 0x0200, 0x40000000
_WORD_97 = 0xC1

# Between these stand a field's instruction and its result; only the result is shown.
_FIELD = re.compile("\x13[^\x13\x14\x15]*(?:\x14([^\x13\x14\x15]*))?\x15")
_SIGNS = str.maketrans({"\r": "\n", "\x07": "\t", "\x0b": "\n", "\x0c": "\n", "\x1e": "-", "\x1f": None, "\xa0": " "})


def read_doc(data: memoryview, out: TextBuffer) -> None:
    """All text, notes and headers at its end. A DOCX under the old name is read as what it is. Raises UnreadableFile."""
    if bytes(data[:4]) == b"PK\x03\x04":
        read_docx(data, out)
        return
    if bytes(data[:5]) == b"{\\rtf":
        raise UnreadableFile("The file is an RTF document under the name of another; save it as .docx.")
    try:
        text = "".join(_pieces(_Compound(data)))
    except (struct.error, IndexError, UnicodeDecodeError, KeyError):
        raise UnreadableFile(_BROKEN.format("it is not a Word document, or cut off")) from None
    while "\x13" in text and (shorter := _FIELD.sub(r"\1", text)) != text:
        text = shorter
    out.add(text.translate(_SIGNS))


def _pieces(file: "_Compound") -> Iterator[str]:
    """The pieces of the text in order: each in one byte a character, or two."""
    main = file.stream("WordDocument")
    kind, version, flags = struct.unpack_from("<HH6xH", main)
    if kind != 0xA5EC or version < _WORD_97:
        raise UnreadableFile("The document was written by Word 95 or older; save it as .docx.")
    if flags & _ENCRYPTED:
        raise UnreadableFile("The document is encrypted with a password.")
    table = file.stream("1Table" if flags & _TABLE_1 else "0Table")
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


class _Compound:
    """A file of named streams in chained sectors."""

    def __init__(self, data: memoryview) -> None:
        self._data: memoryview = data
        (shift,) = struct.unpack_from("<H", data, 30)
        if shift not in (9, 12):
            raise UnreadableFile(_BROKEN.format("its sectors have no known size"))
        self._size: int = 1 << shift
        directory, self._cutoff, small_table = struct.unpack_from("<I4xII", data, 48)
        self._next: tuple[int, ...] = self._numbers(b"".join(map(self._sector, self._table_sectors())))
        entries = self._chain(directory)
        self._entries: dict[str, tuple[int, int]] = dict(self._names(entries))
        self._small_next: tuple[int, ...] = self._numbers(self._chain(small_table))

    def stream(self, name: str) -> bytes:
        """A stream whole. Raises KeyError if there is none of that name."""
        start, size = self._entries[name]
        if size >= self._cutoff:
            return self._chain(start)[:size]
        small = self._chain(self._entries["Root Entry"][0])
        sectors = _follow(start, self._small_next)
        return b"".join(small[64 * sector : 64 * sector + 64] for sector in sectors)[:size]

    def _table_sectors(self) -> list[int]:
        """The sectors the table of chains lies in: 109 named in the header, more in a chain of their own."""
        found = list(struct.unpack_from("<109I", self._data, 76))
        following, count = struct.unpack_from("<II", self._data, 68)
        for _ in range(min(count, len(self._data) // self._size)):
            if following >= _END_OF_CHAIN:
                break
            *more, following = self._numbers(self._sector(following))
            found += more
        return [sector for sector in found if sector < _END_OF_CHAIN]

    def _names(self, entries: bytes) -> Iterator[tuple[str, tuple[int, int]]]:
        for at in range(0, len(entries) - 127, 128):
            length, kind = struct.unpack_from("<HB", entries, at + 64)
            if kind:
                name = entries[at : at + max(0, min(length, 64) - 2)].decode("utf-16-le", "replace")
                yield name, struct.unpack_from("<II", entries, at + 116)

    def _chain(self, start: int) -> bytes:
        return b"".join(self._sector(sector) for sector in _follow(start, self._next))

    def _sector(self, number: int) -> bytes:
        at = (number + 1) * self._size
        return bytes(self._data[at : at + self._size])

    @staticmethod
    def _numbers(data: bytes) -> tuple[int, ...]:
        return struct.unpack(f"<{len(data) // 4}I", data[: len(data) // 4 * 4])


def _follow(start: int, following: tuple[int, ...]) -> Iterator[int]:
    """The sectors of a chain. Raises UnreadableFile where it bites its own tail."""
    for _ in range(len(following) + 1):
        if start >= _END_OF_CHAIN:
            return
        yield start
        start = following[start]
    raise UnreadableFile(_BROKEN.format("a chain of its sectors has no end"))
