"""Which files file_search takes, told by their extension (behaviour.md 7.5), and how others are refused."""

from collections.abc import Collection, Iterable

from threadmill.domain.error import InvalidRequest

TEXT_EXTENSIONS = frozenset(
    ".c .cpp .cs .css .go .java .js .json .md .php .py .rb .sh .tex .ts .txt".split()  # noqa: SIM905 - a list to read
)
"""Read as text in UTF-8, UTF-16 or ASCII."""

DOCUMENT_EXTENSIONS = frozenset({".doc", ".docx", ".html", ".pdf", ".pptx"})
SPREADSHEET_EXTENSIONS = frozenset({".csv", ".tsv", ".xlsx"})
"""The service refused these, and so does this server where it is told to."""

ADDED_EXTENSIONS = frozenset({".eml", ".epub", ".odt", ".rtf"})
"""The service refused these too."""

SUPPORTED_EXTENSIONS = TEXT_EXTENSIONS | DOCUMENT_EXTENSIONS | SPREADSHEET_EXTENSIONS | ADDED_EXTENSIONS

_SEE = "See https://platform.openai.com/docs/assistants/tools/file-search/supported-files"


def extension_of(filename: str) -> str:
    """The last extension in lower case with its dot, "" without one."""
    _, dot, extension = filename.rpartition(".")
    return f".{extension.lower()}" if dot else ""


def check_supported(
    filenames: Iterable[str], param: str = "file_ids", supported: Collection[str] = SUPPORTED_EXTENSIONS
) -> None:
    """Raise InvalidRequest, in the service's words (behaviour.md 4), if one of the files cannot be searched."""
    extensions = dict.fromkeys(extension_of(name) for name in filenames)
    if bad := [extension for extension in extensions if extension not in supported]:
        text = f"Files with extensions [{', '.join(one or 'none' for one in bad)}] are not supported for retrieval."
        raise InvalidRequest(f"{text} {_SEE}", param=param, code="unsupported_file")
