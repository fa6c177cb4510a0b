"""What tells a text's encoding without a detector: what it declares, signs of UTF-16. Light, for it is in every reader."""

import re
from collections import Counter
from collections.abc import Iterator

PROBE = 65_536
"""Bytes looked at to tell an encoding."""

BINARY = re.compile("[\x00-\x06\x0e-\x1a\x1c-\x1f]")
"""Control characters that do not occur in text."""

_CODECS = {"utf-16le": "utf-16-le", "utf-16be": "utf-16-be"}
# Spaces, line ends and full stops between what may be UTF-16: in no other encoding do they look like this.
_PAUSES = frozenset(" \n\u3000\u3001\u3002\uff0c\uff01\uff1f")
_WIDE = re.compile(
    "[\t\n\r -~\u00a0-\u05ff\u0600-\u06ff\u0900-\u0eff\u1e00-\u206f\u20a0-\u20bf\u3000-\u30ff\u4e00-\u9fff\uac00-\ud7a3\uff01-\uff9f]"
)


def utf_16(head: bytes) -> str | None:
    """UTF-16 without a mark, told by zero bytes, by one script's high bytes, or by its pauses."""
    pairs = len(head) // 2
    if not pairs:
        return None
    for name, high in (("utf-16le", head[1::2]), ("utf-16be", head[0 : 2 * pairs : 2])):
        if high.count(0) > 0.3 * pairs and _is_wide(head, name):
            return name
    if head.isascii() and not BINARY.search(head.decode("ascii")):
        return None
    for name, high in (("utf-16le", head[1::2]), ("utf-16be", head[0 : 2 * pairs : 2])):
        value, count = Counter(high).most_common(1)[0]
        if ((value < 0x10 and count > 0.5 * pairs) or _has_pauses(head, name)) and _is_wide(head, name):
            return name
    return None


def _is_wide(head: bytes, name: str) -> bool:
    text = head[: len(head) // 2 * 2].decode(_CODECS[name], "replace")
    return len(_WIDE.findall(text)) >= 0.95 * len(text)


def _has_pauses(head: bytes, name: str) -> bool:
    text = head[: len(head) // 2 * 2].decode(_CODECS[name], "replace")
    return any(letter in _PAUSES for letter in text)


def declared_in(head: bytes) -> Iterator[str]:
    """The labels a page or a source file names, the surest first."""
    for pattern in _DECLARATIONS:
        for found in pattern.finditer(head):
            yield found[1].decode("ascii", "replace")


_DECLARATIONS = (
    re.compile(rb"""^\s*<\?xml[^>]{0,200}?encoding\s*=\s*["']([\w.:-]{2,40})"""),
    re.compile(rb"""<meta[^>]{0,400}?charset\s*=\s*["']?\s*([\w.:-]{2,40})""", re.IGNORECASE),
    re.compile(rb"""^\s*@charset\s+"([\w.:-]{2,40})\""""),
    re.compile(rb"""\A(?:[^\n]*\n)?[^\n]*?coding[:=]\s*([\w.-]{2,40})"""),
    re.compile(rb"""\\usepackage\[([\w.-]{2,40})\]\{inputenc\}"""),
)
