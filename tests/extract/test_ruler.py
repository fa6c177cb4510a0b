"""Tokens measured offline, as the service's embedding models count them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from threadmill.adapters.tokens.offsets import BpeTokenOffsets
from threadmill.adapters.tokens.vocabularies import MAX_TEXT
from threadmill.domain.chunking import INSIDE, MAX_FILE_TOKENS
from threadmill.engine.ports.token_offsets import TokenOffsets

RULER: TokenOffsets = BpeTokenOffsets()


def tokens(text: str) -> list[int]:
    # Not above: it reads every vocabulary when it is imported, in each process of a run.
    from bpe_openai import get_encoding  # pyright: ignore[reportMissingTypeStubs] - annotated, without stubs

    return get_encoding("cl100k_base").encode_ordinary(text)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("hello world", 2),
        ("tiktoken is great!", 6),
        ("", 0),
        ("antidisestablishmentarianism", 6),
        ("お誕生日おめでとう", 9),
    ],
)
def test_counts_are_those_tiktoken_documents(text: str, count: int) -> None:
    assert len(RULER.ends(text)) == count


@settings(deadline=None)  # the first starts the process that counts
@given(st.text(max_size=300))
def test_every_token_ends_where_its_characters_do(text: str) -> None:
    text = text.encode("utf-8", "replace").decode()
    ends = RULER.ends(text)
    assert len(ends) == len(tokens(text))
    whole = [end for end in ends if end != INSIDE]
    assert whole == sorted(whole)
    if text:
        assert ends[-1] == len(text)


def test_a_long_text_counts_as_if_it_were_encoded_in_one_piece() -> None:
    text = "The quick brown fox, aged 12, jumps.\n\n  Über den Hund; 你好。\n" * (3 * MAX_TEXT // 60)
    assert len(text) > 2 * MAX_TEXT
    # A piece of the library's own limit, to compare with.
    assert len(RULER.ends(text[: 4 * MAX_TEXT])) == len(tokens(text[: 4 * MAX_TEXT]))


def test_text_that_looks_like_a_special_token_is_text() -> None:
    assert len(RULER.ends("<|endoftext|>")) > 1


def test_a_text_far_too_long_is_not_counted_to_its_end() -> None:
    counted = len(RULER.ends("word " * (2 * MAX_FILE_TOKENS)))
    assert MAX_FILE_TOKENS < counted <= MAX_FILE_TOKENS + MAX_TEXT
