"""One spelling for each word, whoever wrote it: used for what is indexed and for what is asked, and nowhere else.

`normalize` is for whole texts and keeps what stemmers must see (case, accents); `fold` is for one word after them.
"""

import re
import unicodedata
from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any

# Seen by nobody: soft hyphens, joiners, directions, variants; Arabic and Hebrew vowel marks, and the stretching stroke.
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f"
    "\ufe00-\ufe0f\ufeff\uffa0\U000e0100-\U000e01ef"
    "\u0610-\u061a\u0640\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e8\u06ea-\u06ed"
    "\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7]"
)
_ONE_SPELLING = str.maketrans(
    {
        "أ": "ا",
        "إ": "ا",
        "آ": "ا",
        "ٱ": "ا",
        "ؤ": "و",
        "ئ": "ي",
        "ۀ": "ه",
        "ة": "ه",
    }  # letters that carry a hamza or dots
    | {"ى": "ي", "ی": "ي", "ې": "ي", "ک": "ك", "ڪ": "ك", "ہ": "ه", "ھ": "ه"}  # Persian and Urdu letters as Arabic ones
    | {"ё": "е", "Ё": "Е", "’": "'", "ʼ": "'", "ʻ": "'"}
)
_DIGITS = {
    code: str(unicodedata.digit(chr(code)))
    for start in (
        0x660,
        0x6F0,
        0x966,
        0x9E6,
        0xA66,
        0xAE6,
        0xB66,
        0xBE6,
        0xC66,
        0xCE6,
        0xD66,
        0xE50,
        0xED0,
        0x1040,
        0x17E0,
    )
    for code in range(start, start + 10)
}
_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff]")
_LETTERS = str.maketrans(
    {"æ": "ae", "œ": "oe", "ø": "o", "đ": "d", "ð": "d", "þ": "th", "ł": "l", "ħ": "h", "ŧ": "t", "ı": "i"}
    | {"ך": "כ", "ם": "מ", "ן": "נ", "ף": "פ", "ץ": "צ"}  # a letter's form at a word's end
    | {"і": "и", "ї": "и", "є": "е", "ґ": "г", "ў": "у"}  # so that the Russian stemmer knows Ukrainian endings
)
_ACCENTS = re.compile("[\u0300-\u036f]+")


def normalize(text: str) -> str:
    """`text` in compatibility form, without what cannot be seen, in one spelling. Lengths change."""
    if text.isascii():
        return text
    plain = unicodedata.normalize("NFKC", _INVISIBLE.sub("", unicodedata.normalize("NFKC", text)))
    plain = plain.translate(_ONE_SPELLING).translate(_DIGITS)
    return plain.translate(_simplified()) if _HAN.search(plain) else plain


def fold(word: str) -> str:
    """A normalized word in lower case without accents. Folding twice changes nothing."""
    if word.isascii():
        return word.lower()
    lower = word.casefold().replace("i\u0307", "i").translate(_LETTERS)
    if "\u0400" <= lower[0] <= "\u052f":
        # Here a mark makes another letter (й), unless it is a stress.
        return unicodedata.normalize("NFC", lower.replace("\u0301", "").replace("\u0300", "")).translate(_LETTERS)
    if lower[0] > "\u03ff" and not "\u1e00" <= lower[0] <= "\u1fff":
        return lower
    return _ACCENTS.sub("", unicodedata.normalize("NFD", lower)).translate(_LETTERS)


@cache
def _simplified() -> dict[int, str]:
    """Traditional Chinese characters and the simplified ones, one by one, so that no neighbour changes a word."""
    opencc: Any = import_module("opencc")  # only for Chinese; by name: it has no hints
    convert: Callable[[str], str] = opencc.OpenCC("t2s").convert
    pairs = ((code, convert(chr(code))) for code in (*range(0x3400, 0x4DC0), *range(0x4E00, 0xA000)))
    return {code: plain for code, plain in pairs if plain != chr(code) and len(plain) == 1}
