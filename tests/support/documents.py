"""Documents made for tests, good and hostile."""

import io
import struct
import zipfile
import zlib
from collections.abc import Mapping, Sequence

import docx
import pptx
from pptx.util import Inches
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.pdfgen.canvas import Canvas


def docx_of(*paragraphs: str, table: Sequence[Sequence[str]] = ()) -> bytes:
    """A document of paragraphs, then a table."""
    document = docx.Document()
    for text in paragraphs:
        document.add_paragraph(text)
    if table:
        grid = document.add_table(len(table), len(table[0]))
        for row, cells in zip(grid.rows, table, strict=True):
            for cell, text in zip(row.cells, cells, strict=True):
                cell.text = text
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def pptx_of(*slides: str, notes: str = "", table: Sequence[Sequence[str]] = ()) -> bytes:
    """A presentation: a text box a slide; the last slide has the notes and the table."""
    show = pptx.Presentation()
    for text in slides:
        slide = show.slides.add_slide(show.slide_layouts[6])
        slide.shapes.add_textbox(Inches(0), Inches(0), Inches(3), Inches(1)).text_frame.text = text
    last = show.slides[len(slides) - 1]
    if notes:
        frame = last.notes_slide.notes_text_frame
        assert frame is not None
        frame.text = notes
    if table:
        shape = last.shapes.add_table(len(table), len(table[0]), Inches(0), Inches(0), Inches(3), Inches(1))
        for row, cells in enumerate(table):
            for column, text in enumerate(cells):
                shape.table.cell(row, column).text = text
    out = io.BytesIO()
    show.save(out)
    return out.getvalue()


def pdf_of(*pages: str, password: str | None = None) -> bytes:
    """A PDF of pages of lines, by a real PDF library."""
    out = io.BytesIO()
    encrypt = StandardEncryption(password, "owner") if password is not None else None
    canvas = Canvas(out, encrypt=encrypt)
    for text in pages:
        for at, line in enumerate(text.splitlines()):
            canvas.drawString(72, 760 - 14 * at, line)
        canvas.showPage()
    canvas.save()
    return out.getvalue()


def long_pdf(pages: int) -> bytes:
    """A PDF of so many pages, each with its number, written object by object: ten times faster than a library."""
    kids = " ".join(f"{4 + 2 * at} 0 R" for at in range(pages))
    objects = [
        "<</Type/Catalog/Pages 2 0 R>>",
        f"<</Type/Pages/Count {pages}/Kids[{kids}]>>",
        "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    for at in range(pages):
        said = f"BT /F 12 Tf 72 700 Td (This is page {at + 1} of many) Tj ET"
        page = f"/Parent 2 0 R/MediaBox[0 0 612 792]/Resources<</Font<</F 3 0 R>>>>/Contents {5 + 2 * at} 0 R"
        objects += [f"<</Type/Page{page}>>", f"<</Length {len(said)}>>stream\n{said}\nendstream"]
    out, places = bytearray(b"%PDF-1.4\n"), list[int]()
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += f"{number} 0 obj{body}endobj\n".encode()
    at = len(out)
    out += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode()
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    out += f"trailer<</Size {len(objects) + 1}/Root 1 0 R>>startxref\n{at}\n%%EOF".encode()
    return bytes(out)


def zip_of(parts: Mapping[str, bytes]) -> bytes:
    """An archive of these parts."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return out.getvalue()


def docx_bomb(megabytes: int, unit: bytes = b"<w:p><w:r><w:t>boom boom boom</w:t></w:r></w:p>") -> bytes:
    """A DOCX whose body unpacks to so many MB from a thousandth of that."""
    head = b'<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body>'
    squeeze, total = zlib.compressobj(9, zlib.DEFLATED, -15), len(head)
    data, check = bytearray(squeeze.compress(head)), zlib.crc32(head)
    piece = unit * (1_000_000 // len(unit))
    while total < megabytes * 1_000_000:
        data += squeeze.compress(piece)
        check, total = zlib.crc32(piece, check), total + len(piece)
    data += squeeze.flush()
    return _archive(b"word/document.xml", bytes(data), check, total)


def _archive(name: bytes, data: bytes, check: int, size: int) -> bytes:
    """A zip archive of one deflated part, its header saying what it is told to say."""
    common = struct.pack("<HHHHHIII", 20, 0, 8, 0, 0, check, len(data), size)
    local = b"PK\x03\x04" + common + struct.pack("<HH", len(name), 0) + name + data
    central = b"PK\x01\x02" + struct.pack("<H", 20) + common
    central += struct.pack("<HHHHHII", len(name), 0, 0, 0, 0, 0, 0) + name
    end = b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(central), len(local), 0)
    return local + central + end


def lying_docx() -> bytes:
    """A bomb whose directory says that it is small."""
    head = b'<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body>'
    body = head + b"<w:p><w:r><w:t>boom</w:t></w:r></w:p>" * 100_000
    squeezed = zlib.compress(body, wbits=-15)
    return _archive(b"word/document.xml", squeezed, zlib.crc32(body), 1_000)
