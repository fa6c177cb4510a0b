"""DOCX and PPTX to text: zip and lxml's pull parser, which holds one paragraph at a time. Runs in the fenced process.

Elements are told by their local name, since the strict and the usual flavour differ in their namespaces only.
"""

import io
import posixpath
import re
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any

from lxml import etree

from threadmill.adapters.extract.errors import TextBuffer, UnreadableFile

MAX_PART = 100_000_000
"""Bytes one part of a document may unpack to: a book of a million words is 20 MB."""

MAX_PARTS = 20_000
"""Files in the archive."""

_ENCRYPTED = 0x1
_NOT_READABLE = "The document is broken: {}."
_BLANKS = {"tab": "\t", "ptab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-"}


def read_docx(data: memoryview, out: TextBuffer) -> None:
    """Body with tables, text boxes and content controls, then notes; what was struck out is not read."""
    archive = _Archive(data)
    if "word/document.xml" not in archive.names:
        raise UnreadableFile("The file is not a DOCX document.")
    for part in ("word/document.xml", "word/footnotes.xml", "word/endnotes.xml", "word/comments.xml"):
        if part in archive.names:
            _read_part(archive, part, out)


def read_pptx(data: memoryview, out: TextBuffer) -> None:
    """Each slide in the order of the show, with its tables and its speaker's notes."""
    archive = _Archive(data)
    if "ppt/presentation.xml" not in archive.names:
        raise UnreadableFile("The file is not a PPTX presentation.")
    for slide in _slides(archive):
        _read_part(archive, slide, out)
        for notes in archive.related(slide, "notesSlide").values():
            _read_part(archive, notes, out)
        out.add("\n")


class _Archive:
    """The zip archive around a document, none of whose promises about sizes is believed."""

    def __init__(self, data: memoryview) -> None:
        try:
            self._zip: zipfile.ZipFile = zipfile.ZipFile(io.BytesIO(data))
        except (zipfile.BadZipFile, ValueError, NotImplementedError):
            raise UnreadableFile(_NOT_READABLE.format("its archive cannot be opened")) from None
        if len(self._zip.namelist()) > MAX_PARTS:
            raise UnreadableFile(f"The document has more than {MAX_PARTS:,} parts.")
        self.names: frozenset[str] = frozenset(self._zip.namelist())

    def open(self, name: str) -> "_Bounded":
        """A part, cut off where it gets too large. Raises UnreadableFile."""
        info = self._zip.getinfo(name)
        if info.flag_bits & _ENCRYPTED:
            raise UnreadableFile("The document is encrypted.")
        try:
            return _Bounded(self._zip.open(info))
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError):
            raise UnreadableFile(_NOT_READABLE.format("a part of its archive cannot be opened")) from None

    def related(self, part: str, kind: str) -> dict[str, str]:
        """The parts a part refers to as `kind`, by reference."""
        folder, name = posixpath.split(part)
        links = f"{folder}/_rels/{name}.rels"
        if links not in self.names:
            return {}
        found: dict[str, str] = {}
        for element in _elements(self, links):
            target = posixpath.normpath(posixpath.join("/", folder, element.get("Target") or "")).lstrip("/")
            if (element.get("Type") or "").endswith(f"/{kind}") and target in self.names:
                found[element.get("Id") or ""] = target
        return found


class _Bounded(io.RawIOBase):
    """A part as it unpacks. Raises UnreadableFile beyond MAX_PART."""

    def __init__(self, inner: Any) -> None:
        self._inner: Any = inner
        self._left: int = MAX_PART

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data: bytes = self._inner.read(min(size, 65_536) if size >= 0 else 65_536)
        self._left -= len(data)
        if self._left < 0:
            raise UnreadableFile(f"The document unpacks to more than {MAX_PART // 1_000_000} MB.")
        return data


def _slides(archive: _Archive) -> list[str]:
    slides = archive.related("ppt/presentation.xml", "slide")
    shown: list[str] = []
    for element in _elements(archive, "ppt/presentation.xml"):
        if _local(element) == "sldId":
            shown += [slides[value] for value in element.attrib.values() if value in slides]
    return shown or sorted(slides.values(), key=lambda name: int(re.sub(r"\D", "", name) or 0))


def _elements(archive: _Archive, name: str) -> Iterator[Any]:
    """The elements of a small part as they end."""
    for _, element in _events(archive, name, ("end",), None):
        yield element


def _events(
    archive: _Archive, name: str, kinds: tuple[str, ...], tags: tuple[str, ...] | None
) -> Iterator[tuple[str, Any]]:
    part = archive.open(name)
    try:
        # No DTD, no entities, no network; and without huge_tree a depth of 256 and 10 MB of text in one piece.
        parse: Any = etree.iterparse  # its hints want literal names of events
        yield from parse(
            part,
            events=kinds,
            tag=tags,
            resolve_entities=False,
            no_network=True,
            load_dtd=False,
            huge_tree=False,
            remove_comments=True,
            remove_pis=True,
        )
    except (etree.XMLSyntaxError, zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError):
        raise UnreadableFile(_NOT_READABLE.format("a part of it is not valid XML or is cut off")) from None


def _local(element: Any) -> str:
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def _read_part(archive: _Archive, name: str, out: TextBuffer) -> None:
    """The paragraphs of a part, one a line; those of a table's cell are joined, and cells are set apart by tabs."""
    reader = _Paragraphs(out)
    for event, element in _events(archive, name, ("start", "end"), _Paragraphs.TAGS):
        if event == "start":
            reader.open(_local(element))
        else:
            reader.close(_local(element), element)
            if _local(element) in ("p", "tr"):
                _forget(element)


def _forget(element: Any) -> None:
    """Give back the memory of what was read: the element's inside and all before it."""
    element.clear()
    while element.getprevious() is not None:
        del element.getparent()[0]


class _Paragraphs:
    """Words to lines. `skipped` counts open elements whose text is struck out or told twice."""

    _SKIPPED = frozenset({"del", "moveFrom", "Fallback", "instrText", "delText", "fldData"})
    TAGS = tuple(map("{{*}}{}".format, (*_SKIPPED, *_BLANKS, "t", "p", "tc", "tr")))

    def __init__(self, out: TextBuffer) -> None:
        self._out: TextBuffer = out
        self._skipped: int = 0
        self._cells: int = 0
        self._row: list[str] = []
        self._runs: list[str] = []

    def open(self, name: str) -> None:
        self._skipped += name in self._SKIPPED
        self._cells += name == "tc"

    def close(self, name: str, element: Any) -> None:
        if name in self._SKIPPED:
            self._skipped -= 1
        elif self._skipped:
            return
        elif name == "t":
            self._runs.append(element.text or "")
        elif name in _BLANKS:
            # In properties, `tab` sets a stop; only between runs it is a character.
            if _local(element.getparent()) in ("r", "p"):
                self._runs.append(_BLANKS[name])
        elif name == "p":
            self._end_paragraph()
        elif name == "tc":
            self._cells -= 1
            self._row.append("\t")
        elif name == "tr":
            self._end_row()

    def _end_paragraph(self) -> None:
        text = "".join(self._runs)
        self._runs.clear()
        if self._cells:
            self._row.append(f"{text} ")
        elif text.strip():
            self._out.add(f"{text}\n")

    def _end_row(self) -> None:
        if not self._cells:
            text = "".join(self._row).replace(" \t", "\t").strip()
            self._row.clear()
            if text:
                self._out.add(f"{text}\n")
