"""One reading for texts and questions: the same word in another form is the same word."""

import random
import threading
import unicodedata
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from threadmill.adapters.search.normalization import fold, normalize
from threadmill.adapters.search.text_analysis import chunk_terms, read_question

SCRIPTS = {
    "Latin": (0x41, 0x24F), "Vietnamese": (0x1E00, 0x1EFF), "Greek": (0x370, 0x3FF), "Polytonic": (0x1F00, 0x1FFF),
    "Cyrillic": (0x400, 0x52F), "Armenian": (0x531, 0x587), "Hebrew": (0x591, 0x5F4), "Arabic": (0x610, 0x6FF),
    "Presentation forms": (0xFB50, 0xFEFC), "Syriac": (0x700, 0x74F), "Devanagari": (0x900, 0x97F),
    "Bengali": (0x980, 0x9FF), "Gurmukhi": (0xA00, 0xA7F), "Gujarati": (0xA80, 0xAFF), "Tamil": (0xB80, 0xBFF),
    "Telugu": (0xC00, 0xC7F), "Kannada": (0xC80, 0xCFF), "Malayalam": (0xD00, 0xD7F), "Sinhala": (0xD80, 0xDFF),
    "Thai": (0xE01, 0xE5B), "Lao": (0xE81, 0xEDF), "Tibetan": (0xF00, 0xFDA), "Burmese": (0x1000, 0x109F),
    "Georgian": (0x10A0, 0x10FF), "Jamo": (0x1100, 0x11FF), "Ethiopic": (0x1200, 0x137F), "Cherokee": (0x13A0, 0x13F5),
    "Khmer": (0x1780, 0x17F9), "Mongolian": (0x1800, 0x18AA), "Kana": (0x3041, 0x30FF), "Han": (0x4E00, 0x9FFF),
    "Rare Han": (0x3400, 0x4DBF), "Hangul": (0xAC00, 0xD7A3), "Half and full width": (0xFF01, 0xFFDC),
}  # fmt: skip


def is_found(question: str, text: str) -> bool:
    """The question asks for a term the text is indexed by."""
    terms = chunk_terms(text)
    words, inside = set(terms.words), set(terms.grams)
    return any(
        words & set(word.stems) or len(inside & set(word.grams)) >= word.least > 0
        for word in read_question(question, terms.languages).words
    )


def words_of(script: str) -> st.SearchStrategy[str]:
    first, last = SCRIPTS[script]
    letters = [chr(code) for code in range(first, last + 1) if unicodedata.category(chr(code))[0] in "LM"]
    return st.text(st.sampled_from(letters), min_size=1, max_size=12).filter(_has_letter)


def _has_letter(word: str) -> bool:
    return unicodedata.category(normalize(word)[:1] or " ")[0] == "L"


@pytest.mark.parametrize("script", SCRIPTS)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_a_question_that_is_a_word_of_the_text_finds_it(script: str, data: st.DataObject) -> None:
    words = data.draw(st.lists(words_of(script), min_size=1, max_size=6))
    asked = data.draw(st.sampled_from(words))
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        assert is_found(unicodedata.normalize(form, asked), " ".join(words))
        assert is_found(asked, unicodedata.normalize(form, " ".join(words)))


@given(st.text(max_size=40))
def test_reading_twice_changes_nothing(text: str) -> None:
    once = normalize(text)
    assert normalize(once) == once
    for word in once.split():
        assert fold(fold(word)) == fold(word)


SAME = {
    "a composed and a decomposed accent": ("café", "cafe\u0301"),
    "no accent": ("café", "cafe"),
    "half-width kana": ("データベース", "ﾃﾞｰﾀﾍﾞｰｽ"),
    "full-width letters": ("ＴＯＫＹＯ", "tokyo"),
    "a ligature": ("ofﬁce", "office"),
    "a dotted capital": ("İstanbul", "istanbul"),
    "a dotted capital asked as it is": ("İstanbul", "İstanbul"),
    "a dotless letter": ("ısparta", "isparta"),
    "capitals in Turkish": ("İSTANBUL", "İstanbul"),
    "sharp s": ("Straße", "STRASSE"),
    "Greek accents": ("Αθήνα", "ΑΘΗΝΑ"),
    "a final sigma": ("ΟΔΟΣ", "οδός"),
    "ё": ("ёлка", "елка"),
    "a stress mark": ("за\u0301мок", "замок"),
    "Arabic vowels": ("كِتَابٌ", "كتاب"),
    "alef with hamza": ("أحمد", "احمد"),
    "a stretched Arabic word": ("كتـــاب", "كتاب"),
    "alef maqsura": ("مستشفى", "مستشفي"),
    "ta marbuta": ("مدرسة", "مدرسه"),
    "Arabic presentation forms": ("ﻛﺘﺎﺏ", "كتاب"),
    "Hebrew vowels": ("שָׁלוֹם", "שלום"),
    "a joiner in Persian": ("می‌روم", "میروم"),
    "Persian and Arabic letters": ("کتابی", "كتابي"),
    "Persian digits": ("۱۲۳۴", "1234"),
    "traditional Chinese": ("圖書館", "图书馆"),
    "a soft hyphen": ("Donau\u00addampf", "Donaudampf"),
    "a zero-width space": ("ห้อง\u200bสมุด", "ห้องสมุด"),
    "Hangul in parts": ("한국", unicodedata.normalize("NFD", "한국")),
}


@pytest.mark.parametrize("case", SAME)
def test_a_word_is_found_in_another_form(case: str) -> None:
    one, other = SAME[case]
    assert is_found(other, f"x {one} y")
    assert is_found(one, f"x {other} y")


INSIDE = {
    "a noun before its particle": ("대학교", "대학교에서 공부한다"),
    "a noun in a compound": ("도서관", "시립도서관은 크다"),
    "a noun of one syllable": ("책", "책을 읽는다"),
    "a part of a German compound": ("Frist", "die Kündigungsfrist beträgt drei Monate"),
    "a part of a Finnish compound": ("vahinko", "vesivahingosta on ilmoitettava"),
    "camel case": ("user name", "call getUserName here"),
    "an abbreviation in camel case": ("http server", "class HTTPServerFactory"),
    "snake case": ("retry count", "MAX_RETRY_COUNT = 3"),
    "an identifier whole": ("getUserName", "call getUserName here"),
    "an identifier in other letters": ("getusername", "call getUserName here"),
    "a constant whole": ("MAX_RETRY_COUNT", "MAX_RETRY_COUNT = 3"),
    "a Hebrew noun with its article": ("ספר", "בספרים האלה"),
    "an Arabic noun with its article": ("مكتبة", "في المكتبات"),
}


@pytest.mark.parametrize("case", INSIDE)
def test_a_word_is_found_inside_another(case: str) -> None:
    question, text = INSIDE[case]
    assert is_found(question, text)
    for word in question.split():
        assert is_found(word, text)


LONG = (
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" * 2,
    "https://example.com/a/very/long/path?with=a&query=that-goes-on-and-on-beyond-sixty-characters",
    "DE89370400440532013000",
    "aGVsbG8gd29ybGQsIHRoaXMgaXMgYSB2ZXJ5IGxvbmcgYmFzZTY0IHdvcmQgaW5kZWVk",
    "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft",
    "a" * 70_000,
)


@pytest.mark.parametrize("word", LONG, ids=range(len(LONG)))
def test_a_word_however_long_is_found_when_asked_for_whole(word: str) -> None:
    assert is_found(word, f"before {word} after")
    assert not is_found("nothing", f"before {word} after")
    assert all(len(term) <= 60 for term in chunk_terms(word).words)


def test_a_word_said_again_in_any_form_counts_again() -> None:
    question = read_question("wing flutter of a wing, wings of a delta", {"en"})
    assert {word.stems[0]: word.count for word in question.words}["wing"] == 3


def test_a_question_of_nothing_but_form_is_asked_as_it_is() -> None:
    assert [word.stems[0] for word in read_question("the who", {"en"}).words] == ["the", "who"]
    assert read_question("?!", {"en"}).words == []


def _texts() -> Iterator[str]:
    chance = random.Random(3)
    for _ in range(400):
        yield (
            " ".join("".join(chance.choices("abcdefghijklmnopqrstuvwxyzäöüß", k=8)) for _ in range(50)) + " der die das"
        )


def test_texts_are_read_alike_in_many_threads() -> None:
    """Stemmers have a state of their own."""
    texts = list(_texts())
    start = threading.Barrier(4)

    def read(texts: list[str]) -> list[list[str]]:
        start.wait(10)
        return [list(chunk_terms(text).words) for text in texts]

    with ThreadPoolExecutor(4) as pool:
        first, *others = pool.map(read, [texts] * 4)
    assert all(other == first for other in others)
