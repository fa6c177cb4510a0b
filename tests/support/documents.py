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


NOBODY, ROOT, STORAGE = 0xFFFFFFFF, 5, 1
CUTOFF = 4_096
"""Bytes: shorter streams lie in the small sectors."""


def doc_of(*pieces: str, flags: int = 0x0200, version: int = 0xC1, small: bool = False, embedded: bytes = b"") -> bytes:
    """A Word 97 document: each piece in one byte a character if it can be, else in two.

    `embedded`: the stream `WordDocument` of a document within it, in a storage of its own.
    Laid out by hand, as no library writes it: sector 0 is the table of chains, 1 and 2 the directory, then the streams.
    """
    body, places, starts = bytearray(0x600), [0], list[int]()
    for piece in pieces:
        narrow = piece.isascii()
        starts.append(len(body) * 2 | 0x40000000 if narrow else len(body))
        body += piece.encode("cp1252" if narrow else "utf-16-le")
        places.append(places[-1] + len(piece))
    size = 4 * len(places) + 8 * len(starts)
    table = b"\x01\x02\x00ab\x02" + struct.pack("<I", size) + struct.pack(f"<{len(places)}I", *places)
    table += b"".join(struct.pack("<HIH", 0, start, 0) for start in starts)
    struct.pack_into("<HH6xH", body, 0, 0xA5EC, version, flags)
    struct.pack_into("<II", body, 0x1A2, 0, len(table))
    least = 0 if small else CUTOFF
    streams = {"WordDocument": bytes(body).ljust(least, b"\0"), "1Table": table.ljust(least, b"\0")}
    return _compound(streams, CUTOFF, embedded)


def _compound(streams: Mapping[str, bytes], cutoff: int, embedded: bytes = b"") -> bytes:
    """A compound file with two sectors of directory; streams below `cutoff` go into the small sectors of the root entry."""
    sectors: list[bytes] = []
    following = [0xFFFFFFFD, 2, 0xFFFFFFFE]

    def store(data: bytes) -> int:
        count = max(1, -(-len(data) // 512))
        start = len(following)
        following.extend([*range(start + 1, start + count), 0xFFFFFFFE])
        sectors.append(data.ljust(512 * count, b"\0"))
        return start

    small, small_next, entries = bytearray(), list[int](), list[bytes]()
    for name, data in streams.items():
        if len(data) >= cutoff:
            entries.append(_entry(name, 2, store(data), len(data), _after(entries, streams)))
            continue
        count, start = -(-len(data) // 64), len(small_next)
        small_next += [*range(start + 1, start + count), 0xFFFFFFFE]
        small += data.ljust(64 * count, b"\0")
        entries.append(_entry(name, 2, start, len(data), _after(entries, streams)))
    if embedded:
        last = bytearray(entries[-1])
        struct.pack_into("<I", last, 72, len(entries) + 1)
        entries[-1] = bytes(last)
        inner = embedded.ljust(cutoff, b"\0")
        entries.append(_entry("ObjectPool", STORAGE, 0, 0, len(entries) + 2))
        entries.append(_entry("WordDocument", 2, store(inner), len(inner)))
    entries.insert(0, _entry("Root Entry", ROOT, store(bytes(small)), len(small), 1))
    small_table = store(struct.pack(f"<{len(small_next)}I", *small_next)) if small_next else 0xFFFFFFFE
    chains = struct.pack(f"<{len(following)}I", *following).ljust(512, b"\xff")
    head = bytearray(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".ljust(512, b"\0"))
    struct.pack_into("<HHHHH", head, 24, 0x3E, 3, 0xFFFE, 9, 6)
    struct.pack_into("<I", head, 44, 1)
    struct.pack_into("<I4xIII", head, 48, 1, cutoff, small_table, 1 if small_next else 0)
    struct.pack_into("<II", head, 68, 0xFFFFFFFE, 0)
    struct.pack_into("<109I", head, 76, 0, *[0xFFFFFFFF] * 108)
    return bytes(head) + chains + b"".join(entries).ljust(1_024, b"\0") + b"".join(sectors)


def _after(entries: list[bytes], streams: Mapping[str, bytes]) -> int:
    """The number of the entry behind the one about to be added; the root, number 0, comes last of all."""
    return len(entries) + 2 if len(entries) + 1 < len(streams) else NOBODY


def _entry(name: str, kind: int, start: int, size: int, following: int = NOBODY) -> bytes:
    """`following`: the next in the same storage, or for the root the first of its own."""
    raw = name.encode("utf-16-le") + b"\0\0"
    right, child = (NOBODY, following) if kind in (ROOT, STORAGE) else (following, NOBODY)
    return struct.pack("<64sHBBIII36xII4x", raw, len(raw), kind, 1, NOBODY, right, child, start, size)
