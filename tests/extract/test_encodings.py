"""Bytes in the encoding they are in: what is declared, as the web means it, and what is not declared at all."""

import codecs
from collections.abc import AsyncIterator

import pytest

from threadmill.adapters.extract.decoding import decode
from threadmill.adapters.extract.errors import UnreadableFile
from threadmill.adapters.extract.subprocess_extractor import SubprocessExtractor
from threadmill.adapters.extract.telltales import declared_in
from threadmill.domain.vector_store import FileErrorCode
from threadmill.engine.ports.text_extractor import ExtractedText, ExtractionFailed

DECLARED = {
    "cp936": ("镕的书", "gb18030"),
    "IBM437": ("naïve façade ½", "cp437"),
    "cp850": ("Größe, São Paulo", "cp850"),
    "ibm852": ("Příliš žluťoučký kůň", "cp852"),
    "hz-gb-2312": ("图书馆", "hz"),
    "shift_jis": ("資料①です", "cp932"),
    "x-sjis": ("株式会社㈱", "cp932"),
    "gb2312": ("朱镕基", "gb18030"),
    "gbk": ("喆", "gb18030"),
    "gb18030": ("图书馆", "gb18030"),
    "big5": ("圖書館", "big5"),
    "euc-kr": ("똠방각하", "cp949"),
    "ks_c_5601-1987": ("펲시맨", "cp949"),
    "iso-8859-1": ("5 € – “so”", "cp1252"),
    "latin1": ("Größe", "cp1252"),
    "us-ascii": ("naïve", "cp1252"),
    "tis-620": ("ห้องสมุด", "cp874"),
    "windows-1257": ("Žąsis ėjo", "cp1257"),
    "windows-1250": ("žluťoučký kůň", "cp1250"),
    "iso-8859-2": ("żółta", "iso8859-2"),
    "koi8-r": ("Библиотека", "koi8-r"),
    "windows-1251": ("Библиотека", "cp1251"),
    "iso-2022-jp": ("図書館の本", "iso2022_jp"),
    "euc-jp": ("図書館の本", "euc_jp"),
    "windows-1255": ("ספרייה", "cp1255"),
    "windows-1256": ("مكتبة", "cp1256"),
    "macintosh": ("Größe", "mac-roman"),
}


@pytest.mark.parametrize("label", DECLARED)
def test_a_label_means_what_the_web_means_by_it(label: str) -> None:
    text, codec = DECLARED[label]
    found = decode(memoryview(text.encode(codec)), label)
    assert (found.text, found.replaced) == (text, 0)


HEADS = {
    "a page": b'<!doctype html><html><head><meta charset="shift_jis">',
    "a page of old": b'<meta http-equiv=Content-Type content="text/html; charset=shift_jis">',
    "XHTML": b'<?xml version="1.0" encoding="shift_jis"?><html>',
    "a style sheet": b'@charset "shift_jis";',
    "Python": b"#!/usr/bin/env python\n# -*- coding: shift_jis -*-\n",
    "TeX": b"\\documentclass{book}\n\\usepackage[shift_jis]{inputenc}",
}


@pytest.mark.parametrize("kind", HEADS)
def test_what_a_file_says_of_itself_is_found(kind: str) -> None:
    assert next(declared_in(HEADS[kind])) == "shift_jis"


UNDECLARED = {
    "German": ("Größe über alles, die Straße ist schön.", "cp1252"),
    "French": ("Le café à la crème coûte deux euros – déjà vu.", "cp1252"),
    "Spanish": ("El niño comió una piña mañana.", "cp1252"),
    "English with quotation marks": ("It costs € 5 – “cheap”, isn’t it?", "cp1252"),
    "Polish": ("Żółta książka leży na półce.", "cp1250"),
    "Czech": ("Příliš žluťoučký kůň úpěl.", "cp1250"),
    "Turkish": ("Kütüphane ödünç kitap verir, şöyle ığdır.", "cp1254"),
    "Lithuanian": ("Knygų skaitytojų būklė žinoma.", "cp1257"),
    "Russian": ("Библиотека выдаёт книги читателям.", "cp1251"),
    "Russian in KOI8": ("Библиотека выдаёт книги читателям.", "koi8_r"),
    "Greek": ("Η βιβλιοθήκη δανείζει βιβλία.", "cp1253"),
    "Hebrew": ("הספרייה משאילה ספרים.", "cp1255"),
    "Arabic": ("المكتبة تعير الكتب للقراء.", "cp1256"),
    "Thai": ("ห้องสมุดให้ยืมหนังสือ", "cp874"),
    "Japanese": ("図書館は利用者に本を貸し出す。", "cp932"),
    "Japanese in EUC": ("図書館は利用者に本を貸し出す。", "euc_jp"),
    "Japanese in 7 bits": ("図書館は利用者に本を貸し出す。", "iso2022_jp"),
    "Chinese": ("图书馆借给每位读者十本书,为期四周。", "gb18030"),
    "traditional Chinese": ("圖書館借給每位讀者十本書。", "big5"),
    "Korean": ("도서관은 책을 빌려준다.", "cp949"),
}


@pytest.mark.parametrize("language", UNDECLARED)
@pytest.mark.parametrize("times", [1, 30])
def test_what_is_not_declared_is_detected(language: str, times: int) -> None:
    text, codec = UNDECLARED[language]
    text = f"{text}\n" * times
    found = decode(memoryview(text.encode(codec)))
    assert (found.text, found.replaced) == (text, 0)


@pytest.mark.parametrize(
    "text", ["Кот и пёс", "中文文本,没有标记。", "日本語のテキスト。", "한국어 텍스트 입니다", "plain words"]
)
@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be"])
def test_utf_16_is_told_without_a_mark_in_any_script(text: str, codec: str) -> None:
    assert decode(memoryview(text.encode(codec))).text == text


@pytest.mark.parametrize("declared", [None, "utf-8", "iso-8859-1", "nonsense"])
def test_a_handful_of_bad_bytes_changes_no_encoding(declared: str | None) -> None:
    found = decode(memoryview("Größe ".encode() * 40 + b"\xff ende"), declared)
    if declared != "iso-8859-1":
        assert found == ("Größe " * 40 + "\ufffd ende", "utf-8", 1)


def test_utf_8_under_another_label_is_read_as_what_it_is() -> None:
    assert decode(memoryview("Größe".encode()), "iso-8859-1").text == "Größe"


def test_text_of_which_too_much_must_be_replaced_is_refused() -> None:
    data = codecs.BOM_UTF8 + b"word \xff\xfe\xfd" * 50
    with pytest.raises(UnreadableFile, match="3[0-9] % of the file's characters cannot be read in its encoding, utf-8"):
        decode(memoryview(data))


EXTRACTOR = SubprocessExtractor()


async def extracted(data: bytes, name: str) -> ExtractedText:
    async def content() -> AsyncIterator[bytes]:
        yield data

    return await EXTRACTOR.extract(content(), name)


async def test_a_page_with_one_bad_byte_stays_what_it_is_and_says_so() -> None:
    page = '<meta charset="utf-8"><p>Größe über alles, Größe</p>'.encode() + b"<p>\xff</p>"
    found = await extracted(page, "a.html")
    assert found.text == "Größe über alles, Größe\n\ufffd\n"
    assert (found.notes.format, found.notes.encoding, found.notes.replaced) == ("HTML", "utf-8", 1)
    assert found.notes.doubts() == ["1 characters mean nothing in utf-8 and were replaced."]


async def test_a_detected_encoding_is_noted_behind_the_fence() -> None:
    found = await extracted("図書館は利用者に本を貸し出す。".encode("cp932"), "a.txt")
    assert found.text == "図書館は利用者に本を貸し出す。"
    assert (found.notes.encoding, found.notes.doubts()) == ("shift_jis", [])


async def test_what_cannot_be_read_fails_with_a_clear_word() -> None:
    with pytest.raises(ExtractionFailed) as refused:
        await extracted(codecs.BOM_UTF8 + b"\xff\xfe\xfd" * 50, "a.txt")
    assert refused.value.error.code is FileErrorCode.INVALID_FILE
    assert "Save it as UTF-8" in refused.value.error.message


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("<a>Home</a><a>Pricing</a>", "Home Pricing"),
        ("<nav><a>Home</a> <a>Pricing</a></nav>", "Home Pricing"),
        ("<button>Save</button><button>Cancel</button>", "Save Cancel"),
        ("<b>Thread</b><i>mill</i>", "Threadmill"),
        ("<a>Thread</a>mill", "Threadmill"),
        ("(<a>1</a>,<a>2</a>)", "(1,2)"),
        ("<span><a>One</a></span><span><a>Two</a></span>", "One Two"),
        ("<label>Name</label><input value='Ada'>", "Name Ada"),
        ("<div>a</div><div>b</div>", "a\nb"),
        ("<p>a<br>b", "a\nb"),
        ("<dl><dt>term<dd>meaning</dl>", "term\nmeaning"),
        ("H<sub>2</sub>O", "H2O"),
    ],
)
async def test_neighbours_that_a_browser_shows_apart_stay_apart(page: str, text: str) -> None:
    assert (await extracted(page.encode(), "a.html")).text.strip() == text
