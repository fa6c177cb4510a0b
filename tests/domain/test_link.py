"""SandboxFiles to the sandbox's files, however the model's text is cut into pieces."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from threadmill.domain.ids import FileId
from threadmill.domain.message import Annotation
from threadmill.domain.sandbox_link import SANDBOX_PREFIX, SandboxLinkParser

FILES = {"a.csv": FileId("file-a"), "a.csv.gz": FileId("file-gz"), "out/my plot.png": FileId("file-plot")}


def read(*pieces: str) -> list[str | Annotation]:
    reader = SandboxLinkParser(FILES)
    return [part for piece in pieces for part in reader.feed(piece)] + reader.close()


def joined(parts: list[str | Annotation]) -> str:
    return "".join(part if isinstance(part, str) else part.text for part in parts)


@pytest.mark.parametrize(
    ("path", "file_id"),
    [
        ("a.csv", "file-a"),
        ("a.csv.gz", "file-gz"),
        ("out/my plot.png", "file-plot"),
        ("out/my%20plot.png", "file-plot"),
    ],
)
def test_a_link_to_a_file_is_an_annotation_with_the_indexes_of_exactly_its_text(path: str, file_id: str) -> None:
    text = f"Get [it](sandbox:/mnt/data/{path})."
    (found,) = [part for part in read(text) if isinstance(part, Annotation)]
    assert (found.type, found.file_id) == ("file_path", file_id)
    assert text[found.start_index : found.end_index] == found.text == SANDBOX_PREFIX + path


ODD = {
    "my file (1).csv": FileId("file-1"),
    "Übersicht 100%.csv": FileId("file-2"),
    "a_b&c+d.csv": FileId("file-3"),
    "a b.csv": FileId("file-4"),
    "a+b.csv": FileId("file-5"),
    "a%20b.csv": FileId("file-6"),
    "🌮.csv": FileId("file-7"),
}


@pytest.mark.parametrize(
    ("written", "file_id"),
    [
        ("my file (1).csv", "file-1"),
        ("my%20file%20%281%29.csv", "file-1"),
        ("my file%20(1%29.csv", "file-1"),
        ("my%20file (1).csv", "file-1"),
        (r"my\ file\ \(1\).csv", "file-1"),
        ("my+file+(1).csv", "file-1"),
        ("%6dy file (1)%2Ecsv", "file-1"),
        ("Übersicht 100%.csv", "file-2"),
        ("%c3%9cbersicht%20100%25.csv", "file-2"),
        ("%C3%9cbersicht 100%.csv", "file-2"),
        (r"a\_b&amp;c%2Bd.csv", "file-3"),
        ("a b.csv", "file-4"),
        ("a+b.csv", "file-5"),
        ("a%2Bb.csv", "file-5"),
        ("a%20b.csv", "file-6"),
        ("a%2520b.csv", "file-6"),
        ("%F0%9F%8C%AE.csv", "file-7"),
    ],
)
def test_any_mixture_of_escapes_leads_to_the_file(written: str, file_id: str) -> None:
    text = f"Get [it](sandbox:/mnt/data/{written})."
    for pieces in ([text], list(text)):
        reader = SandboxLinkParser(ODD)
        found = [part for piece in pieces for part in reader.feed(piece)] + reader.close()
        (link,) = [part for part in found if isinstance(part, Annotation)]
        assert (joined(found), link.text, link.file_id) == (text, SANDBOX_PREFIX + written, file_id)


COMPOSED, DECOMPOSED = "\u00dcber \u00e9t\u00e9.csv", "U\u0308ber e\u0301te\u0301.csv"


@pytest.mark.parametrize("name", [COMPOSED, DECOMPOSED])
@pytest.mark.parametrize(
    "written",
    [COMPOSED, DECOMPOSED, "%C3%9Cber %c3%a9t\u00e9.csv", "U%CC%88ber%20e\u0301te%cc%81.csv"],
)
def test_an_accent_composed_or_decomposed_leads_to_the_same_file(name: str, written: str) -> None:
    text = f"[it](sandbox:/mnt/data/{written})"
    for pieces in ([text], list(text)):
        reader = SandboxLinkParser({name: FileId("file-1"), "Uber ete.csv": FileId("file-2")})
        found = [part for piece in pieces for part in reader.feed(piece)] + reader.close()
        (link,) = [part for part in found if isinstance(part, Annotation)]
        assert (joined(found), link.text, link.file_id) == (text, SANDBOX_PREFIX + written, "file-1")


def test_of_two_files_that_differ_in_the_accents_form_alone_the_one_written_is_meant() -> None:
    files = {COMPOSED: FileId("file-1"), DECOMPOSED: FileId("file-2")}
    for written, file_id in ((COMPOSED, "file-1"), (DECOMPOSED, "file-2")):
        reader = SandboxLinkParser(files)
        found = reader.feed(f"sandbox:/mnt/data/{written})") + reader.close()
        assert [part.file_id for part in found if isinstance(part, Annotation)] == [file_id]


@pytest.mark.parametrize("written", ["%", "%F0%9F", "my%2", "my%2xfile", "my\\", "100%", "%ff.csv"])
def test_half_an_escape_leads_nowhere(written: str) -> None:
    reader = SandboxLinkParser(ODD)
    text = f"sandbox:/mnt/data/{written}"
    found = [part for character in text for part in reader.feed(character)] + reader.close()
    assert (joined(found), [part for part in found if isinstance(part, Annotation)]) == (text, [])


def test_a_link_to_no_file_is_text() -> None:
    assert read("See sandbox:/mnt/data/b.csv, sandbox:/etc/passwd and sand.") == [
        "See sandbox:/mnt/data/",
        "b.csv, sandbox:/etc/passwd and sand.",
    ]


def test_of_two_files_the_longer_name_is_meant_and_waited_for() -> None:
    reader = SandboxLinkParser(FILES)
    assert reader.feed("sandbox:/mnt/data/a.csv") == []
    (found,) = reader.feed(".gz")
    assert isinstance(found, Annotation)
    assert found.file_id == "file-gz"


def test_text_is_held_back_no_longer_than_a_link_can_be() -> None:
    reader = SandboxLinkParser(FILES)
    assert reader.feed("a ") == ["a "]
    assert reader.feed("sand") == []
    assert reader.feed(" castle") == ["sand castle"]
    assert reader.feed("sandbox:/mnt/data/a.") == []
    assert reader.feed("txt") == ["sandbox:/mnt/data/", "a.txt"]


def test_what_is_held_at_the_end_is_given() -> None:
    assert joined(read("sandbox:/mnt/da")) == "sandbox:/mnt/da"
    (found,) = read("sandbox:/mnt/data/a.csv")
    assert isinstance(found, Annotation)


WORDS = st.sampled_from(
    [
        "sandbox:/mnt/data/",
        "a.csv",
        ".gz",
        "out/my plot.png",
        "out%2Fmy+plot",
        ".png",
        "%2",
        "sand",
        "box",
        "s",
        " ",
        "🌮",
        "](",
    ]
)


@given(st.lists(WORDS, max_size=12).map("".join), st.data())
def test_however_it_is_cut_the_same_is_read(text: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    pieces = [text[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    whole, cut = read(text), read(*pieces)
    assert joined(cut) == text
    assert [part for part in cut if isinstance(part, Annotation)] == [
        part for part in whole if isinstance(part, Annotation)
    ]
    for part in cut:
        if isinstance(part, Annotation):
            assert text[part.start_index : part.end_index] == part.text
