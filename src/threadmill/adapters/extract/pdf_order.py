"""The order of a PDF page's characters where pdfium's is not the reader's: columns of vertical writing, Arabic ligatures.

Runs in the fenced process.
"""

import ctypes
import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import groupby
from typing import Any, NamedTuple

from pypdfium2 import raw as typed_raw  # pyright: ignore[reportMissingTypeStubs] - annotated in part

raw: Any = typed_raw  # half of its hints are unknown

TO_BE_ORDERED = re.compile("[\u0600-\u06ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3]")
"""Scripts that are written from above or have ligatures from the right."""

NO_WIDTH = 0.01
"""Points. pdfium leaves out text that is no wider, as vertical text is whose font is not in the file."""

Box = tuple[float, float, float, float]


class Character(NamedTuple):
    """A character and where its glyph begins; those pdfium put between others have no place of their own."""

    text: str
    x: float
    y: float
    is_generated: bool


def widen(page: Any) -> None:
    """Give text without width one, before the page's text is asked for: as wide as it is tall, by a line around it."""
    left, bottom, right, top, size = (ctypes.c_float() for _ in range(5))
    for at in range(raw.FPDFPage_CountObjects(page.raw)):
        part = raw.FPDFPage_GetObject(page.raw, at)
        if raw.FPDFPageObj_GetType(part) != raw.FPDF_PAGEOBJ_TEXT:
            continue
        raw.FPDFPageObj_GetBounds(part, *map(ctypes.byref, (left, bottom, right, top)))
        if right.value - left.value < NO_WIDTH:
            raw.FPDFTextObj_GetFontSize(part, ctypes.byref(size))
            raw.FPDFTextObj_SetTextRenderMode(part, raw.FPDF_TEXTRENDERMODE_STROKE)
            raw.FPDFPageObj_SetStrokeWidth(part, ctypes.c_float(size.value))
            raw.FPDFPageObj_Transform(part, 1, 0, 0, 1, 0, 0)  # makes pdfium measure it again


def ordered_text(reader: Any, box: Box | None) -> str:
    """The page's text as it is read, or what of it begins inside the box."""
    lines: list[list[Character]] = [[]]
    for one in _unreversed(_characters(reader, box)):
        if one.text == "\n":
            lines.append([])
        elif one.text != "\r":
            lines[-1].append(one)
    return "\n".join("".join(one.text for one in line) for line in _columns([line for line in lines if line]))


def _characters(reader: Any, box: Box | None) -> Iterator[Character]:
    x, y = ctypes.c_double(), ctypes.c_double()
    for at in range(reader.count_chars()):
        raw.FPDFText_GetCharOrigin(reader.raw, at, ctypes.byref(x), ctypes.byref(y))
        made = bool(raw.FPDFText_IsGenerated(reader.raw, at))
        if made or box is None or (box[0] <= x.value <= box[2] and box[1] <= y.value <= box[3]):
            yield Character(chr(raw.FPDFText_GetUnicode(reader.raw, at)), x.value, y.value, made)


def _unreversed(characters: Iterator[Character]) -> Iterator[Character]:
    """A line from the right was turned round by pdfium, and with it the letters of a ligature: those with one place."""
    for _, group in groupby(characters, lambda one: (one.x, one.y, one.is_generated)):
        letters = list(group)
        text = "".join(one.text for one in letters)
        yield from reversed(letters) if text[::-1] in _ligatures() and text not in _ligatures() else letters


@cache
def _ligatures() -> frozenset[str]:
    """The letters of each Arabic ligature, in their order."""
    codes = (*range(0xFB50, 0xFE00), *range(0xFE70, 0xFEFD))
    found = (unicodedata.normalize("NFKC", chr(code)) for code in codes)
    return frozenset(one for one in found if len(one) > 1 and " " not in one)


def _columns(lines: Sequence[Sequence[Character]]) -> Iterator[Sequence[Character]]:
    """Columns of vertical writing from the right, where pdfium has them from the left."""
    run: list[Sequence[Character]] = []
    for line in lines:
        if run and not (_is_vertical(line) and line[0].x > run[-1][0].x):
            yield from reversed(run)
            run.clear()
        if _is_vertical(line):
            run.append(line)
        else:
            yield line
    yield from reversed(run)


def _is_vertical(line: Sequence[Character]) -> bool:
    """Its characters stand below each other. A single one of a script that is written so may be the end of a column."""
    placed = [one for one in line if not one.is_generated][:2]
    if len(placed) == 1:
        return len(line) == 1 and TO_BE_ORDERED.match(placed[0].text) is not None
    return len(placed) == 2 and abs(placed[0].x - placed[1].x) < 1 < placed[0].y - placed[1].y
