"""Cutting a text into chunks: sizes, overlaps, and nothing lost."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from threadmill.domain.chunking import (
    INSIDE,
    MAX_FILE_TOKENS,
    Chunk,
    OtherChunking,
    StaticChunking,
    TokenEnds,
    TooManyTokens,
    check_chunking,
    split_into_chunks,
)
from threadmill.domain.error import InvalidRequest

SMALL = StaticChunking(100, 20)


def ends_by_word(text: str) -> TokenEnds:
    """A vocabulary of words with the space before them."""
    return [found.end() for found in re.finditer(r"\s*\S+|\s+$", text)]


def ends_by_half_character(text: str) -> TokenEnds:
    """A vocabulary that needs two tokens for every character."""
    return [end for at in range(len(text)) for end in (INSIDE, at + 1)]


def test_a_short_text_is_one_chunk() -> None:
    assert split_into_chunks("to be or not", ends_by_word("to be or not"), SMALL) == (Chunk(0, 0, 12, 4),)


def test_an_empty_or_blank_text_has_no_chunks() -> None:
    assert split_into_chunks("", [], SMALL) == ()
    assert split_into_chunks(" \n ", [3], SMALL) == ()


def test_a_chunk_has_at_most_its_tokens_and_repeats_the_end_of_the_one_before() -> None:
    text = " ".join(f"word{at}" for at in range(1_000))
    chunks = split_into_chunks(text, ends_by_word(text), SMALL)
    assert [chunk.index for chunk in chunks] == list(range(len(chunks)))
    assert max(chunk.tokens for chunk in chunks) == 100
    for one, other in zip(chunks, chunks[1:], strict=False):
        repeated = text[other.start : one.end].split()
        assert 0 < len(repeated) <= 20


@given(st.text(alphabet="ab \n", max_size=3_000), st.integers(0, 50), st.booleans())
def test_no_letter_is_lost_and_no_chunk_too_long(text: str, overlap: int, halves: bool) -> None:
    ends = ends_by_half_character(text) if halves else ends_by_word(text)
    chunks = split_into_chunks(text, ends, StaticChunking(100, overlap))
    covered = {at for chunk in chunks for at in range(chunk.start, chunk.end)}
    assert all(at in covered for at, letter in enumerate(text) if not letter.isspace())
    assert all(0 < chunk.tokens <= 100 for chunk in chunks)
    assert not any(text[chunk.start : chunk.end].isspace() for chunk in chunks)


def test_a_text_without_words_is_cut_between_characters() -> None:
    text = "x" * 500
    chunks = split_into_chunks(text, ends_by_half_character(text), StaticChunking(101, 11))
    assert (chunks[0].start, chunks[0].end) == (0, 50)
    assert chunks[1].start == 45


def test_an_unknown_strategy_is_cut_as_auto() -> None:
    text = " ".join(f"word{at}" for at in range(2_000))
    assert split_into_chunks(text, ends_by_word(text), OtherChunking()) == split_into_chunks(
        text, ends_by_word(text), StaticChunking()
    )


def test_a_text_of_more_than_five_million_tokens_is_refused() -> None:
    with pytest.raises(TooManyTokens, match="5,000,001 tokens or more; at most 5,000,000") as refused:
        split_into_chunks("x" * (MAX_FILE_TOKENS + 1), range(1, MAX_FILE_TOKENS + 2), SMALL)
    assert refused.value.count == 5_000_001


@pytest.mark.parametrize(
    ("size", "overlap", "param"),
    [
        (99, 0, "max_chunk_size_tokens"),
        (4_097, 0, "max_chunk_size_tokens"),
        (800, 401, "chunk_overlap_tokens"),
        (800, -1, "chunk_overlap_tokens"),
    ],
)
def test_sizes_outside_the_limits_are_refused(size: int, overlap: int, param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        check_chunking(StaticChunking(size, overlap))
    assert refused.value.param == f"chunking_strategy.static.{param}"


@pytest.mark.parametrize(("size", "overlap"), [(100, 0), (100, 50), (4_096, 2_048), (101, 50)])
def test_sizes_at_the_limits_are_taken(size: int, overlap: int) -> None:
    assert check_chunking(StaticChunking(size, overlap)) == StaticChunking(size, overlap)
