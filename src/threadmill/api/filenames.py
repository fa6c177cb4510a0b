"""What an uploaded file is called: `filename*` where it is whole (RFC 8187), else `filename`, also as an encoded word.

.NET's HttpClient sends both for a name that is not ASCII, the plain one as an encoded word of e-mail (RFC 2047).
"""

import re
from email.errors import MessageError
from email.header import decode_header, make_header
from urllib.parse import unquote_to_bytes

_PARAMETER = re.compile(r';\s*([^\s=;"]+)\s*=\s*("(?:\\.|[^"\\])*"|[^;]*)')
_EXTENDED = re.compile(
    r"(utf-8|iso-8859-1|us-ascii)'[A-Za-z0-9-]*'((?:%[0-9A-Fa-f]{2}|[!#$&+.^_`|~0-9A-Za-z-])+)", re.IGNORECASE
)
_ENCODED_WORDS = re.compile(r"(?:=\?[\w-]{1,40}\?[BbQq]\?[^?\s]*\?=\s*)+")


def filename_of(disposition: str, plain: str | None) -> str | None:
    """The name in a part's Content-Disposition, of which `plain` is the `filename`; None where it names no file."""
    for name, value in _PARAMETER.findall(disposition):
        if name.lower() == "filename*" and (extended := _extended(value.strip().strip('"'))):
            return extended
    return plain if plain is None else _decoded_words(plain)


def _extended(value: str) -> str:
    """An extended value's text; empty where it is not whole."""
    found = _EXTENDED.fullmatch(value)
    try:
        return "" if found is None else unquote_to_bytes(found[2]).decode(found[1])
    except UnicodeDecodeError:
        return ""


def _decoded_words(text: str) -> str:
    if not _ENCODED_WORDS.fullmatch(text):
        return text
    try:
        return str(make_header(decode_header(text))) or text
    except (MessageError, LookupError, ValueError):
        return text
