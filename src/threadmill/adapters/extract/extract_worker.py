"""The reader of every kind of file, with all parsers. Forked by `fork_server.py`, answers as `answering.py` says."""

from collections.abc import Callable
from importlib import import_module

from threadmill.adapters.extract import decoding
from threadmill.adapters.extract.answering import answer_with
from threadmill.adapters.extract.books import read_epub, read_odt
from threadmill.adapters.extract.errors import TextBuffer, UnreadableFile
from threadmill.adapters.extract.html import read_html
from threadmill.adapters.extract.mail import read_mail
from threadmill.adapters.extract.office import read_docx, read_pptx
from threadmill.adapters.extract.pdf import read_pdf
from threadmill.adapters.extract.plain import read_json, read_text
from threadmill.adapters.extract.sheets import read_csv, read_xlsx
from threadmill.adapters.extract.word97 import read_doc, read_rtf

Reader = Callable[[memoryview, TextBuffer], None]

READERS: dict[str, Reader] = {
    ".pdf": read_pdf, ".docx": read_docx, ".pptx": read_pptx, ".doc": read_doc, ".html": read_html, ".json": read_json,
    ".csv": read_csv, ".tsv": read_csv, ".xlsx": read_xlsx, ".rtf": read_rtf, ".odt": read_odt, ".epub": read_epub,
    ".eml": read_mail,
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
    "email.headerregistry",
    "email.iterators",
    "base64",
)
"""Imported by others when first used, which behind the fence is too late."""

KINDS = {
    b"%PDF-": "a PDF",
    b"PK\x03\x04": "a zip archive",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": "an old Office document",
}
"""How files begin whose extension may say something else."""

FORMATS = {".pdf": "PDF", ".docx": "DOCX", ".pptx": "PPTX", ".doc": "Word 97"}

OWN_KINDS = {
    ".pdf": "a PDF", ".doc": "an old Office document",
    **dict.fromkeys((".docx", ".pptx", ".xlsx", ".odt", ".epub"), "a zip archive"),
}  # fmt: skip


def preload() -> None:
    """Import all that readers need: behind the fence no file can be opened."""
    for name in MODULES:
        import_module(name)
    decoding.warm_up()


def answer(extension: str, memory_bytes: int, cpu_seconds: int, max_characters: int) -> None:
    """Read any file that is supported; does not return."""

    def read(data: memoryview, out: TextBuffer) -> None:
        _check_kind(extension, data)
        out.notes.format = FORMATS.get(extension, "text")
        READERS.get(extension, read_text)(data, out)

    answer_with(read, memory_bytes, cpu_seconds, max_characters)


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
