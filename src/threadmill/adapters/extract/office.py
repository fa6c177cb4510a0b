"""DOCX and PPTX to text: zip and lxml's pull parser, which holds one paragraph at a time. Runs in the fenced process.

Elements are told by their local name, since the strict and the usual flavour differ in their namespaces only.
"""

import io
import posixpath
import re
import zipfile
import zlib
from collections.abc import Iterator
from itertools import zip_longest
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


_DOCX_PARTS = ("footnotes", "endnotes", "comments", "header", "footer")
_SLIDE_PARTS = ("notesSlide", "comments")


def read_docx(data: memoryview, out: TextBuffer) -> None:
    """Body with tables, text boxes and content controls, then notes, comments, headers, footers, diagrams and charts.

    What was struck out is not read.
    """
    archive = Archive(data)
    out.notes.format = "DOCX"
    main = archive.main("document", "word/document.xml")
    if main is None:
        raise UnreadableFile("The file is not a DOCX document.")
    _read_part(archive, main, out)
    folder = posixpath.dirname(main)
    for kind in _DOCX_PARTS:
        parts = dict.fromkeys(archive.related(main, kind).values())
        if (usual := f"{folder}/{kind}.xml") in archive.names:
            parts.setdefault(usual)
        for part in parts:
            _read_part(archive, part, out)
    _read_drawings(archive, main, out)


def read_pptx(data: memoryview, out: TextBuffer) -> None:
    """Each slide in the order of the show, with its tables, diagrams, charts, speaker's notes and comments."""
    archive = Archive(data)
    out.notes.format = "PPTX"
    main = archive.main("presentation", "ppt/presentation.xml")
    if main is None:
        raise UnreadableFile("The file is not a PPTX presentation.")
    slides = _slides(archive, main)
    out.notes.pages = len(slides)
    for slide in slides:
        before = len(out)
        _read_part(archive, slide, out)
        _read_drawings(archive, slide, out)
        for kind in _SLIDE_PARTS:
            for part in archive.related(slide, kind).values():
                _read_part(archive, part, out)
        out.notes.blank_pages += len(out) == before
        out.add("\n")


def read_word_xml(data: memoryview, out: TextBuffer) -> None:
    """WordML of 2003, or a DOCX in one XML file."""
    out.notes.format = "WordML"
    _read_paragraphs(_parse(io.BytesIO(data), ("start", "end"), _Paragraphs.TAGS), out)


def _read_drawings(archive: "Archive", part: str, out: TextBuffer) -> None:
    """Diagrams (SmartArt) and charts a part shows."""
    for diagram in archive.related(part, "diagramData").values():
        _read_part(archive, diagram, out)
    for chart in archive.related(part, "chart").values():
        _read_chart(archive, chart, out)


class Archive:
    """The zip archive around a document, none of whose promises about sizes is believed."""

    def __init__(self, data: memoryview) -> None:
        try:
            self._zip: zipfile.ZipFile = zipfile.ZipFile(io.BytesIO(data))
        except (zipfile.BadZipFile, ValueError, NotImplementedError):
            raise UnreadableFile(_NOT_READABLE.format("its archive cannot be opened")) from None
        if len(self._zip.namelist()) > MAX_PARTS:
            raise UnreadableFile(f"The document has more than {MAX_PARTS:,} parts.")
        # Some writers have backslashes, or write a part's name in other letters than those who refer to it.
        self._real: dict[str, str] = {spelling(name): name for name in reversed(self._zip.namelist())}
        self.names: frozenset[str] = frozenset(self._real)

    def open(self, name: str) -> "_Bounded":
        """A part, cut off where it gets too large. Raises UnreadableFile."""
        info = self._zip.getinfo(self._real[name])
        if info.flag_bits & _ENCRYPTED:
            raise UnreadableFile("The document is encrypted.")
        try:
            return _Bounded(self._zip.open(info))
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError):
            raise UnreadableFile(_NOT_READABLE.format("a part of its archive cannot be opened")) from None

    def main(self, root: str, usual: str) -> str | None:
        """The document's own part, whose outermost element is called `root`."""
        found = [*self.related("", "officeDocument").values(), *({usual} & self.names)]
        # One that cannot be read is not another kind of document: its reader will say what is wrong.
        return next((part for part in found if part == usual or _root(self, part) == root), None)

    def related(self, part: str, kind: str) -> dict[str, str]:
        """The parts a part refers to as `kind`, by reference."""
        folder, name = posixpath.split(part)
        links = posixpath.join(folder, "_rels", f"{name}.rels")
        if links not in self.names:
            return {}
        found: dict[str, str] = {}
        for element in elements(self, links):
            target = posixpath.normpath(posixpath.join("/", folder, element.get("Target") or "")).lstrip("/")
            target = spelling(target)
            if (element.get("Type") or "").endswith(f"/{kind}") and target in self.names:
                found[element.get("Id") or ""] = target
        return found


def spelling(name: str) -> str:
    """A part's name as `names` has it."""
    return name.replace("\\", "/").lstrip("/").lower()


def _root(archive: Archive, part: str) -> str:
    return next((local(element) for _, element in events(archive, part, ("start",), None)), "")


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


def _slides(archive: Archive, main: str) -> list[str]:
    slides = archive.related(main, "slide")
    shown: list[str] = []
    for element in elements(archive, main):
        if local(element) == "sldId":
            shown += [slides[value] for value in element.attrib.values() if value in slides]
    return shown or sorted(slides.values(), key=lambda name: int(re.sub(r"\D", "", name) or 0))


def elements(archive: Archive, name: str) -> Iterator[Any]:
    """The elements of a small part as they end."""
    for _, element in events(archive, name, ("end",), None):
        yield element


def events(
    archive: Archive, name: str, kinds: tuple[str, ...], tags: tuple[str, ...] | None
) -> Iterator[tuple[str, Any]]:
    """The elements of a part as they start and end. Raises UnreadableFile."""
    yield from _parse(archive.open(name), kinds, tags)


def _parse(source: Any, kinds: tuple[str, ...], tags: tuple[str, ...] | None) -> Iterator[tuple[str, Any]]:
    try:
        # No DTD, no entities, no network; and without huge_tree a depth of 256 and 10 MB of text in one piece.
        parse: Any = etree.iterparse  # its hints want literal names of events
        yield from parse(
            source,
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


def local(element: Any) -> str:
    """An element's name without its namespace."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def _read_part(archive: Archive, name: str, out: TextBuffer) -> None:
    """The paragraphs of a part, one a line; those of a table's cell are joined, and cells are set apart by tabs."""
    _read_paragraphs(events(archive, name, ("start", "end"), _Paragraphs.TAGS), out)


def _read_paragraphs(events: Iterator[tuple[str, Any]], out: TextBuffer) -> None:
    reader = _Paragraphs(out)
    for event, element in events:
        if event == "start":
            reader.open(local(element))
        else:
            reader.close(local(element), element)
            if local(element) in ("p", "tr"):
                forget(element)


def _read_chart(archive: Archive, name: str, out: TextBuffer) -> None:
    """Titles, then each series under its name: categories and values."""
    chart = _Chart(out)
    for event, element in events(archive, name, ("start", "end"), _Chart.TAGS):
        if event == "start":
            chart.open(local(element))
        else:
            chart.close(local(element), element)


class _Chart:
    """A chart's cached texts and numbers, which its picture shows."""

    _LISTS = frozenset({"tx", "cat", "val", "xVal", "yVal", "bubbleSize"})
    TAGS = tuple(map("{{*}}{}".format, (*_LISTS, "ser", "v", "t", "p")))

    def __init__(self, out: TextBuffer) -> None:
        self._out: TextBuffer = out
        self._runs: list[str] = []
        self._lists: dict[str, list[str]] = {}
        self._into: str = ""

    def open(self, name: str) -> None:
        if name == "ser":
            self._lists = {}
        elif name in self._LISTS:
            self._into = name

    def close(self, name: str, element: Any) -> None:
        if name == "t":
            self._runs.append(element.text or "")
        elif name == "v" and self._into:
            self._lists.setdefault(self._into, []).append(element.text or "")
        elif name == "p":
            self._end_title()
        elif name == "ser":
            self._end_series()
        elif name in self._LISTS:
            self._into = ""

    def _end_title(self) -> None:
        if title := "".join(self._runs).strip():
            self._out.add(f"{title}\n")
        self._runs.clear()

    def _end_series(self) -> None:
        columns = [self._lists[name] for name in ("cat", "xVal", "val", "yVal", "bubbleSize") if name in self._lists]
        if title := " ".join(self._lists.get("tx", ())):
            self._out.add(f"{title}\n")
        for row in zip_longest(*columns, fillvalue=""):
            self._out.add("\t".join(row) + "\n")


def forget(element: Any) -> None:
    """Give back the memory of what was read: the element's inside and all before it."""
    element.clear()
    while element.getprevious() is not None:
        del element.getparent()[0]


class _Paragraphs:
    """Words to lines. `skipped` counts open elements whose text is struck out or told twice."""

    _SKIPPED = frozenset({"del", "moveFrom", "Fallback", "instrText", "delText", "fldData"})
    TAGS = tuple(map("{{*}}{}".format, (*_SKIPPED, *_BLANKS, "t", "text", "p", "tc", "tr")))

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
        elif name == "text":
            # A comment on a slide, in the way of before 2021.
            self._runs.append(element.text or "")
            self._end_paragraph()
        elif name in _BLANKS:
            # In properties, `tab` sets a stop; only between runs it is a character.
            if local(element.getparent()) in ("r", "p"):
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
