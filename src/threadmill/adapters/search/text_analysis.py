"""Text to terms: what tantivy indexes of a chunk, and what of a question is looked for. Both go the same way.

tantivy only splits at blanks; everything a word goes through happens here, so that no two readings can differ.
"""

import math
import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from itertools import pairwise
from typing import NamedTuple

from threadmill.adapters.search.languages import (
    DEFAULT,
    Language,
    arabic_language,
    cyrillic_language,
    function_words,
    latin_language,
)
from threadmill.adapters.search.normalization import fold, normalize
from threadmill.adapters.search.words import KNOWN_WORDS, LONGEST_IDENTIFIER, fingerprint, grams, parts, stems

_CJK = "\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_SYLLABIC = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\ua9e0-\ua9ff\uaa60-\uaa7f"
"""Thai, Lao, Burmese, Khmer: written without spaces, like Chinese and Japanese above."""

_HANGUL = "\u1100-\u11ff\u3130-\u318f\ua960-\ua97f\uac00-\ud7ff"
_HIRAGANA = re.compile("[\u3041-\u309f]+")
_ASCII_WORD = re.compile("[A-Za-z0-9_]+")

GRAM_SHARE = 0.5
"""Of a word's n-grams: how many a chunk must have for the word to be found inside another."""

UNIT_BOOST, HIRAGANA_BOOST = 0.2, 0.25
"""What a character of a script without spaces counts beside a pair, and a pair without matter beside others."""

_SCRIPTS = (
    (0x0250, "latin"), (0x0370, "other"), (0x0400, "greek"), (0x0530, "cyrillic"), (0x0590, "armenian"),
    (0x0600, "hebrew"), (0x0700, "arabic"), (0x0750, "other"), (0x0780, "arabic"), (0x08A0, "other"),
    (0x0900, "arabic"), (0x0980, "devanagari"), (0x0A00, "bengali"), (0x0B80, "other"), (0x0C00, "tamil"),
    (0x10A0, "other"), (0x1100, "georgian"), (0x1E00, "other"), (0x1F00, "latin"), (0x2000, "greek"),
    (0xFFFFFF, "other"),
)  # fmt: skip
"""The script of the characters below each number."""


class Word(NamedTuple):
    """A word as it stands in normalized text, and its script: `cjk` and `syllabic` are runs without spaces."""

    text: str
    script: str


@dataclass(frozen=True, slots=True)
class ChunkTerms:
    """What is indexed of a chunk: terms in the order of the text, n-grams, and the languages they were read as."""

    languages: Sequence[str]
    words: Sequence[str]
    grams: Sequence[str]


@dataclass(frozen=True, slots=True)
class QueryWord:
    """Something a question asks for, `count` times.

    `stems`: any of these terms is the word; those of the question's own language first. `grams`: how it looks inside
    other words, of which `least` must be there; for a run without spaces, a pair of its neighbours. `boost`: what it
    counts beside others.
    """

    stems: Sequence[str]
    grams: Sequence[str] = ()
    count: int = 1
    least: int = 1
    boost: float = 1.0


class Languages(NamedTuple):
    """What a text's words are in, script by script, and the script that most of them are in."""

    latin: Language
    arabic: str
    cyrillic: str
    script: str

    def main(self) -> str:
        """The language of the text."""
        by_script = {"latin": self.latin.code, "arabic": self.arabic, "cyrillic": self.cyrillic}
        return by_script.get(self.script, DEFAULT)


class Question(NamedTuple):
    """The words asked for, in order, how often two of them are neighbours, and the language they are in."""

    words: Sequence[QueryWord]
    pairs: Mapping[tuple[str, str], int]
    language: str


def tokenize(text: str) -> Iterator[Word]:
    """The words of a normalized text."""
    if text.isascii():
        for word in _ASCII_WORD.findall(text):
            yield _latin_word(word) if len(word) <= LONGEST_IDENTIFIER else _long_word(word)
        return
    for found in _pattern().finditer(text):
        word, kind = found[0], found.lastgroup or ""
        if kind in _UNSPACED:
            yield Word(word, kind)
        elif len(word) > LONGEST_IDENTIFIER:
            yield _long_word(word)
        else:
            yield Word(word, kind if kind != "word" else _script_of(word))


def _long_word(word: str) -> Word:
    """What is too long even for an identifier is never kept: a hostile file may be one word of many megabytes."""
    return Word(fingerprint(fold(word)), "long")


@lru_cache(KNOWN_WORDS)
def _latin_word(text: str) -> Word:
    return Word(text, "latin")


def chunk_terms(text: str) -> ChunkTerms:
    """Everything of a chunk that may be looked for."""
    found = list(tokenize(normalize(text)))
    languages = _languages(found)
    language, arabic = languages.latin, languages.arabic
    terms: list[str] = []
    inside: list[str] = []
    for word in found:
        if word.script in _UNSPACED:
            units = _units(word)
            terms += units
            inside += map("".join, pairwise(units))
            continue
        terms += _terms(word, arabic if word.script == "arabic" else language.code)
        if word.script != "latin" or not (language.code == DEFAULT and language.is_sure):
            inside += grams(word.text, word.script)
    return ChunkTerms(tuple(dict.fromkeys((language.code, languages.main()))), terms, inside)


@lru_cache(KNOWN_WORDS)
def _terms(word: Word, language: str) -> tuple[str, ...]:
    """A spaced word's stems, and its parts' if it is an identifier."""
    pieces = (word.text, *(parts(word.text) if word.script == "latin" else ()))
    return tuple(stem for piece in pieces for stem in stems(piece, word.script, language))


def read_question(text: str, languages: Iterable[str]) -> Question:
    """What to look for in chunks of these `languages`: words that carry the matter, or all if none does."""
    found = list(tokenize(normalize(text)))
    spoken = _languages(found)
    own = spoken.latin.code
    wanted = [word for word in found if not _is_form(word, own)] or found
    among = sorted({DEFAULT, *languages} - _NOT_LATIN, key=lambda one: one != own)
    asked = {word: list(_asked(word, among)) for word in dict.fromkeys(wanted)}
    spaced = [asked[word][0].stems[0] for word in wanted if word.script not in _UNSPACED]
    pairs = Counter(pair for pair in pairwise(spaced) if pair[0] != pair[1])
    return Question(_counted(one for word in wanted for one in asked[word]), pairs, spoken.main())


def _counted(words: Iterable[QueryWord]) -> Sequence[QueryWord]:
    """Each word once, with how often it is there; forms of one word are one."""
    held: dict[str, QueryWord] = {}
    counts: Counter[str] = Counter()
    for word in words:
        key = word.stems[0] if word.stems else f" {word.grams[0]}"
        held.setdefault(key, word)
        counts[key] += 1
    return [replace(word, count=counts[key]) for key, word in held.items()]


def _is_form(word: Word, language: str) -> bool:
    return fold(word.text) in function_words(word.script, language)


def _asked(word: Word, languages: Sequence[str]) -> Iterator[QueryWord]:
    if word.script in _UNSPACED:
        yield from _asked_run(_units(word))
        return
    inside = grams(word.text, word.script)
    # A Korean noun's endings are as long as the noun.
    least = 1 if word.script == "hangul" else math.ceil(GRAM_SHARE * len(inside))
    yield QueryWord(_readings(word, languages), inside, least=least)
    for part in parts(word.text) if word.script == "latin" else ():
        yield QueryWord(_readings(Word(part, "latin"), languages))


def _asked_run(units: Sequence[str]) -> Iterator[QueryWord]:
    """Each unit for little, each pair of neighbours for all; pairs of hiragana are mostly grammar."""
    if len(units) == 1:
        yield QueryWord((units[0],))
        return
    for unit in units:
        yield QueryWord((unit,), boost=UNIT_BOOST)
    for one, other in pairwise(units):
        yield QueryWord((), (one + other,), boost=HIRAGANA_BOOST if _HIRAGANA.fullmatch(one + other) else 1.0)


def _readings(word: Word, languages: Sequence[str]) -> Sequence[str]:
    if word.script == "latin":
        spellings = dict.fromkeys((word.text, fold(word.text)))
        found = [stems(one, "latin", language) for language in languages for one in spellings]
    elif word.script == "arabic":
        found = [stems(word.text, "arabic", language) for language in ("ar", "fa")]
    else:
        found = [stems(word.text, word.script, "")]
    return tuple(dict.fromkeys(term for terms in found for term in terms))


def _languages(found: Sequence[Word]) -> Languages:
    by_script: dict[str, dict[str, int]] = {}
    for word, count in Counter(found).items():
        if not word.text[0].isdigit():
            by_script.setdefault(word.script, {})[word.text] = count
    latin, arabic = by_script.get("latin", {}), tuple(by_script.get("arabic", ()))
    persian = any(letter in word for word in arabic for letter in "پچژگ")
    return Languages(
        latin_language(latin),
        arabic_language(arabic, has_persian_letters=persian),
        cyrillic_language(by_script.get("cyrillic", ())),
        max(by_script, key=lambda script: sum(by_script[script].values()), default="latin"),
    )


_UNSPACED = frozenset({"cjk", "syllabic"})
_NOT_LATIN = frozenset({"ar", "fa", "ru", "uk"})


def _units(word: Word) -> list[str]:
    """The smallest pieces of a run without spaces: a character, or a letter with its vowels and tones."""
    return list(word.text) if word.script == "cjk" else _syllables().findall(word.text)


def _script_of(word: str) -> str:
    for letter in word:
        if not letter.isdigit() and letter != "_":
            code = ord(letter)
            return next(script for below, script in _SCRIPTS if code < below)
    return "latin"


@cache
def _marks() -> str:
    """The marks of all scripts as ranges of a pattern: Python does not take them for letters."""
    codes = [code for code in range(0x300, sys.maxunicode) if unicodedata.category(chr(code))[0] == "M"]
    ranges: list[list[int]] = []
    for code in codes:
        if ranges and code == ranges[-1][1] + 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    return "".join(f"{chr(first)}-{chr(last)}" for first, last in ranges)


@cache
def _pattern() -> re.Pattern[str]:
    word = f"[^\\W{_CJK}{_SYLLABIC}{_HANGUL}]"
    return re.compile(
        f"(?P<cjk>[{_CJK}]+)|(?P<syllabic>[{_SYLLABIC}]+)|(?P<hangul>[{_HANGUL}]+)|(?P<word>(?:{word}+[{_marks()}]*)+)"
    )


@cache
def _syllables() -> re.Pattern[str]:
    follows = f"[{_marks()}\u0e30\u0e32\u0e33\u0e45\u0eb0\u0eb2\u0eb3]"
    return re.compile(f"[\u0e40-\u0e44\u0ec0-\u0ec4]?.(?:{follows}|\u17d2.)*", re.DOTALL)
