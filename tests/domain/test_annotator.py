"""Citations and links in one text, however it is cut into pieces."""

from hypothesis import given
from hypothesis import strategies as st

from threadmill.domain.annotator import Annotator
from threadmill.domain.citation import MAX_MARKER, MAX_NEXT, PassageRef, parse_marker
from threadmill.domain.ids import FileId
from threadmill.domain.message import Annotation
from threadmill.domain.sandbox_link import SANDBOX_PREFIX

LINKS = {"a.csv": FileId("file-a"), "a.csv.gz": FileId("file-gz")}
SOURCES = {PassageRef(4, 0): FileId("file-0"), PassageRef(5, 12): FileId("file-12")}
MARKER, LINK = "【4:0†foods.txt】", SANDBOX_PREFIX + "a.csv"


def read(*pieces: str, reader: Annotator | None = None) -> list[str | Annotation]:
    reader = reader or Annotator(LINKS, SOURCES)
    return [part for piece in pieces for part in reader.feed(piece)] + reader.close()


def joined(parts: list[str | Annotation]) -> str:
    return "".join(part if isinstance(part, str) else part.text for part in parts)


def annotations(parts: list[str | Annotation]) -> list[Annotation]:
    return [part for part in parts if isinstance(part, Annotation)]


def test_a_citation_behind_a_link_and_a_link_behind_a_citation_have_exact_indexes() -> None:
    text = f"Get [it]({LINK}), made from {MARKER} and {MARKER}[more]({LINK}.gz)【5:12†b】."
    found = annotations(read(text))
    assert [one.type for one in found] == ["file_path", "file_citation", "file_citation", "file_path", "file_citation"]
    assert [one.file_id for one in found] == ["file-a", "file-0", "file-0", "file-gz", "file-12"]
    assert [text[one.start_index : one.end_index] for one in found] == [one.text for one in found]


def test_a_citation_right_behind_a_link_ends_it() -> None:
    parts = read(LINK, MARKER)
    assert [one.file_id for one in annotations(parts)] == ["file-a", "file-0"]
    assert joined(parts) == LINK + MARKER


def test_half_a_link_before_a_citation_is_text_and_is_not_lost() -> None:
    parts = read(SANDBOX_PREFIX[:9], MARKER, SANDBOX_PREFIX[9:] + "a.csv")
    assert [one.type for one in annotations(parts)] == ["file_citation"]
    assert joined(parts) == SANDBOX_PREFIX[:9] + MARKER + SANDBOX_PREFIX[9:] + "a.csv"


def test_without_links_only_citations_are_looked_for() -> None:
    parts = read(f"{LINK}{MARKER}【4:", reader=Annotator({}, SOURCES))
    assert [one.type for one in annotations(parts)] == ["file_citation"]
    assert joined(parts) == f"{LINK}{MARKER}【4:"


def test_text_that_can_be_neither_is_not_kept_back() -> None:
    reader = Annotator(LINKS, SOURCES)
    assert reader.feed("plain ") == ["plain "]
    assert reader.feed("【9") == []
    assert reader.feed(" is text") == ["【9 is text"]
    assert reader.close() == []


def test_no_more_is_kept_back_than_a_marker_is_long() -> None:
    reader = Annotator({}, SOURCES)
    fed = "【4:0†" + "x" * 1_000
    said = joined([part for character in fed for part in reader.feed(character)])
    assert len(fed) - len(said) <= MAX_MARKER + MAX_NEXT


PARTS = st.sampled_from(
    [MARKER, "【5:12†b】", "【9:9†no】", LINK, LINK + ".gz", SANDBOX_PREFIX, "【4:", "sandbox", " ü😀", "\n", "】", "†"]
)


@given(st.lists(PARTS, max_size=8), st.data())
def test_nothing_is_lost_and_every_index_holds_whatever_the_pieces(parts: list[str], data: st.DataObject) -> None:
    text = "".join(parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=12)))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    found = read(*pieces)
    assert joined(found) == text
    assert annotations(found) == annotations(read(text))
    assert all(text[one.start_index : one.end_index] == one.text for one in annotations(found))
    assert sum(one.type == "file_citation" for one in annotations(found)) >= sum(part == MARKER for part in parts[:1])


def test_what_a_marker_names_is_read_off_its_beginning() -> None:
    assert parse_marker(MARKER) == PassageRef(4, 0)
    assert parse_marker("a" + MARKER) is None
    assert parse_marker(LINK) is None
