"""Plain text, source code, Markdown and JSON. Runs in the fenced process."""

import re

from threadmill.adapters.extract.decoding import decode
from threadmill.adapters.extract.errors import TextBuffer
from threadmill.adapters.extract.telltales import PROBE, declared_in

_ESCAPE = re.compile(
    r"\\(?:u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|.)", re.DOTALL
)


def read_text(data: memoryview, out: TextBuffer) -> None:
    """Text in the encoding it names or is found to be in. Raises UnreadableFile."""
    out.add(decoded(data, out))


def read_json(data: memoryview, out: TextBuffer) -> None:
    r"""JSON as it is written, but with `\u00e9` as é, which is how it is asked for."""
    text = decoded(data, out)
    out.notes.format = "JSON"
    out.add(_ESCAPE.sub(_character, text) if "\\u" in text else text)


def decoded(data: memoryview, out: TextBuffer) -> str:
    """The characters of a text file; notes which encoding it was. Raises UnreadableFile."""
    found = decode(data, next(declared_in(bytes(data[:PROBE])), None))
    out.notes.encoding, out.notes.replaced = found.encoding, found.replaced
    return found.text


def _character(found: re.Match[str]) -> str:
    """What an escape stands for; itself where the bare character would change what the JSON says."""
    high, low, single = found.groups()
    if high:
        return bytes.fromhex(high + low).decode("utf-16-be")
    code = int(single, 16) if single else 0
    is_plain = code >= 0xA0 and not 0xD800 <= code < 0xE000
    return chr(code) if is_plain else found[0]
