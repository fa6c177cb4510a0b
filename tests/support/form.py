"""What an upload's form says, in the shape of its JSON schema: `a[b]` is `b` of `a`, and whole numbers are numbers."""

from email.parser import BytesParser
from email.policy import HTTP
from typing import Any


def form_of(content_type: str, body: bytes) -> dict[str, Any]:
    """A form's fields; a file is its name."""
    message = BytesParser(policy=HTTP).parsebytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body)
    said: dict[str, Any] = {}
    for part in message.iter_parts():
        name = str(part.get_param("name", "", "content-disposition"))
        content = part.get_payload(decode=True)
        text = part.get_filename() or (content.decode(errors="replace") if isinstance(content, bytes) else "")
        outer, _, inner = name.rstrip("]").partition("[")
        if inner:
            said.setdefault(outer, {})[inner] = int(text) if text.isdecimal() else text
        else:
            said[name] = text
    return said
