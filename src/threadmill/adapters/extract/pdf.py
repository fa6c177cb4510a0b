"""PDF to text by pdfium, Chromium's own library, page by page. Runs in the fenced process."""

import re
from typing import Any

import pypdfium2  # pyright: ignore[reportMissingTypeStubs] - annotated in part
from pypdfium2 import raw  # pyright: ignore[reportMissingTypeStubs] - see above

from threadmill.adapters.extract.errors import TextBuffer, UnreadableFile

_LIGATURES = str.maketrans({"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st"})
# How pdfium marks a hyphen that only divides a word at a line's end.
_DIVIDED = re.compile("[\x02\ufffe\u00ad](?:\r?\n)?")

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
    pages, lost = len(document), 0
    for number in range(pages):
        try:
            text = _page(document[number])
        except pypdfium2.PdfiumError:
            lost += 1
            continue
        if text.strip():
            out.add(f"{text.strip()}\n\n")
    if not pages or lost == pages:
        raise UnreadableFile("The PDF is broken: none of its pages can be read.")


def _page(page: Any) -> str:
    try:
        reader = page.get_textpage()
        try:
            text: str = reader.get_text_bounded()
        finally:
            reader.close()
    finally:
        page.close()
    return _DIVIDED.sub("", text).translate(_LIGATURES)
