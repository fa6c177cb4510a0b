"""A word and the terms it is indexed and looked for by: its stem, its parts if it is an identifier, its n-grams."""

import hashlib
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from importlib import import_module
from typing import Any

from threadmill.adapters.search.normalization import fold

LONGEST_WORD = 60
"""Characters of the longest word indexed as it is; of a longer one, a hash or a URL, its fingerprint is."""

LONGEST_IDENTIFIER = 4 * LONGEST_WORD
"""Characters of the longest word whose parts are looked at."""

MAX_PARTS = 12
"""Parts of an identifier; what has more is base64 and the like."""

MAX_GRAMMED = 40
"""Characters of the longest word that is cut into n-grams."""

KNOWN_WORDS = 30_000
"""Words whose terms are kept: some 10 MB, and ten times as fast as computing them."""

STEMMERS: Mapping[str, str] = {
    "en": "english", "de": "german", "fr": "french", "es": "spanish", "pt": "portuguese", "it": "italian",
    "nl": "dutch", "sv": "swedish", "da": "danish", "no": "norwegian", "fi": "finnish", "hu": "hungarian",
    "cs": "czech", "sk": "czech", "pl": "polish", "hr": "serbian", "ro": "romanian", "tr": "turkish",
    "id": "indonesian", "ca": "catalan", "et": "estonian", "lt": "lithuanian", "ar": "arabic", "fa": "persian",
    "cyrillic": "russian", "greek": "greek", "devanagari": "hindi", "tamil": "tamil", "armenian": "armenian",
}  # fmt: skip
"""Snowball's stemmer of each language, or of a script that is taken for one language. Vietnamese has no endings."""

# Where Snowball has none: endings, the longest first, and what may stand before a word. At least two letters stay.
_PARTICLES = re.compile(
    "(?:에서는|에서도|으로부터|이라는|이라고|에게서|까지는|부터는|입니다|합니다|했습니다|됩니다|에서|에게|으로|까지|부터|처럼|보다|마다|조차|"
    "하고|이나|라고|라는|께서|한테|이며|이고|하는|하다|한다|된다|되는|인가|은|는|이|가|을|를|의|에|와|과|도|만|로|나|며)$"
)
# Of folded words: their last letters have no form of their own.
_HEBREW_ENDING = re.compile("(?:ותיהמ|יהמ|יכמ|ינו|ותיו|יות|ימ|ות|יה|יו|ית|ה|י|ת)$")
_HEBREW_OPENING = re.compile("^(?:וכש|ושה|וה|ול|ומ|וב|שה|מה|כש|ה|ו|ב|ל|כ|מ|ש)")
_BENGALI_ENDING = re.compile(
    "(?:গুলোকে|গুলোর|গুলির|গুলিতে|গুলো|গুলি|দেরকে|দের|টিকে|টির|টার|টিতে|য়ের|ের|টি|টা|রা|কে|তে|য়|র|ে|ই|ও)$"
)

_IDENTIFIER = re.compile("_|[a-z][A-Z]|[A-Z]{2}[a-z]")
_PARTS = re.compile("[A-Z]+(?![a-z])[0-9]*|[A-Z]?[^\\W\\d_A-Z]+[0-9]*|[0-9]+")

GRAM_SIZE: Mapping[str, int] = {"latin": 4, "cyrillic": 4, "greek": 4, "armenian": 4, "georgian": 4, "hangul": 2}
OTHER_GRAM_SIZE = 3
"""Letters of an n-gram where vowels are marks or not written."""


def fingerprint(word: str) -> str:
    """Stands for a word too long to be indexed."""
    return "#" + hashlib.blake2b(word.encode("utf-8", "replace"), digest_size=12).hexdigest()


@lru_cache(KNOWN_WORDS)
def stems(word: str, script: str, language: str) -> tuple[str, ...]:
    """The terms of a normalized word read as `language`, the surest first; any of them is a match."""
    if script == "long":
        return (word,)
    if len(word) > LONGEST_WORD:
        return (fingerprint(fold(word)),)
    if script == "latin":
        return (_latin(word, language),)
    folded = fold(word)
    if script == "arabic":
        return (fold(_stem(STEMMERS[language], folded)) or folded,)
    if (light := _LIGHT.get(script)) is not None:
        return tuple(dict.fromkeys((folded, light(folded))))
    stemmer = STEMMERS.get(script)
    return (folded if stemmer is None else fold(_stem(stemmer, folded)) or folded,)


def _latin(word: str, language: str) -> str:
    if language == "en":
        # As long as accents in English are decoration.
        return _stem("english", fold(word))
    if language == "tr":
        word = word.replace("I", "ı").replace("İ", "i")
    name = STEMMERS.get(language)
    return fold(word) if name is None else fold(_stem(name, word.lower())) or fold(word)


def _stem(stemmer: str, word: str) -> str:
    held: Any = _STEMMERS.by_name.get(stemmer)
    if held is None:
        held = _STEMMERS.by_name[stemmer] = _SNOWBALL.Stemmer(stemmer, 0)  # 0: the cache is ours
    stemmed: str = held.stemWord(word)
    return stemmed


_SNOWBALL: Any = import_module("Stemmer")  # by name: it is in C and has no hints


class _Stemmers(threading.local):
    """Stemmers of this thread: two threads may not use one at the same time."""

    def __init__(self) -> None:
        self.by_name: dict[str, Any] = {}


_STEMMERS = _Stemmers()


def _korean(word: str) -> str:
    return word[:-1] if len(word) < 2 else _PARTICLES.sub("", word, 1) or word


def _hebrew(word: str) -> str:
    short = _HEBREW_OPENING.sub("", word, 1)
    word = short if len(short) > 2 else word
    short = _HEBREW_ENDING.sub("", word, 1)
    return short if len(short) > 1 else word


def _bengali(word: str) -> str:
    short = _BENGALI_ENDING.sub("", word, 1)
    return short if len(short) > 1 else word


_LIGHT: Mapping[str, Callable[[str], str]] = {"hangul": _korean, "hebrew": _hebrew, "bengali": _bengali}


def parts(word: str) -> Sequence[str]:
    """The words an identifier is made of; none for what is no identifier."""
    if not _IDENTIFIER.search(word):
        return ()
    found: list[str] = _PARTS.findall(word)
    return found if 1 < len(found) <= MAX_PARTS else ()


@lru_cache(KNOWN_WORDS)
def grams(word: str, script: str) -> tuple[str, ...]:
    """The n-grams of a normalized word, for what stemming misses: compounds, and languages without a stemmer."""
    folded, size = fold(word), GRAM_SIZE.get(script, OTHER_GRAM_SIZE)
    if script == "long" or not size <= len(folded) <= MAX_GRAMMED or folded.isdigit():
        return ()
    return tuple(dict.fromkeys(folded[at : at + size] for at in range(len(folded) - size + 1)))
