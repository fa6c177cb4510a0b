"""Mail (EML) to text, by the standard library. Runs in the fenced process."""

import email
import email.policy
from collections.abc import Iterator
from email.message import Message
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from threadmill.adapters.extract.decoding import decode
from threadmill.adapters.extract.errors import TextBuffer, UnreadableFile
from threadmill.adapters.extract.html import read_html

if TYPE_CHECKING:
    Mail: TypeAlias = Message[Any, Any]  # has parameters in its hints only

HEADERS = ("Subject", "From", "To", "Cc", "Date")

MAX_NESTED = 20
"""Parts within parts of a mail that are looked into."""


def read_mail(data: memoryview, out: TextBuffer) -> None:
    """What a reader of the mail sees: its headers and its words; of two forms of the same the plain one."""
    message = email.message_from_bytes(bytes(data), policy=email.policy.default)
    if not any(name in message for name in HEADERS):
        raise UnreadableFile("The file is not a mail: it has no headers.")
    _read_message(message, out, 0)
    out.notes.format = "EML"


def _read_message(message: "Mail", out: TextBuffer, depth: int) -> None:
    for name in HEADERS:
        if value := message.get(name):
            out.add(f"{name}: {' '.join(str(value).split())}\n")
    out.add("\n")
    _read_part(message, out, depth)


def _read_part(part: "Mail", out: TextBuffer, depth: int) -> None:
    if depth > MAX_NESTED:
        raise RecursionError
    kind = part.get_content_type()
    if part.get_content_disposition() == "attachment":
        out.notes.remark("What is attached is not read.")
    elif kind == "message/rfc822":
        for inner in _inner(part):
            _read_message(inner, out, depth + 1)
    elif kind == "multipart/alternative":
        forms = {one.get_content_type(): one for one in _inner(part)}
        best = forms.get("text/plain") or next(reversed(forms.values()), None)
        if best is not None:
            _read_part(best, out, depth + 1)
    elif part.is_multipart():
        for inner in _inner(part):
            _read_part(inner, out, depth + 1)
    else:
        _read_body(part, kind, out)


def _inner(part: "Mail") -> Iterator["Mail"]:
    held = part.get_payload()
    if isinstance(held, list):
        yield from cast("list[Mail]", held)


def _read_body(part: "Mail", kind: str, out: TextBuffer) -> None:
    held = part.get_payload(decode=True)
    if not isinstance(held, bytes) or not held.strip():
        return
    if kind == "text/html":
        read_html(memoryview(held), out)
    elif kind.startswith("text/"):
        found = decode(memoryview(held), part.get_content_charset())
        out.notes.replaced += found.replaced
        out.add(found.text + "\n")
    else:
        out.notes.remark("Pictures and other parts that are no text are not read.")
