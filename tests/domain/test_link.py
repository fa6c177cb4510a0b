"""Links to the sandbox's files, however the model's text is cut into pieces."""

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


WORDS = st.sampled_from(["sandbox:/mnt/data/", "a.csv", ".gz", "out/my plot.png", "sand", "box", "s", " ", "🌮", "]("])


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
