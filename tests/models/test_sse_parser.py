"""The parser against every cutting of the same bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from threadmill.adapters.models.upstream.sse_parser import EventTooLarge, SseParser

LINES = st.sampled_from(
    [b"data: a", b'data: {"x": 1}', b"data:b", b"data", b"data:", b"data:  two", b": note", b"event: e", b"id: 7", b"x"]
)
ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """Events and blank lines in any mixture, the last line perhaps unended."""
    end = draw(ENDS)
    lines = draw(st.lists(st.one_of(LINES, st.just(b"")), max_size=20))
    return end.join(lines) + (end if draw(st.booleans()) else b"")


def split(*reads: bytes) -> list[bytes]:
    parser = SseParser()
    events = [event for read in reads for event in parser.feed(read)]
    return events + parser.end()


def expected(stream: bytes) -> list[bytes]:
    """The same by the letter of the SSE specification, line by line."""
    events: list[bytes] = []
    lines: list[bytes] = []
    for line in [*stream.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n"), b""]:
        name, _, value = line.partition(b":")
        if name == b"data":
            lines.append(value.removeprefix(b" "))
        elif not line and lines:
            events.append(b"\n".join(lines))
            lines = []
    return events


@given(streams(), st.lists(st.integers(0, 200), max_size=8))
def test_any_cutting_of_the_bytes_gives_the_same_events(stream: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    reads = [stream[start:stop] for start, stop in zip(edges, edges[1:], strict=False)]
    assert split(*reads) == expected(stream)


@given(streams())
def test_one_byte_at_a_time_gives_the_same_events(stream: bytes) -> None:
    assert split(*(stream[at : at + 1] for at in range(len(stream)))) == expected(stream)


def test_an_event_is_handed_over_with_its_last_byte() -> None:
    parser = SseParser()
    assert parser.feed(b"data: a\n") == []
    assert parser.feed(b"\n") == [b"a"]


def test_a_byte_order_mark_is_skipped() -> None:
    assert split(b"\xef\xbb\xbfdata: a\n\n") == [b"a"]


def test_an_event_may_be_as_large_as_the_bound_and_no_larger() -> None:
    parser = SseParser(limit=100)
    assert parser.feed(b"data: " + b"x" * 94 + b"\n\n") == [b"x" * 94]
    with pytest.raises(EventTooLarge):
        parser.feed(b"data: " + b"x" * 95 + b"\n\n")


def test_an_endless_event_is_refused_before_it_ends() -> None:
    parser = SseParser(limit=100)
    parser.feed(b"data: " + b"x" * 90)
    with pytest.raises(EventTooLarge):
        parser.feed(b"x" * 90)


def test_many_small_events_in_one_read_are_not_one_large_one() -> None:
    assert SseParser(limit=100).feed(b"data: x\n\n" * 50) == [b"x"] * 50
