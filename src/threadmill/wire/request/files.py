"""An upload's form fields and a file list's query (behaviour.md 7.1). Forms carry strings only, so they are read by hand."""

import re
from collections.abc import Mapping

from threadmill.domain.error import InvalidRequest
from threadmill.domain.file import UPLOAD_PURPOSES, FilePurpose, NewFile
from threadmill.domain.page import PageQuery
from threadmill.wire.request import validation_error
from threadmill.wire.request.query import page_query

MIN_EXPIRY, MAX_EXPIRY = 3_600, 2_592_000
"""Seconds of `expires_after`: an hour to 30 days."""

MAX_FILES_PAGE = 10_000
MAX_FILENAME = 512

_FIELDS = ("purpose", "expires_after[anchor]", "expires_after[seconds]")


def new_file(filename: str | None, fields: Mapping[str, str]) -> NewFile:
    """The file an upload asks for. Raises InvalidRequest."""
    if filename is None:
        raise validation_error.missing("file")
    for name in fields:
        if name not in _FIELDS:
            raise validation_error.unknown(name)
    if "purpose" not in fields:
        raise validation_error.missing("purpose")
    return NewFile(safe_name(filename), _purpose(fields["purpose"]), _expiry(fields))


def safe_name(filename: str) -> str:
    """What the client called the file, `text/csv` included; of a way to anywhere, its last part. Raises InvalidRequest."""
    name = "".join(character for character in filename if character.isprintable()).strip()
    parts = re.split(r"[/\\]", name)
    if "\\" in name or any(not part.strip(". ") for part in parts):
        name = parts[-1].strip()
    if len(name) > MAX_FILENAME:
        raise validation_error.too_long("file.filename", MAX_FILENAME, len(name))
    return name if name.strip(".") else "upload"


def _purpose(text: str) -> FilePurpose:
    if text not in UPLOAD_PURPOSES:
        names = ", ".join(f"'{purpose}'" for purpose in UPLOAD_PURPOSES)
        raise InvalidRequest(f"'{text}' is not one of [{names}] - 'purpose'", param="purpose")
    return FilePurpose(text)


def _expiry(fields: Mapping[str, str]) -> int | None:
    anchor, seconds = fields.get("expires_after[anchor]"), fields.get("expires_after[seconds]")
    if anchor is None and seconds is None:
        return None
    if anchor is None:
        raise validation_error.missing("expires_after[anchor]")
    if anchor != "created_at":
        raise validation_error.bad_value(anchor, ["created_at"], "expires_after[anchor]")
    if seconds is None:
        raise validation_error.missing("expires_after[seconds]")
    return _expiry_seconds(seconds)


def _expiry_seconds(text: str) -> int:
    param = "expires_after[seconds]"
    if not re.fullmatch(r"-?[0-9]{1,18}", text):
        raise validation_error.wrong_type(param, "an integer", text)
    seconds = int(text)
    if seconds < MIN_EXPIRY:
        raise validation_error.out_of_range(param, seconds, MIN_EXPIRY, above=False)
    if seconds > MAX_EXPIRY:
        raise validation_error.out_of_range(param, seconds, MAX_EXPIRY, above=True)
    return seconds


def files_query(query: Mapping[str, str]) -> tuple[PageQuery, FilePurpose | None]:
    """Limit 1..10,000 (10,000), order, after, and the purpose asked for. Raises InvalidRequest."""
    purpose = query.get("purpose")
    if purpose and purpose not in tuple(FilePurpose):
        raise validation_error.bad_value(purpose, tuple(FilePurpose), "purpose")
    return page_query(query, max_limit=MAX_FILES_PAGE, default_limit=MAX_FILES_PAGE), FilePurpose(
        purpose
    ) if purpose else None
