"""CSV and XLSX to text: a row a line, each cell with its column's header, so that any chunk of rows explains itself.

Runs in the fenced process. Only cells that say something are held, so that a sheet of a billion blank ones is short.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from threadmill.adapters.extract.errors import TextBuffer, UnreadableFile
from threadmill.adapters.extract.office import Archive, elements, events, forget, local
from threadmill.adapters.extract.plain import decoded

SAMPLE_LINES = 20
"""Lines looked at to tell what separates cells."""

LONGEST_CELL = 1_000_000
"""Characters of a cell of CSV: more, and its quotes do not match."""

LAST_COLUMN = 16_384

Row = Sequence[tuple[int, str]]
"""The cells of a row that say something, each with its column."""

_SEPARATED = re.compile(r"sep=(.)\r?\n")
_NUMBER = re.compile(r"[-+(]?[\d\s.,:/%€$£¥-]+\)?")
_DATE_FORMATS = frozenset((*range(14, 23), *range(45, 48)))
_PERCENT_FORMATS = frozenset({9, 10})
"""Numbers of built-in formats."""

_LITERALS = re.compile(r'"[^"]*"|\\.|\[[^\]]*\]|_.|\*.')
_EPOCH, _EPOCH_1904 = datetime(1899, 12, 30), datetime(1904, 1, 1)  # noqa: DTZ001 - a sheet's times have no zone
_MOST_DAYS = 2_958_465
_SHEET_TAGS = tuple(map("{{*}}{}".format, ("c", "row")))
_STRING_TAGS = tuple(map("{{*}}{}".format, ("si", "t", "rPh")))


def read_csv(data: memoryview, out: TextBuffer) -> None:
    """Rows with their headers, whatever separates the cells. Raises UnreadableFile."""
    text = decoded(data, out).replace("\0", "")
    out.notes.format = "CSV"
    named = _SEPARATED.match(text)
    csv.field_size_limit(LONGEST_CELL)
    lines = io.StringIO(text[named.end() :] if named else text, newline="")
    try:
        _say_rows(map(_cells, csv.reader(lines, delimiter=named[1] if named else _separator(text))), out)
    except csv.Error:
        raise UnreadableFile("The file is not CSV that can be read: the quotes of its cells do not match.") from None


def _separator(text: str) -> str:
    """What is on every line of the first, or at least most often."""
    lines = [line for line in text[: SAMPLE_LINES * 1_000].splitlines()[:SAMPLE_LINES] if line.strip()]

    def evidence(sign: str) -> tuple[int, int]:
        counts = [line.count(sign) for line in lines]
        return min(counts, default=0), sum(counts)

    return max(",;\t|", key=evidence)


def _cells(row: Sequence[str]) -> Row:
    return [(column, cell) for column, cell in enumerate(row) if cell and not cell.isspace()]


def _say_rows(rows: Iterable[Row], out: TextBuffer) -> None:
    """The first row of several words is the header; a row of numbers in its place means that there is none."""
    headers: dict[int, str] | None = None
    for row in rows:
        cells = [(column, " ".join(cell.split())) for column, cell in row]
        if headers is None and len(cells) > 1:
            is_header = not any(_NUMBER.fullmatch(cell) for _, cell in cells)
            headers = dict(cells) if is_header else {}
            if is_header:
                out.add("; ".join(headers.values()) + "\n")
                continue
        said = (f"{headers[column]}: {cell}" if headers and column in headers else cell for column, cell in cells)
        if line := "; ".join(said):
            out.add(line + "\n")


def read_xlsx(data: memoryview, out: TextBuffer) -> None:
    """Each sheet under its name, hidden ones too; formulas as what came out of them. Raises UnreadableFile."""
    archive = Archive(data)
    out.notes.format = "XLSX"
    main = archive.main("workbook", "xl/workbook.xml")
    if main is None:
        raise UnreadableFile("The file is not an XLSX workbook.")
    sheets, book = archive.related(main, "worksheet"), _Book(archive, main)
    for element in elements(archive, main):
        if local(element) == "sheet":
            part = next((sheets[value] for value in element.attrib.values() if value in sheets), None)
            if part is not None:
                before = len(out)
                out.add(f"{'' if not before else chr(10)}{element.get('name') or ''}\n")
                _say_rows(book.rows(part), out)


class _Book:
    """What all sheets of a workbook share: texts, formats, the day its dates count from."""

    def __init__(self, archive: Archive, main: str) -> None:
        self._archive: Archive = archive
        self._texts: list[str] = [
            text for part in archive.related(main, "sharedStrings").values() for text in _shared_texts(archive, part)
        ]
        styles = next(iter(archive.related(main, "styles").values()), None)
        self._formats: list[str] = [] if styles is None else _formats(archive, styles)
        is_1904 = any(
            local(one) == "workbookPr" and one.get("date1904") in ("1", "true") for one in elements(archive, main)
        )
        self._epoch: datetime = _EPOCH_1904 if is_1904 else _EPOCH

    def rows(self, part: str) -> Iterator[Row]:
        """A sheet's rows."""
        row: list[tuple[int, str]] = []
        column = -1
        for _, element in events(self._archive, part, ("end",), _SHEET_TAGS):
            if local(element) == "row":
                yield row
                row, column = [], -1
                forget(element)
                continue
            column = _column(element.get("r") or "", column + 1)
            text = self._text(element)
            if text and not text.isspace() and column < LAST_COLUMN:
                row.append((column, text))

    def _text(self, cell: Any) -> str:
        kind, value = cell.get("t") or "n", cell.findtext("{*}v") or ""
        if kind == "inlineStr":
            return "".join(one.text or "" for one in cell.iterfind("{*}is//{*}t"))
        if kind == "s":
            return self._texts[int(value)] if value.isdecimal() and int(value) < len(self._texts) else ""
        if kind == "b":
            return "TRUE" if value == "1" else "FALSE"
        return self._number(value, cell.get("s") or "") if kind == "n" else value

    def _number(self, value: str, style: str) -> str:
        """As the sheet shows it, nearly: dates as dates, shares as percent."""
        shown = self._formats[int(style)] if style.isdecimal() and int(style) < len(self._formats) else ""
        try:
            number = float(value)
        except ValueError:
            return value
        if shown == "date" and 0 <= number <= _MOST_DAYS:
            return _date(self._epoch, number)
        return f"{number * 100:.15g}%" if shown == "percent" else f"{number:.15g}"


def _shared_texts(archive: Archive, part: str) -> Iterator[str]:
    """Without the readings that stand above Japanese ones."""
    runs: list[str] = []
    readings = 0
    for event, element in events(archive, part, ("start", "end"), _STRING_TAGS):
        name = local(element)
        readings += (name == "rPh") * (1 if event == "start" else -1)
        if event == "end" and name == "t" and not readings:
            runs.append(element.text or "")
        elif event == "end" and name == "si":
            yield "".join(runs)
            runs.clear()
            forget(element)


def _formats(archive: Archive, part: str) -> list[str]:
    """Whether each style of cells shows a date, a share, or neither."""
    own: dict[str, str] = {}
    found: list[str] = []
    for element in elements(archive, part):
        if local(element) == "numFmt":
            own[element.get("numFmtId") or ""] = _shown_by(element.get("formatCode") or "")
        elif local(element) == "cellXfs":
            found = [_shown(one.get("numFmtId") or "", own) for one in element]
    return found


def _shown(number: str, own: dict[str, str]) -> str:
    if number in own or not number.isdecimal():
        return own.get(number, "")
    return "date" if int(number) in _DATE_FORMATS else "percent" if int(number) in _PERCENT_FORMATS else ""


def _shown_by(code: str) -> str:
    signs = _LITERALS.sub("", code.partition(";")[0]).lower()
    return "percent" if "%" in signs else "date" if re.search("[ymdhs]", signs.replace("general", "")) else ""


def _date(epoch: datetime, days: float) -> str:
    at = epoch + timedelta(seconds=round(days * 86_400))
    if days < 1:
        return at.time().isoformat()
    return at.date().isoformat() if at.time() == datetime.min.time() else at.isoformat(" ")


def _column(reference: str, following: int) -> int:
    """The column a cell's reference names; cells without one follow each other."""
    found = re.match("[A-Z]{1,3}(?=[0-9])", reference)
    if found is None:
        return following
    column = 0
    for letter in found[0]:
        column = column * 26 + ord(letter) - 64
    return column - 1
