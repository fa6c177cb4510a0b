"""Files to text through the real process behind its fence."""

import asyncio
import codecs
from collections.abc import AsyncIterator

import pytest

from tests.support.documents import (
    doc_of,
    docx_bomb,
    docx_of,
    long_pdf,
    lying_docx,
    pdf_of,
    pptx_of,
    zip_of,
)
from threadmill.adapters.extract.subprocess_extractor import SMALL, ReadingLimits, SubprocessExtractor
from threadmill.domain.supported_file import TEXT_EXTENSIONS
from threadmill.domain.vector_store import FileErrorCode
from threadmill.engine.ports.text_extractor import ExtractedText, ExtractionFailed, TextExtractor

EXTRACTOR: TextExtractor = SubprocessExtractor(ReadingLimits(at_once=2))


async def content_of(data: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(data), 1 << 20):
        yield data[at : at + (1 << 20)]


async def text_of(data: bytes | str, name: str, extractor: TextExtractor = EXTRACTOR) -> str:
    return (await extraction_of(data, name, extractor)).text


async def extraction_of(data: bytes | str, name: str, extractor: TextExtractor = EXTRACTOR) -> ExtractedText:
    return await extractor.extract(content_of(data.encode() if isinstance(data, str) else data), name)


async def refusal_of(data: bytes | str, name: str, extractor: TextExtractor = EXTRACTOR) -> tuple[FileErrorCode, str]:
    with pytest.raises(ExtractionFailed) as refused:
        await text_of(data, name, extractor)
    return refused.value.error.code, refused.value.error.message


async def reason(data: bytes | str, name: str, extractor: TextExtractor = EXTRACTOR) -> str:
    code, message = await refusal_of(data, name, extractor)
    assert code is FileErrorCode.INVALID_FILE
    return message


@pytest.mark.parametrize("extension", sorted(TEXT_EXTENSIONS))
async def test_every_source_type_is_read_as_text(extension: str) -> None:
    assert await text_of("int x; // größer\n", f"a{extension}") == "int x; // größer\n"


@pytest.mark.parametrize(
    "data",
    [
        "Grüße, 你好 😀\n".encode(),
        codecs.BOM_UTF8 + "Grüße, 你好 😀\n".encode(),
        "Grüße, 你好 😀\n".encode("utf-16"),
        codecs.BOM_UTF16_BE + "Grüße, 你好 😀\n".encode("utf-16-be"),
    ],
    ids=["utf-8", "utf-8 with mark", "utf-16", "utf-16 big end first"],
)
async def test_text_is_read_in_each_encoding(data: bytes) -> None:
    assert await text_of(data, "a.txt") == "Grüße, 你好 😀\n"


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
async def test_utf_16_without_a_mark_is_told_by_its_zero_bytes(encoding: str) -> None:
    assert await text_of("Plain words with an é".encode(encoding), "a.txt") == "Plain words with an é"


async def test_line_ends_become_one_kind_and_controls_go() -> None:
    assert await text_of("a\r\nb\rc\fd\x0be" + " " * 200, "a.txt") == "a\nb\nc\nde" + " " * 200


async def test_json_is_read_with_its_escapes_as_characters() -> None:
    data = r'{"a": "caf\u00e9 \ud83d\ude00 \u0022 \\u00e9 \n \ud83d"}'
    assert await text_of(data, "a.json") == r'{"a": "café 😀 \u0022 \\u00e9 \n \ud83d"}'


async def test_html_is_read_as_a_reader_sees_it() -> None:
    page = """<!doctype html><html><head><title>The  Title</title><style>p{}</style><script>var x = "no";</script></head>
    <body><h1>Big&nbsp;news</h1><p>One <b>bold</b>
    word&amp;more<br>next<!-- no --><ul><li>first<li>second</ul>
    <table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2</td></tr></table>
    <pre>keep
      this</pre><noscript>no</noscript><img alt="a chart"><div hidden>tail</div> end</body></html>"""
    text = await text_of(page, "a.html")
    assert text.split("\n") == [
        "The Title",
        "Big\xa0news",
        "One bold word&more",
        "next",
        "- first",
        "- second",
        "a\tb",
        "1\t2",
        "keep",
        "      this",
        "a chart",
        "tail",
        "end",
        "",
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "windows-1251", "shift_jis"])
async def test_a_page_is_read_in_the_encoding_it_declares(encoding: str) -> None:
    word = "ねこ" if encoding == "shift_jis" else "Кот"
    page = f'<html><meta charset="{encoding}"><p>{word}</p></html>'
    assert word in await text_of(page.encode(encoding), "a.html")


async def test_a_page_that_declares_nonsense_is_read_all_the_same() -> None:
    assert await text_of(b'<meta charset="nonsense"><p>caf\xe9', "a.html") == "café\n"


async def test_a_page_nested_two_thousand_deep_is_read_and_a_deeper_one_does_no_harm() -> None:
    assert await text_of("<div>" * 2_000 + "deep", "a.html") == "deep\n"
    assert "no text" in await reason("<div>" * 100_000 + "deep", "a.html")


async def test_docx_is_read_with_its_tables() -> None:
    data = docx_of("First line", "Second\twith tab", table=[["a", "b"], ["c", "d"]])
    assert await text_of(data, "a.docx") == "First line\nSecond\twith tab\na\tb\nc\td\n"


async def test_docx_is_read_with_text_boxes_notes_and_controls_but_without_what_was_struck_out() -> None:
    w = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
    mc = 'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"'
    body = f"""<w:document {w} {mc}><w:body>
      <w:sdt><w:sdtContent><w:p><w:r><w:t>control</w:t></w:r></w:p></w:sdtContent></w:sdt>
      <w:p><w:pPr><w:tabs><w:tab w:val="left"/></w:tabs></w:pPr><w:ins><w:r><w:t>new</w:t></w:r></w:ins>
      <w:del><w:r><w:delText>old</w:delText></w:r></w:del></w:p>
      <w:p><w:r><mc:AlternateContent><mc:Choice><w:txbxContent><w:p><w:r><w:t>box</w:t></w:r></w:p></w:txbxContent>
      </mc:Choice><mc:Fallback><w:p><w:r><w:t>box</w:t></w:r></w:p></mc:Fallback></mc:AlternateContent></w:r></w:p>
      </w:body></w:document>"""
    note = f"<w:footnotes {w}><w:footnote><w:p><w:r><w:t>note</w:t></w:r></w:p></w:footnote></w:footnotes>"
    data = zip_of({"word/document.xml": body.encode(), "word/footnotes.xml": note.encode()})
    assert await text_of(data, "a.docx") == "control\nnew\nbox\nnote\n"


async def test_pptx_is_read_slide_by_slide_with_tables_and_notes() -> None:
    data = pptx_of("First slide", "Second slide", notes="Say hello", table=[["a", "b"]])
    text = await text_of(data, "a.pptx")
    assert text.index("First slide") < text.index("Second slide") < text.index("a\tb") < text.index("Say hello")


@pytest.mark.parametrize("small", [False, True])
async def test_an_old_word_document_is_read_piece_by_piece(small: bool) -> None:
    data = doc_of("Plain words\r", "Größe 你好\r", "a\x07b\x07\x13 PAGE \x14 7\x15 end\r", small=small)
    assert await text_of(data, "a.doc") == "Plain words\nGröße 你好\na\tb\t 7 end\n"


async def test_what_else_is_called_doc_is_told_apart() -> None:
    assert await text_of(docx_of("new under the old name"), "a.doc") == "new under the old name\n"
    assert (await text_of(r"{\rtf1\ansi hello \'e9}", "a.doc")).strip() == "hello é"
    assert await text_of("<html><p>page</p></html>", "a.doc") == "page\n"
    w = 'xmlns:w="http://schemas.microsoft.com/office/word/2003/wordml"'
    assert (
        await text_of(
            f'<?xml version="1.0"?><w:wordDocument {w}><w:p><w:r><w:t>x</w:t></w:r></w:p></w:wordDocument>', "a.doc"
        )
        == "x\n"
    )
    archive = "MIME-Version: 1.0\nContent-Type: multipart/related; boundary=b\n\n--b\nContent-Type: text/html\n\n<p>web</p>\n--b--\n"
    assert await text_of(archive, "a.doc") == "web\n"
    assert "is a PDF" in await reason(pdf_of("x"), "a.doc")
    assert "encrypted" in await reason(doc_of("x", flags=0x0300), "a.doc")
    assert "Word 95" in await reason(doc_of("x", version=0x68), "a.doc")
    for data in (b"plain words", doc_of("x" * 5_000)[:700], b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)):
        assert "broken" in await reason(data, "a.doc")


async def test_an_old_word_document_whose_sectors_go_in_circles_ends() -> None:
    data = bytearray(doc_of("x" * 5_000))
    data[512 + 12 : 512 + 16] = (3).to_bytes(4, "little")
    try:
        assert len(await text_of(bytes(data), "a.doc")) <= 5_000
    except ExtractionFailed as refused:
        assert "broken" in refused.error.message


async def test_pdf_is_read_page_by_page() -> None:
    assert await text_of(pdf_of("One line\nand another", "Page two"), "a.PDF") == (
        "One line\nand another\n\nPage two\n\n"
    )


async def test_a_pdf_without_a_password_to_open_it_is_read() -> None:
    assert "open secret" in await text_of(pdf_of("open secret", password=""), "a.pdf")


async def test_a_pdf_of_ten_thousand_pages_is_read_whole() -> None:
    text = await text_of(long_pdf(10_000), "a.pdf")
    assert "page 1 of" in text
    assert "page 10000 of" in text


async def test_an_encrypted_pdf_says_so() -> None:
    assert await reason(pdf_of("secret", password="x"), "a.pdf") == "The PDF is encrypted with a password."


async def test_a_broken_pdf_says_so() -> None:
    assert "broken" in await reason(b"%PDF-1.4\n" + b"garbage" * 100, "a.pdf")
    assert "broken" in await reason(pdf_of("One", "Two")[:300], "a.pdf")


async def test_a_pdf_of_pictures_says_that_it_has_no_text() -> None:
    assert "no text" in await reason(pdf_of(""), "a.pdf")


@pytest.mark.parametrize("name", ["a.txt", "a.pdf", "a.docx", "a.pptx", "a.html", "a.json", "a.doc"])
async def test_an_empty_file_says_so(name: str) -> None:
    assert await reason(b"", name) == "The file is empty."


async def test_a_blank_file_has_no_text() -> None:
    assert "no text" in await reason(" \n\t ", "a.md")


async def test_a_file_that_is_not_what_its_name_says_is_refused() -> None:
    assert await reason(pdf_of("x"), "a.txt") == "The file's name ends in .txt, but it is a PDF."
    assert await reason(docx_of("x"), "a.pdf") == "The file's name ends in .pdf, but it is a zip archive."
    assert await reason("words", "a.docx") == "The file's name ends in .docx, but it is not a zip archive."
    assert await reason(docx_of("x"), "a.pptx") == "The file is not a PPTX presentation."
    assert await reason(pptx_of("x"), "a.docx") == "The file is not a DOCX document."
    assert "not text" in await reason(bytes(range(256)) * 100, "a.txt")
    assert "not text" in await reason(b"\x01\x02\x03 ok", "a.py")
    assert "encrypted" in await reason(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "a.docx")


async def test_an_extension_nobody_reads_is_unsupported() -> None:
    code, message = await refusal_of("a,b", "a.xls")
    assert code is FileErrorCode.UNSUPPORTED_FILE
    assert "'.xls'" in message


async def test_zip_bombs_are_stopped_by_their_size_or_their_text() -> None:
    blank = b"<!--" + b" " * 10_000 + b"-->"
    assert "unpacks to more than 100 MB" in await reason(docx_bomb(110, blank), "a.docx")
    small = SubprocessExtractor(ReadingLimits(characters=1_000_000))
    assert "more than 1,000,000 characters" in await reason(docx_bomb(20), "a.docx", small)
    assert "broken" in await reason(lying_docx(), "a.docx")


async def test_a_document_in_one_endless_word_is_broken() -> None:
    assert await reason(docx_bomb(30, b"<w:t>" + b"x" * 995_000), "a.docx")


async def test_entities_are_not_unfolded() -> None:
    lol = "".join(f'<!ENTITY l{at + 1} "{f"&l{at};" * 10}">' for at in range(9))
    w = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
    secret = '<!ENTITY secret SYSTEM "file:///etc/passwd">'
    body = f'<!DOCTYPE d [<!ENTITY l0 "lol">{lol}{secret}]><w:document {w}><w:body><w:p><w:r><w:t>plain &l9; &secret;</w:t></w:r></w:p></w:body></w:document>'
    try:
        text = await text_of(zip_of({"word/document.xml": body.encode()}), "a.docx")
    except ExtractionFailed as refused:
        assert refused.error.code is FileErrorCode.INVALID_FILE
    else:
        assert text == "plain  \n"


async def test_cut_off_and_damaged_documents_are_broken() -> None:
    good = docx_of("x" * 500)
    for data in (good[:500], b"PK\x03\x04" + bytes(100), good[:-30], zip_of({"word/document.xml": b"<w:p"})):
        assert "broken" in await reason(data, "a.docx")


async def test_a_file_that_takes_too_long_is_given_up() -> None:
    hurried = SubprocessExtractor(ReadingLimits(seconds=0.2))
    assert "longer to read than 0.2 seconds" in await reason(long_pdf(10_000), "a.pdf", hurried)


async def test_a_file_that_takes_too_much_processor_time_is_given_up() -> None:
    hurried = SubprocessExtractor(ReadingLimits(cpu_seconds=1))
    assert "more time or memory" in await reason(docx_bomb(95, b"<w:p><w:r><w:t/></w:r></w:p>"), "a.docx", hurried)


async def test_a_file_that_takes_too_much_memory_is_given_up() -> None:
    poor = SubprocessExtractor(ReadingLimits(memory_bytes=200_000_000))
    assert "memory" in await reason(b"word " * 40_000_000, "a.txt", poor)


async def test_more_words_than_tokens_are_allowed_are_refused_before_they_are_sent() -> None:
    many = "über " * 4_999_999 + "wort"
    assert await text_of(many, "a.txt") == many
    assert "5,000,001 tokens or more; at most 5,000,000" in await reason(many + " eins", "a.txt")
    digits = "1a1" * 2_000_000  # of which a token may hold several
    assert await text_of(digits, "a.txt") == digits


async def test_more_characters_than_may_be_searched_are_refused() -> None:
    generous = SubprocessExtractor(ReadingLimits(characters=1_000))
    assert "more than 1,000 characters of text" in await reason("word " * 300, "a.txt", generous)


async def test_cancelling_ends_the_process_and_frees_its_turn() -> None:
    alone, started = SubprocessExtractor(ReadingLimits(at_once=1)), asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        yield b"word "
        started.set()
        await asyncio.Event().wait()

    work = asyncio.create_task(alone.extract(endless(), "a.txt"))
    await started.wait()
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert await text_of("next", "a.txt", alone) == "next"


async def test_an_error_of_the_content_is_raised_as_it_is() -> None:
    async def lost() -> AsyncIterator[bytes]:
        yield b"word "
        raise LookupError("the blob is gone")

    with pytest.raises(LookupError, match="the blob is gone"):
        await EXTRACTOR.extract(lost(), "a.txt")


async def test_many_files_are_read_side_by_side() -> None:
    texts = await asyncio.gather(*(text_of(f"file {at}", "a.md") for at in range(20)))
    assert texts == [f"file {at}" for at in range(20)]


@pytest.mark.parametrize(
    ("data", "name"),
    [
        ("Grüße".encode(), "a.txt"),
        ("Grüße".encode("utf-8-sig"), "b.txt"),
        ("Grüße".encode("utf-16"), "c.txt"),
        ("# coding: latin-1\nGrüße".encode("latin-1"), "d.py"),
        (b"Gr\xfc\xdfe", "e.txt"),
        ("Grüße\x0c\x01".encode() + b"text " * 800, "f.txt"),
        ("Grüße".encode() + b" " * (SMALL + 1), "g.txt"),
    ],
)
async def test_small_and_large_readers_read_the_same(data: bytes, name: str) -> None:
    found = await extraction_of(data, name)
    assert "Grüße" in found.text
    large = SubprocessExtractor()
    large._small_processes = large._processes  # pyright: ignore[reportPrivateUsage] - the one of all kinds is asked
    assert await extraction_of(data, name, large) == found
    await large.aclose()
