"""Bytes to characters: by mark, by what is declared, as UTF-8, by a detector, in this order. Runs in the fenced process.

Labels mean what the web says they mean (WHATWG's table): `shift_jis` is what Windows writes under that name. A handful of
bad bytes changes no encoding: they are replaced and counted.
"""

import codecs
import re
from collections import Counter
from importlib import import_module
from typing import NamedTuple

import chardet
import webencodings

from threadmill.adapters.extract.errors import UnreadableFile
from threadmill.adapters.extract.telltales import BINARY, PROBE, utf_16

MAX_REPLACED = 0.05
"""Share of a file's characters that may be replaced: more, and it is not read at all."""

BINARY_SHARE = 0.01
"""Control characters that do not occur in text: more of them than this share, and it is none."""

BAD = "\ufffd"
_JAPANESE_7_BIT = re.compile(rb"\x1b\$[@B]|\x1b\([JI]")
_WESTERN = tuple(
    frozenset(letters)
    for letters in (
        "äöüß",
        "àâæçèéêëîïôùûüÿœ",
        "áéíñóúü",
        "àáâãçéêíóôõúü",
        "àèéìíîòóù",
        "åäöæøéü",
        "àáéèëïíóöüê",
        "áéíóúýþæðö",
    )
)
"""The letters of German, French, Spanish, Portuguese, Italian, the Nordic languages, Dutch and Icelandic."""

_WESTERN_SIGNS = frozenset("€‚„…†‡‰‹‘’“”•–—™›\u00a0¡¢£§©«®°±²³´µ¶·¹º»¼½¾¿×÷ªª")
WESTERN_SHARE = 0.35
"""Of the letters of a western text: how many have an accent at most."""

_WINDOWS_NAMES = {"cp932": "shift_jis", "cp949": "euc-kr", "cp874": "windows-874"}
EUC_LEAD = 0xA1


class Decoded(NamedTuple):
    """A text; `replaced` characters of it stand for bytes that mean nothing in `encoding`."""

    text: str
    encoding: str
    replaced: int


def warm_up() -> None:
    """Load every codec and the detector's models: behind the fence no file can be opened."""
    labels: dict[str, str] = import_module("webencodings.labels").LABELS
    for name in frozenset(labels.values()) - {"replacement", "x-user-defined"}:
        codecs.lookup(_codec(name))
    import_module("heapq")  # Counter asks for it when first used
    for name in ("utf-16", "utf-16-le", "utf-16-be", "utf-8-sig", *_NOT_OF_THE_WEB):
        codecs.lookup(name)
    codecs.register_error("japanese", _japanese)
    chardet.detect("кот и пёс".encode("cp1251"), encoding_era=chardet.EncodingEra.MODERN_WEB)


def decode(data: memoryview, declared: str | None = None) -> Decoded:
    """The characters, where `declared` is a label the file itself names. Raises UnreadableFile."""
    found = _decode(bytes(data), None if declared is None else _known(declared))
    probe = found.text[:PROBE]
    if len(BINARY.findall(probe)) > BINARY_SHARE * len(probe):
        raise UnreadableFile("The file is not text.")
    if found.replaced > MAX_REPLACED * len(found.text):
        share = 100 * found.replaced / len(found.text)
        text = f"{share:.0f} % of the file's characters cannot be read in its encoding, {found.encoding}."
        raise UnreadableFile(f"{text} Save it as UTF-8.")
    return found


def _decode(data: bytes, declared: str | None) -> Decoded:
    if data.startswith(codecs.BOM_UTF8):
        return _read(data[3:], "utf-8")
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return _read(data[2:], "utf-16le" if data[:2] == codecs.BOM_UTF16_LE else "utf-16be")
    if wide := utf_16(data[:PROBE]):
        return _read(data, wide)
    if declared is not None and not declared.startswith("utf-16"):
        found = _read(data, declared)
        if found.replaced <= MAX_REPLACED * len(found.text) and not _is_utf_8_after_all(data, declared):
            return found
    return _undeclared(data)


def _undeclared(data: bytes) -> Decoded:
    if _JAPANESE_7_BIT.search(data[:PROBE]) and data.isascii():
        return _read(data, "iso-2022-jp")
    found = _read(data, "utf-8")
    if not found.replaced or _is_mostly_utf_8(found):
        return found
    return _read(data, _detected(data))


def _read(data: bytes, name: str) -> Decoded:
    codec, errors = _codec(name), "japanese" if name in ("euc-jp", "iso-2022-jp") else "replace"
    text, _ = codecs.lookup(codec).decode(data, errors)
    told = text.count(BAD)
    # What was a replacement before it came here is no loss of ours.
    return Decoded(text, name, told - data.count(b"\xef\xbf\xbd") if told and name == "utf-8" else told)


_OTHER_LABELS = {
    **dict.fromkeys(("cp936", "ms936", "windows-936"), "gbk"),
    **dict.fromkeys(("cp437", "ibm437"), "cp437"),
    **dict.fromkeys(("cp850", "ibm850"), "cp850"),
    **dict.fromkeys(("cp852", "ibm852"), "cp852"),
    **dict.fromkeys(("hz", "hz-gb-2312"), "hz"),
}
"""What the web's table does not have, and files of before the web say."""

_NOT_OF_THE_WEB = frozenset({"cp437", "cp850", "cp852", "hz"})
"""Names that are Python's own."""


def _known(label: str) -> str | None:
    """The name of the encoding a label stands for; None for labels nobody knows and those that mean trouble."""
    if (other := _OTHER_LABELS.get(label.strip().lower())) is not None:
        return other
    for spelling in (label, label.replace("-", ""), label.replace("_", "-")):
        found = webencodings.lookup(spelling)
        if found is not None and found.name not in ("replacement", "x-user-defined"):
            return found.name
    return None


def _codec(name: str) -> str:
    if name in _NOT_OF_THE_WEB:
        return name
    found = webencodings.lookup(name)
    # gb18030 has all of gbk and what Windows added to it.
    return "gb18030" if name in ("gbk", "gb18030") or found is None else found.codec_info.name


def _is_utf_8_after_all(data: bytes, declared: str) -> bool:
    """A page says `iso-8859-1` and is UTF-8: by chance that never happens."""
    if not declared.startswith(("windows-125", "iso-8859")) or data.isascii():
        return False
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _is_mostly_utf_8(found: Decoded) -> bool:
    """A few bad bytes among many good sequences."""
    good = sum(letter > "\x7f" for letter in found.text) - found.replaced
    return good >= 2 * found.replaced and found.replaced <= MAX_REPLACED * len(found.text)


def _detected(data: bytes) -> str:
    probe = _probe(data)
    if _is_western(probe):
        return "windows-1252"
    found = chardet.detect(probe, encoding_era=chardet.EncodingEra.MODERN_WEB)["encoding"] or ""
    return _WINDOWS_NAMES.get(found.lower()) or _known(found) or "windows-1252"


def _probe(data: bytes) -> bytes:
    """A part around the first byte that is not ASCII, where the evidence is."""
    first = next((at for at in range(0, len(data), PROBE) if not data[at : at + PROBE].isascii()), 0)
    return data[first : first + 3 * PROBE]


def _is_western(probe: bytes) -> bool:
    """Words in Latin letters with the accents of one western language, which detectors take for others."""
    text = probe.decode("cp1252", "replace")
    accented = Counter(letter.lower() for letter in text if letter > "\x7f" and letter not in _WESTERN_SIGNS)
    letters = sum(letter.isalpha() for letter in text)
    own = frozenset(accented)
    return accented.total() <= WESTERN_SHARE * letters and any(own <= known for known in _WESTERN)


def _japanese(error: UnicodeError) -> tuple[str, int]:
    """Characters Windows added to JIS (①, ㈱), which Python's codecs of EUC and ISO-2022 lack."""
    assert isinstance(error, UnicodeDecodeError)
    pair = bytes(byte | 0x80 for byte in error.object[error.start : error.start + 2])
    if len(pair) == 2 and min(pair) >= EUC_LEAD:
        text = _shifted(pair).decode("cp932", "replace")
        if BAD not in text:
            return text, error.start + 2
    return BAD, error.start + 1


def _shifted(pair: bytes) -> bytes:
    """A pair of EUC-JP as Shift_JIS."""
    row, cell = pair[0] - 0xA0, pair[1] - 0xA0
    lead = (row + 1) // 2 + (0x80 if row <= 62 else 0xC0)
    if row % 2:
        return bytes((lead, cell + (0x3F if cell < 64 else 0x40)))
    return bytes((lead, cell + 0x9E))
