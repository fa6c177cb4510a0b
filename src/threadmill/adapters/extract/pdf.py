"""PDF to text by pdfium, Chromium's own library, page by page. Runs in the fenced process."""

import ctypes
import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pypdfium2  # pyright: ignore[reportMissingTypeStubs] - annotated in part
from pypdfium2 import raw as typed_raw  # pyright: ignore[reportMissingTypeStubs] - see above

from threadmill.adapters.extract.errors import TextBuffer, UnreadableFile
from threadmill.adapters.extract.pdf_order import TO_BE_ORDERED, ordered_text, widen

raw: Any = typed_raw  # half of its hints are unknown

_LIGATURES = str.maketrans({"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st"})
# How pdfium marks a hyphen that only divides a word at a line's end.
_DIVIDED = re.compile("[\x02\ufffe\u00ad](?:\r?\n)?")

_CONTROLS = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f]")
_TEXT_FIELDS = (raw.FPDF_FORMFIELD_TEXTFIELD, raw.FPDF_FORMFIELD_COMBOBOX, raw.FPDF_FORMFIELD_LISTBOX)
MAX_FIELD_BYTES = 1_000_000
"""Of one field's value."""

_REASONS = {
    raw.FPDF_ERR_PASSWORD: "The PDF is encrypted with a password.",
    raw.FPDF_ERR_SECURITY: "The PDF is encrypted in a way that is not supported.",
}


def read_pdf(data: memoryview, out: TextBuffer) -> None:
    """The text of all pages, an empty line between two. A broken page is left out. Raises UnreadableFile."""
    try:
        document = pypdfium2.PdfDocument(bytes(data))
    except pypdfium2.PdfiumError as error:
        code: int | None = getattr(error, "err_code", None)
        raise UnreadableFile(_REASONS.get(code or 0, "The PDF is broken and cannot be opened.")) from None
    forms: Any = document
    forms.init_forms()
    pages, lost = len(document), 0
    out.notes.format, out.notes.pages = "PDF", pages
    for number in range(pages):
        try:
            text = _page(document, number)
        except pypdfium2.PdfiumError:
            lost += 1
            continue
        if text.strip():
            out.add(f"{text.strip()}\n\n")
        else:
            out.notes.blank_pages += 1
    if not pages or lost == pages:
        raise UnreadableFile("The PDF is broken: none of its pages can be read.")
    if lost:
        out.notes.remark(f"{lost:,} of {pages:,} pages are broken and were left out.")


def _page(document: Any, number: int) -> str:
    page = document[number]
    try:
        widen(page)
        reader = page.get_textpage()
        try:
            text: str = _CONTROLS.sub("", _DIVIDED.sub("", _text(page, reader)))
        finally:
            reader.close()
        return "\n".join((text.translate(_LIGATURES), *_annotations(document, page)))
    finally:
        page.close()


def _text(page: Any, reader: Any) -> str:
    """What stands inside the page's crop box. By where characters begin: those of vertical text may have no width."""
    crop, media = tuple(page.get_cropbox()), tuple(page.get_mediabox())
    whole: str = reader.get_text_range()
    if crop == media and not TO_BE_ORDERED.search(whole):
        return whole
    return ordered_text(reader, None if crop == media else crop)


def _annotations(document: Any, page: Any) -> Iterator[str]:
    """What was filled into fields, and notes that stand on the page as text."""
    for index in range(raw.FPDFPage_GetAnnotCount(page.raw)):
        annotation = raw.FPDFPage_GetAnnot(page.raw, index)
        try:
            kind = raw.FPDFAnnot_GetSubtype(annotation)
            if kind == raw.FPDF_ANNOT_FREETEXT:
                text = _wide(partial(raw.FPDFAnnot_GetStringValue, annotation, b"Contents"))
            elif kind == raw.FPDF_ANNOT_WIDGET and document.formenv is not None:
                text = _field(document.formenv.raw, annotation)
            else:
                continue
            if text.strip():
                yield text
        finally:
            raw.FPDFPage_CloseAnnot(annotation)


def _field(form: Any, annotation: Any) -> str:
    value = _wide(partial(raw.FPDFAnnot_GetFormFieldValue, form, annotation))
    if raw.FPDFAnnot_GetFormFieldType(form, annotation) not in _TEXT_FIELDS or not value.strip():
        return ""
    name = _wide(partial(raw.FPDFAnnot_GetFormFieldAlternateName, form, annotation))
    return f"{name or _wide(partial(raw.FPDFAnnot_GetFormFieldName, form, annotation))}: {value}"


def _wide(ask: Callable[[Any, int], int]) -> str:
    """A text pdfium gives in UTF-16, after it was asked how long it is."""
    size = ask(None, 0)
    if not 2 < size < MAX_FIELD_BYTES:
        return ""
    held = ctypes.create_string_buffer(size)
    ask(ctypes.cast(held, ctypes.POINTER(ctypes.c_ushort)), size)
    return held.raw[: size - 2].decode("utf-16-le", "replace")
