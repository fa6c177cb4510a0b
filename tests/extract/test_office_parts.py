"""What people search for in Office documents and PDFs is not in the body alone."""

from collections.abc import AsyncIterator

import pytest

from tests.support.documents import doc_of, zip_of
from threadmill.adapters.extract.subprocess_extractor import SubprocessExtractor
from threadmill.engine.ports.text_extractor import ExtractedText

EXTRACTOR = SubprocessExtractor()
REL = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
A = 'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main" xmlns:p="http://p" xmlns:dgm="http://d" xmlns:c="http://c"'


async def extracted(data: bytes, name: str) -> ExtractedText:
    async def content() -> AsyncIterator[bytes]:
        yield data

    return await EXTRACTOR.extract(content(), name)


def rels(**targets: str) -> bytes:
    """`kind_number="target"`."""
    each = (
        f'<Relationship Id="{key}" Type="{REL}/{key.split("_")[0]}" Target="{target}"/>'
        for key, target in targets.items()
    )
    return f"<Relationships>{''.join(each)}</Relationships>".encode()


def paragraph(text: str) -> str:
    return f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>"


def word(root: str, text: str) -> bytes:
    return f"<w:{root} {W}>{paragraph(text)}</w:{root}>".encode()


def slide(text: str = "") -> bytes:
    inside = f"<p:grpSp><p:sp><a:p><a:r><a:t>{text}</a:t></a:r></a:p></p:sp></p:grpSp>" if text else ""
    return f"<p:sld {A}>{inside}</p:sld>".encode()


def deck(*slides: bytes, **more: bytes) -> bytes:
    listed = "".join(f'<p:sldId r="slide_{at}"/>' for at in range(len(slides)))
    parts = {
        "_rels/.rels": rels(officeDocument="ppt/presentation.xml"),
        "ppt/presentation.xml": f"<p:presentation {A}>{listed}</p:presentation>".encode(),
        "ppt/_rels/presentation.xml.rels": rels(
            **{f"slide_{at}": f"slides/slide{at}.xml" for at in range(len(slides))}
        ),
    }
    parts |= {f"ppt/slides/slide{at}.xml": data for at, data in enumerate(slides)}
    return zip_of(parts | {name.replace("__", "/").replace("-", "."): data for name, data in more.items()})


CHART = f"""<c:chartSpace {A}><c:chart><c:title><a:p><a:r><a:t>Sales by quarter</a:t></a:r></a:p></c:title><c:ser>
<c:tx><c:strRef><c:f>Sheet1!B1</c:f><c:strCache><c:pt><c:v>Berlin</c:v></c:pt></c:strCache></c:strRef></c:tx>
<c:cat><c:strRef><c:strCache><c:pt><c:v>Q1</c:v></c:pt><c:pt><c:v>Q2</c:v></c:pt></c:strCache></c:strRef></c:cat>
<c:val><c:numRef><c:numCache><c:pt><c:v>17</c:v></c:pt><c:pt><c:v>23</c:v></c:pt></c:numCache></c:numRef></c:val>
</c:ser></c:chart></c:chartSpace>""".encode()


async def test_a_deck_of_charts_alone_is_read() -> None:
    parts = {
        "ppt/slides/_rels/slide0.xml.rels": rels(chart="../charts/chart1.xml"),
        "ppt/charts/chart1.xml": CHART,
    }
    found = await extracted(deck(slide(), slide(), **parts), "a.pptx")
    assert found.text.strip() == "Sales by quarter\nBerlin\nQ1\t17\nQ2\t23"
    assert found.notes.doubts() == ["1 of 2 pages have no text."]


async def test_a_slide_is_read_with_its_groups_diagrams_notes_and_comments() -> None:
    parts = {
        "ppt/slides/_rels/slide0.xml.rels": rels(
            diagramData="../diagrams/data1.xml", notesSlide="../notesSlides/n.xml", comments="../comments/c.xml"
        ),
        "ppt/diagrams/data1.xml": f"<dgm:d {A}><dgm:t><a:p><a:r><a:t>step one</a:t></a:r></a:p></dgm:t></dgm:d>".encode(),
        "ppt/notesSlides/n.xml": slide("say hello"),
        "ppt/comments/c.xml": f"<p:cmLst {A}><p:cm><p:text>too long</p:text></p:cm></p:cmLst>".encode(),
    }
    found = await extracted(deck(slide("in a group"), **parts), "a.pptx")
    assert found.text.split("\n")[:4] == ["in a group", "step one", "say hello", "too long"]


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("word/document2.xml", "word/document2.xml"),
        ("/word/document2.xml", "word\\document2.xml"),
        ("Word/Document.xml", "word/document.xml"),
        ("main.xml", "main.xml"),
    ],
)
async def test_a_document_is_found_by_its_relationships(target: str, name: str) -> None:
    data = zip_of({"_rels/.rels": rels(officeDocument=target), name: word("document", "body")})
    assert (await extracted(data, "a.docx")).text == "body\n"


async def test_a_document_is_read_with_all_that_stands_around_its_body() -> None:
    kinds = ("header", "footer", "footnotes", "endnotes", "comments")
    parts = {
        "_rels/.rels": rels(officeDocument="word/document.xml"),
        "word/document.xml": word("document", "body"),
        "word/_rels/document.xml.rels": rels(
            **{f"{kind}_1": f"{kind}1.xml" for kind in kinds}, chart_1="charts/chart1.xml"
        ),
        "word/charts/chart1.xml": CHART,
        **{f"word/{kind}1.xml": word(kind, f"the {kind}") for kind in kinds},
    }
    lines = (await extracted(zip_of(parts), "a.docx")).text.split("\n")
    assert lines[0] == "body"
    assert {f"the {kind}" for kind in kinds} | {"Sales by quarter", "Q2\t23"} <= set(lines)


def pdf(page: str, content: str, *objects: str) -> bytes:
    """A PDF of one page written by hand; `objects` are numbered from 6 on. pdfium finds them without a table."""
    font = "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"
    all_objects = (
        "<</Type/Catalog/Pages 2 0 R/AcroForm<</Fields[6 0 R]/DR<</Font<</F 5 0 R>>>>/DA(/F 12 Tf)>>>>",
        "<</Type/Pages/Kids[3 0 R]/Count 1>>",
        f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Resources<</Font<</F 5 0 R>>>>/Contents 4 0 R{page}>>",
        f"<</Length {len(content)}>>stream\n{content}\nendstream",
        font,
        *objects,
    )
    body = "".join(f"{number} 0 obj{one}endobj\n" for number, one in enumerate(all_objects, 1))
    return f"%PDF-1.7\n{body}trailer<</Root 1 0 R/Size {len(all_objects) + 1}>>\n%%EOF\n".encode()


def show(text: str, x: int, y: int) -> str:
    return f"BT /F 12 Tf {x} {y} Td ({text}) Tj ET "


async def test_what_was_filled_into_a_form_and_noted_on_a_page_is_read() -> None:
    field = "<</Type/Annot/Subtype/Widget/FT/Tx/T(iban)/TU(Account)/V(DE89370400440532013000)/Rect[10 10 200 30]>>"
    note = "<</Type/Annot/Subtype/FreeText/Contents(Check this twice)/Rect[10 50 200 70]/DA(/F 12 Tf)>>"
    data = pdf("/Annots[6 0 R 7 0 R]", show("Form", 50, 700), field, note)
    text = (await extracted(data, "a.pdf")).text
    assert "Form" in text
    assert "Account: DE89370400440532013000" in text
    assert "Check this twice" in text


async def test_text_outside_the_crop_box_is_left_out() -> None:
    data = pdf("/CropBox[0 400 600 800]", show("inside", 50, 700) + show("outside", 50, 100))
    text = (await extracted(data, "a.pdf")).text
    assert "inside" in text
    assert "outside" not in text


async def test_a_pdf_without_any_text_is_a_scan_and_blank_pages_are_counted() -> None:
    text = await extracted(pdf("", show("words", 50, 700)), "a.pdf")
    assert (text.notes.format, text.notes.pages, text.notes.blank_pages) == ("PDF", 1, 0)


@pytest.mark.parametrize("embedded", [b"an inner document's text", b"\xec\xa5\xc1\0" + bytes(4_000)])
async def test_a_doc_with_a_document_within_it_is_read_as_itself(embedded: bytes) -> None:
    assert (await extracted(doc_of("The outer text.\r", embedded=embedded), "a.doc")).text.strip() == "The outer text."
