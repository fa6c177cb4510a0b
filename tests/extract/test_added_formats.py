"""What the service refused and this server reads: sheets, mails, books, open documents. The files are made here."""

import zipfile
from email.message import EmailMessage
from io import BytesIO

import pytest

from tests.extract.test_extraction import EXTRACTOR, extraction_of, reason, refusal_of, text_of
from tests.support.documents import zip_of
from threadmill.adapters.extract.subprocess_extractor import SubprocessExtractor
from threadmill.domain.vector_store import FileErrorCode

XML = '<?xml version="1.0" encoding="UTF-8"?>'
MAIN = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


def relations(**kinds: str) -> bytes:
    """A part's relations: target by kind; the reference is the kind."""
    rows = (
        f'<Relationship Id="{name}" Type="{RELATIONS}/{name.rstrip("0123456789")}" Target="{target}"/>'
        for name, target in kinds.items()
    )
    return f'{XML}<Relationships xmlns="x">{"".join(rows)}</Relationships>'.encode()


def workbook(*sheets: str, shared: str = "", styles: str = "", properties: str = "") -> bytes:
    """An XLSX of sheets' rows in XML, called One, Two and so on."""
    names = ("One", "Two", "Three")
    listed = "".join(
        f'<sheet name="{names[at]}" sheetId="{at + 1}" r:id="worksheet{at}"/>' for at in range(len(sheets))
    )
    parts = {
        "_rels/.rels": relations(officeDocument="xl/workbook.xml"),
        "xl/workbook.xml": f'<workbook {MAIN} xmlns:r="{RELATIONS}">{properties}<sheets>{listed}</sheets></workbook>'.encode(),
        "xl/_rels/workbook.xml.rels": relations(
            **{f"worksheet{at}": f"sheets/{at}.xml" for at in range(len(sheets))},
            sharedStrings="shared.xml",
            styles="styles.xml",
        ),
        "xl/shared.xml": f"<sst {MAIN}>{shared}</sst>".encode(),
        "xl/styles.xml": f"<styleSheet {MAIN}>{styles}</styleSheet>".encode(),
    }
    for at, rows in enumerate(sheets):
        parts[f"xl/sheets/{at}.xml"] = f"<worksheet {MAIN}><sheetData>{rows}</sheetData></worksheet>".encode()
    return zip_of(parts)


def inline(*cells: str) -> str:
    """A row of texts."""
    return "<row>" + "".join(f'<c t="inlineStr"><is><t>{cell}</t></is></c>' for cell in cells) + "</row>"


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("Name,City\nAnn,Rome\nBob,Oslo\n", "Name; City\nName: Ann; City: Rome\nName: Bob; City: Oslo\n"),
        ("Name;Price\r\nApfel;3,20\r\n", "Name; Price\nName: Apfel; Price: 3,20\n"),
        ("sep=|\nName|City\nAnn|Rome\n", "Name; City\nName: Ann; City: Rome\n"),
        ('Name,Said\nAnn,"one, ""two""\nthree"\n', 'Name; Said\nName: Ann; Said: one, "two" three\n'),
        ("1,2\n3,4\n", "1; 2\n3; 4\n"),
        ("Prices of May\nName,Price\nApple,3\n", "Prices of May\nName; Price\nName: Apple; Price: 3\n"),
        ("Name,City\n,\nAnn,,more\n", "Name; City\nName: Ann; more\n"),
    ],
)
async def test_rows_of_csv_come_with_their_headers(written: str, read: str) -> None:
    assert await text_of(written, "a.csv") == read


async def test_csv_is_read_in_its_encoding_and_by_tabs() -> None:
    assert (
        await text_of("Name;Stadt\nJörg;Köln\n".encode("cp1252"), "a.csv") == "Name; Stadt\nName: Jörg; Stadt: Köln\n"
    )
    assert (
        await text_of("Name\tStadt\nJörg\tKöln\n".encode("utf-16"), "a.tsv") == "Name; Stadt\nName: Jörg; Stadt: Köln\n"
    )


async def test_an_endless_cell_of_csv_is_refused() -> None:
    assert "quotes" in await reason('a,b\n"' + "x" * 1_100_000, "a.csv")


async def test_each_sheet_is_read_under_its_name() -> None:
    data = workbook(inline("Name", "City") + inline("Ann", "Rome"), inline("Only"), shared="")
    found = await extraction_of(data, "a.xlsx")
    assert found.text == "One\nName; City\nName: Ann; City: Rome\n\nTwo\nOnly\n"
    assert found.notes.format == "XLSX"


async def test_cells_are_read_as_a_sheet_shows_them() -> None:
    styles = (
        '<numFmts><numFmt numFmtId="170" formatCode="yyyy\\-mm\\-dd hh:mm"/><numFmt numFmtId="171" formatCode="[Red]0.0%"/>'
        '<numFmt numFmtId="172" formatCode="&quot;days&quot; 0"/></numFmts>'
        '<cellXfs><xf numFmtId="0"/><xf numFmtId="14"/><xf numFmtId="170"/><xf numFmtId="171"/><xf numFmtId="172"/></cellXfs>'
    )
    shared = "<si><r><t>Sha</t></r><r><t>red</t></r><rPh><t>reading</t></rPh></si>"
    cells = (
        ('<c r="A1" t="s"><v>0</v></c>', "Shared"),
        ('<c r="B1"><v>0.30000000000000004</v></c>', "0.3"),
        ('<c r="C1" s="1"><v>45413</v></c>', "2024-05-01"),
        ('<c r="D1" s="2"><v>45413.75</v></c>', "2024-05-01 18:00:00"),
        ('<c r="E1" s="3"><v>0.19</v></c>', "19%"),
        ('<c r="F1" s="4"><v>7</v></c>', "7"),
        ('<c r="G1" t="b"><v>1</v></c>', "TRUE"),
        ('<c r="H1" t="str"><f>A1&amp;B1</f><v>worked out</v></c>', "worked out"),
        ('<c r="I1" t="s"><v>99</v></c>', ""),
        ('<c r="XFE1" t="str"><v>beyond the last column</v></c>', ""),
    )
    row = "<row>" + "".join(cell for cell, _ in cells) + "</row>"
    text = await text_of(workbook(row, shared=shared, styles=styles), "a.xlsx")
    assert text == "One\n" + "; ".join(shown for _, shown in cells if shown) + "\n"


async def test_dates_count_from_1904_where_the_workbook_says_so() -> None:
    row = '<row><c t="str"><v>Day</v></c><c s="0"><v>0.5</v></c><c s="0"><v>43951</v></c></row>'
    styles = '<cellXfs><xf numFmtId="22"/></cellXfs>'
    assert "2024-05-01" in await text_of(
        workbook(row, styles=styles, properties='<workbookPr date1904="1"/>'), "a.xlsx"
    )


async def test_a_sheet_of_a_billion_cells_is_no_longer_than_what_they_say() -> None:
    rows = (
        inline("Name", "Far")
        + '<row r="1048576"><c r="A1048576" t="str"><v>Ann</v></c><c r="XFD1048576" t="str"><v>x</v></c></row>'
    )
    assert await text_of(workbook(rows), "a.xlsx") == "One\nName; Far\nName: Ann; x\n"


async def test_sheets_that_grow_beyond_all_bounds_are_refused() -> None:
    shared = "<si><t>" + "x" * 9_000_000 + "</t></si>"
    many = '<row><c t="s"><v>0</v></c></row>' * 100
    assert "64,000,000 characters" in await reason(workbook(many, shared=shared), "a.xlsx")
    bomb = BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in _parts(workbook(inline("x"))).items():
            archive.writestr(name, data if "sheets/" not in name else data + b" " * 101_000_000)
    assert "unpacks to more than 100 MB" in await reason(bomb.getvalue(), "a.xlsx")


def _parts(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


async def test_what_is_called_a_workbook_and_is_none_is_refused() -> None:
    assert "not an XLSX workbook" in await reason(zip_of({"a.xml": b"<a/>"}), "a.xlsx")
    assert "not a zip archive" in await reason(b"Name,City", "a.xlsx")


async def test_spreadsheets_can_be_turned_off_and_are_refused_as_the_service_did() -> None:
    without = SubprocessExtractor(spreadsheets=False)
    assert (await refusal_of(b"a,b", "a.csv", without))[0] is FileErrorCode.UNSUPPORTED_FILE
    assert EXTRACTOR.extensions - without.extensions == {".csv", ".tsv", ".xlsx"}
    await without.aclose()


TEXT = 'xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0" xmlns:table="urn:t" xmlns:office="urn:o"'


async def test_an_open_document_is_read_with_tables_notes_and_headers() -> None:
    content = (
        f"<office:document-content {TEXT}><office:body><text:tracked-changes><text:p>struck out</text:p></text:tracked-changes>"
        '<text:h>A <text:span>title</text:span></text:h><text:p>One<text:s text:c="2"/>two<text:tab/>three<text:line-break/>four '
        "<text:note><text:note-body><text:p>a note</text:p></text:note-body></text:note>end</text:p>"
        "<table:table><table:table-row><table:table-cell><text:p>a</text:p></table:table-cell>"
        "<table:table-cell><text:p>b</text:p><text:p>c</text:p></table:table-cell></table:table-row></table:table>"
        "</office:body></office:document-content>"
    )
    styles = f"<office:document-styles {TEXT}><text:p>the header</text:p></office:document-styles>"
    data = zip_of({"content.xml": content.encode(), "styles.xml": styles.encode()})
    found = await extraction_of(data, "a.odt")
    assert found.text == "A title\na note\nOne  two\tthree\nfour end\na\tb c\nthe header\n"
    assert found.notes.format == "ODT"
    assert "not an ODT" in await reason(zip_of({"a.xml": b"<a/>"}), "a.odt")


async def test_blanks_an_open_document_promises_are_bounded() -> None:
    content = f'<a {TEXT}><text:p>x<text:s text:c="2000000000"/>y<text:s text:c="none"/>z</text:p></a>'
    assert await text_of(zip_of({"content.xml": content.encode()}), "a.odt") == "x" + " " * 100 + "y z\n"


def book(**parts: str) -> bytes:
    """An EPUB of two pages, the second first in its order."""
    made = {
        "mimetype": "application/epub+zip",
        "META-INF/container.xml": '<container><rootfiles><rootfile full-path="OEBPS/book.opf"/></rootfiles></container>',
        "OEBPS/book.opf": '<package><manifest><item id="a" href="text/a%20b.xhtml"/><item id="b" href="text/b.xhtml"/></manifest>'
        '<spine><itemref idref="b"/><itemref idref="a"/><itemref idref="gone"/></spine></package>',
        "OEBPS/text/a b.xhtml": "<html><body><p>The end.</p></body></html>",
        "OEBPS/text/b.xhtml": "<html><body><h1>Début</h1></body></html>",
    }
    return zip_of({name: text.encode() for name, text in (made | parts).items()})


async def test_a_book_is_read_in_its_order() -> None:
    found = await extraction_of(book(), "a.epub")
    assert found.text.split() == ["Début", "The", "end."]
    assert found.notes.format == "EPUB"


async def test_a_book_that_is_locked_or_none_is_refused() -> None:
    lock = '<encryption><CipherReference URI="OEBPS/text/b.xhtml"/></encryption>'
    assert "encrypted" in await reason(book(**{"META-INF/encryption.xml": lock}), "a.epub")
    assert "not an EPUB" in await reason(zip_of({"a.xml": b"<a/>"}), "a.epub")


async def test_a_mail_is_read_as_its_reader_sees_it() -> None:
    mail, inner = EmailMessage(), EmailMessage()
    mail["Subject"], mail["From"], mail["To"] = "Grüße aus Köln", "Ann <ann@example.com>", "bob@example.com"
    mail.set_content("Schöne Grüße!", charset="iso-8859-1", cte="quoted-printable")
    mail.add_alternative("<p>the same in <b>HTML</b></p>", subtype="html")
    mail.add_attachment(b"a,b", maintype="text", subtype="csv", filename="secret.csv")
    inner["Subject"] = "Forwarded"
    inner.set_content("<p>Only in HTML</p>", subtype="html")
    mail.add_attachment(inner, disposition="inline")
    found = await extraction_of(bytes(mail), "a.eml")
    assert found.text.split("\n")[:5] == [
        "Subject: Grüße aus Köln",
        "From: Ann <ann@example.com>",
        "To: bob@example.com",
        "",
        "Schöne Grüße!",
    ]
    assert "Subject: Forwarded" in found.text
    assert "Only in HTML" in found.text
    assert "the same in" not in found.text
    assert "a,b" not in found.text
    assert list(found.notes.remarks) == ["What is attached is not read."]
    assert "no headers" in await reason("just words", "a.eml")


async def test_a_mail_of_mails_without_end_is_refused() -> None:
    deep = "".join(f'Content-Type: multipart/mixed; boundary="{at}"\n\n--{at}\n' for at in range(40))
    assert "nested too deeply" in await reason("Subject: x\n" + deep + "\nwords", "a.eml")


async def test_rich_text_is_read() -> None:
    assert (await text_of(rb"{\rtf1\ansi Gr\'fc\'dfe {\b there}\par}", "a.rtf")).strip() == "Grüße there"
