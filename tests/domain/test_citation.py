"""Citation markers in an answer, however it is cut into pieces."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from threadmill.domain.citation import MAX_DIGITS, MAX_MARKER, MAX_NAME, CitationParser, PassageRef, format_marker
from threadmill.domain.ids import FileId
from threadmill.domain.message import Annotation

SOURCES = {PassageRef(4, 0): FileId("file-a"), PassageRef(4, 12): FileId("file-b")}


def read(*pieces: str) -> list[str | Annotation]:
    reader = CitationParser(SOURCES)
    found = [part for piece in pieces for part in reader.feed(piece)]
    return found + reader.close()


def text_of(parts: list[str | Annotation]) -> str:
    return "".join(part if isinstance(part, str) else part.text for part in parts)


def test_a_marker_becomes_a_citation_of_its_file() -> None:
    assert read("It is so【4:12†notes.pdf】.") == [
        "It is so",
        Annotation("file_citation", "【4:12†notes.pdf】", 8, 24, FileId("file-b")),
        ".",
    ]


def test_a_marker_arrives_whole_though_it_came_character_by_character() -> None:
    found = read(*"a【4:0†n】b【4:0†m】")
    assert [part.text for part in found if isinstance(part, Annotation)] == ["【4:0†n】", "【4:0†m】"]


def test_text_without_an_opening_bracket_is_passed_on_at_once() -> None:
    reader = CitationParser(SOURCES)
    assert reader.feed("plain 4:0†") == ["plain 4:0†"]
    assert reader.feed("x【4") == ["x"]
    assert reader.feed(" ") == ["【4 "]


def test_what_names_no_source_or_is_no_marker_stays_text() -> None:
    for text in (
        "【9:9†x】",
        "【4:0†】",
        "【:0†x】",
        "【4:†x】",
        "【4†x】",
        "【4:0x】",
        "【12345:0†x】",
        "【4:12345†x】",
        "【4:0†a\nb】",
        "【4:0†a",
        "【",
        "【" * 4,
    ):
        assert read(*text) == read(text) or text_of(read(text)) == text
        assert not [part for part in read(text) if isinstance(part, Annotation)], text


def test_a_bracket_that_breaks_a_marker_may_open_another() -> None:
    assert [type(part) for part in read("【4:0†a【4:0†b】")] == [str, Annotation]


def test_a_name_that_is_too_long_makes_no_marker() -> None:
    longest = format_marker(PassageRef(4, 0), "n" * MAX_NAME)
    assert isinstance(read(longest)[0], Annotation)
    assert read(longest.replace("】", "n】")) == [longest.replace("】", "n】")]
    assert len(longest) + 2 * MAX_DIGITS - 2 == MAX_MARKER


def test_a_name_cannot_end_its_marker_early() -> None:
    assert format_marker(PassageRef(4, 0), "a】b【c\nd") == "【4:0†a b c d】"
    assert format_marker(PassageRef(4, 0), "") == "【4:0†source】"
    assert format_marker(PassageRef(4, 0), "n" * 300) == f"【4:0†{'n' * 255}】"


A, B = FileId("file-a"), FileId("file-b")

FORMS: dict[str, list[tuple[str, FileId]]] = {
    "so[4:0†notes.pdf].": [("[4:0†notes.pdf]", A)],
    "so【4:0】.": [("【4:0】", A)],
    "so [4:12].": [("[4:12]", B)],
    "so【4:0 † notes.pdf】": [("【4:0 † notes.pdf】", A)],
    "so【 4:0†notes.pdf 】": [("【 4:0†notes.pdf 】", A)],
    "so (4:0†notes.pdf)!": [("(4:0†notes.pdf)", A)],
    "so [4:0†notes [1].pdf]": [("[4:0†notes [1].pdf]", A)],
    "so (4:0†notes (1).pdf)": [("(4:0†notes (1).pdf)", A)],
    "so【4:0†a.txt, 4:12†b.txt】.": [("【4:0†a.txt", A), ("4:12†b.txt】", B)],
    "so [4:0, 4:12; 4:0]": [("[4:0", A), ("4:12", B), ("4:0]", A)],
    "so【4:0†a.txt, 4:0†a.txt】": [("【4:0†a.txt, 4:0†a.txt】", A)],
    "so【4:0†a, 9:9†b】": [("【4:0†a, 9:9†b】", A)],
    "so【4:0†a, b.txt】": [("【4:0†a, b.txt】", A)],
    "[see](x) [4:0]([4:0])": [("[4:0]", A), ("[4:0]", A)],
    "[[4:0]]": [("[4:0]", A)],
    "at [12:30] or (4:0) or [4:30]": [],
    "[9:9†a], (4:0), [4:0 a], [4:0†], [4:0†a\nb], [4:0†a[b, [4:0†a": [],
    "【9:9, 4:0】": [],
    "【4:0]": [],
    "a[4:0": [],
    "x = a[4:00012]": [],
    "【4:0†" + "n" * 255 + ", 4:12】": [("【4:0†" + "n" * 255, A), ("4:12】", B)],
}


@pytest.mark.parametrize("text", FORMS)
def test_markers_as_small_and_foreign_models_write_them(text: str) -> None:
    for pieces in ([text], list(text)):
        found = read(*pieces)
        assert text_of(found) == text
        cited = [part for part in found if isinstance(part, Annotation)]
        assert [(one.text, one.file_id) for one in cited] == FORMS[text]
        assert all(text[one.start_index : one.end_index] == one.text for one in cited)


def test_without_sources_nothing_is_kept_back() -> None:
    reader = CitationParser({})
    assert reader.feed("【4:0") == ["【4:0"]
    assert reader.close() == []


def test_a_source_that_came_later_counts_from_then_on() -> None:
    sources: dict[PassageRef, FileId] = {}
    reader = CitationParser(sources)
    reader.feed("【4:0】")
    sources[PassageRef(4, 0)] = A
    assert [part for part in reader.feed("【4:0】") if isinstance(part, Annotation)]


@pytest.mark.parametrize(
    "text", ["【", "[", "(4:0†(", "[4:0†", "【4:0†a, ", "[4:0, ", "【4:0†" + "a, 4:0†" * 30, "[4:0†[a]"]
)
def test_the_work_grows_with_the_text_alone(text: str) -> None:
    """Steps of the patterns cannot be counted; a text twenty times as long may not cost a hundred times as much."""

    def seconds(times: int) -> float:
        begun = time.process_time()
        assert text_of(read(text * times)) == text * times
        return time.process_time() - begun

    times = 40_000 // len(text)
    short = min(seconds(times // 20) for _ in range(3))
    assert seconds(times) < 100 * short + 0.2


@given(st.text(alphabet="【】[]()†:40 ,12a\n", max_size=60), st.data())
def test_every_cut_gives_the_same_text_and_the_same_citations(text: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)))))
    pieces = [text[one:other] for one, other in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    whole, cut = read(text), read(*pieces)
    assert text_of(whole) == text_of(cut) == text
    citations = [part for part in whole if isinstance(part, Annotation)]
    assert citations == [part for part in cut if isinstance(part, Annotation)]
    assert all(text[one.start_index : one.end_index] == one.text for one in citations)
