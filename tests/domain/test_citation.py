"""Citation markers in an answer, however it is cut into pieces."""

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


@given(st.text(alphabet="【】†:40 12a\n", max_size=60), st.data())
def test_every_cut_gives_the_same_text_and_the_same_citations(text: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)))))
    pieces = [text[one:other] for one, other in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    whole, cut = read(text), read(*pieces)
    assert text_of(whole) == text_of(cut) == text
    citations = [part for part in whole if isinstance(part, Annotation)]
    assert citations == [part for part in cut if isinstance(part, Annotation)]
    assert all(text[one.start_index : one.end_index] == one.text for one in citations)
