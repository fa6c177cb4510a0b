"""Plain text, source code, Markdown and JSON: bytes to characters. Runs in the fenced process."""

import codecs
import re

from threadmill.adapters.extract.errors import TextBuffer, UnreadableFile

PROBE = 65_536
"""Bytes looked at to tell UTF-16 without a byte order mark."""

BINARY_SHARE = 0.01
"""Control characters that do not occur in text: more of them than this share, and it is none."""

_BINARY = re.compile("[\x00-\x06\x0e-\x1a\x1c-\x1f]")
_NOT_TEXT = "The file is not text in UTF-8, UTF-16 or ASCII."
_ESCAPE = re.compile(
    r"\\(?:u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|.)", re.DOTALL
)


def read_text(data: memoryview, out: TextBuffer) -> None:
    """Text in UTF-8, UTF-16 with or without a mark, or ASCII. Raises UnreadableFile for anything else."""
    out.add(decode(data))


def read_json(data: memoryview, out: TextBuffer) -> None:
    r"""JSON as it is written, but with `\u00e9` as é, which is how it is asked for."""
    text = decode(data)
    out.add(_ESCAPE.sub(_character, text) if "\\u" in text else text)


def decode(data: memoryview) -> str:
    """The characters. Raises UnreadableFile."""
    try:
        text = codecs.decode(data, encoding_of(bytes(data[:PROBE])))
    except UnicodeDecodeError:
        raise UnreadableFile(_NOT_TEXT) from None
    probe = text[:PROBE]
    if len(_BINARY.findall(probe)) > BINARY_SHARE * len(probe):
        raise UnreadableFile(_NOT_TEXT)
    return text.removeprefix("\ufeff")


def encoding_of(head: bytes) -> str:
    """UTF-16 by its mark or by the zero bytes every second letter of most languages has; else UTF-8."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    pairs = len(head) // 2
    if pairs and head[1::2].count(0) > 0.3 * pairs:
        return "utf-16-le"
    return "utf-16-be" if pairs and head[0::2].count(0) > 0.3 * pairs else "utf-8"


def _character(found: re.Match[str]) -> str:
    """What an escape stands for; itself where the bare character would change what the JSON says."""
    high, low, single = found.groups()
    if high:
        return bytes.fromhex(high + low).decode("utf-16-be")
    code = int(single, 16) if single else 0
    is_plain = code >= 0xA0 and not 0xD800 <= code < 0xE000
    return chr(code) if is_plain else found[0]
