"""PDFs whose characters stand in another order than they are read in. Written by hand, with a font that is not in the file."""

from collections.abc import Mapping, Sequence

import pytest

from tests.extract.test_extraction import text_of

NOVEL = "吾輩は猫である名前はまだ無いどこで生れたかとんと見当がつかぬ何でも薄暗いじめじめした所で"
ARABIC = {1: "س", 2: "لا", 3: "م", 4: " ", 5: "ع", 6: "ل", 7: "ي", 8: "ك", 9: "ا", 10: "ﻻ", 11: "لأ", 12: "لم"}


def pdf(content: str, letters: Mapping[int, str], encoding: str = "Identity-H", page: str = "") -> bytes:
    """One page of 400 by 400 points; `letters` is what each code stands for."""
    mapping = " ".join(f"<{code:04X}> <{text.encode('utf-16-be').hex()}>" for code, text in letters.items())
    cmap = (
        "/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /X def /CMapType 2 def 1 begincodespacerange "
        f"<0000> <FFFF> endcodespacerange {len(letters)} beginbfchar {mapping} endbfchar endcmap end end"
    )
    objects = (
        "<</Type/Catalog/Pages 2 0 R>>",
        "<</Type/Pages/Kids[3 0 R]/Count 1>>",
        f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 400 400]/Contents 4 0 R/Resources<</Font<</F 5 0 R>>>>{page}>>",
        f"<</Length {len(content)}>>stream\n{content}\nendstream",
        f"<</Type/Font/Subtype/Type0/BaseFont/X/Encoding/{encoding}/DescendantFonts[6 0 R]/ToUnicode 7 0 R>>",
        (
            "<</Type/Font/Subtype/CIDFontType2/BaseFont/X/CIDSystemInfo<</Registry(Adobe)/Ordering(Identity)/Supplement 0>>/DW 600"
            "/FontDescriptor<</Type/FontDescriptor/FontName/X/Flags 4/FontBBox[0 -200 1000 800]/ItalicAngle 0/Ascent 800"
            "/Descent -200/CapHeight 700/StemV 80>>>>"
        ),
        f"<</Length {len(cmap)}>>stream\n{cmap}\nendstream",
    )
    body, table = "%PDF-1.7\n", "0000000000 65535 f \n"
    for number, one in enumerate(objects, 1):
        table += f"{len(body):010d} 00000 n \n"
        body += f"{number} 0 obj{one}endobj\n"
    size = len(objects) + 1
    end = f"xref\n0 {size}\n{table}trailer<</Root 1 0 R/Size {size}>>\nstartxref\n{len(body)}\n%%EOF\n"
    return (body + end).encode()


def show(codes: Sequence[int], x: int, y: int) -> str:
    return f"BT /F 20 Tf {x} {y} Td <{''.join(f'{code:04X}' for code in codes)}> Tj ET "


@pytest.mark.parametrize(
    ("seen", "read"),
    [
        ((3, 2, 1), "سلام"),
        ((3, 10, 1), "سلام"),
        ((3, 9, 6, 1), "سلام"),
        ((3, 6, 9, 1), "سالم"),
        ((8, 7, 6, 5, 4, 3, 2, 1), "سلام عليك"),
        ((3, 11, 1), "سلأم"),
        ((2, 12), "لملا"),
    ],
)
async def test_arabic_ligatures_are_read_the_right_way_round(seen: Sequence[int], read: str) -> None:
    assert await text_of(pdf(show(seen, 50, 300), ARABIC), "a.pdf") == f"{read}\n\n"


@pytest.mark.parametrize("whole_columns", [True, False])
@pytest.mark.parametrize("height", [3, 12, 44])
async def test_vertical_writing_is_read_from_above_and_from_the_right(whole_columns: bool, height: int) -> None:
    columns = [range(at + 1, min(at + height, len(NOVEL)) + 1) for at in range(0, len(NOVEL), height)]
    content = "".join(
        show(codes, 370 - 24 * number, 390)
        if whole_columns
        else "".join(show([code], 370 - 24 * number, 390 - 20 * at) for at, code in enumerate(codes))
        for number, codes in enumerate(columns)
    )
    text = await text_of(pdf(content, dict(enumerate(NOVEL, 1)), "Identity-V"), "a.pdf")
    assert text.replace("\n", "") == NOVEL


async def test_control_characters_are_no_blanks_and_what_the_crop_box_hides_is_left_out() -> None:
    letters = dict(enumerate("of\x02ice\x01\0", 1))
    content = show([1, 2, 3, 2, 7, 4, 8, 5, 6], 50, 300) + show([5, 6], 350, 300)
    data = pdf(content, letters, page="/CropBox[0 0 200 400]")
    assert await text_of(data, "a.pdf") == "office\n\n"
