"""Counting tokens without a download."""

from threadmill.adapters.tokens.counter import COUNT_SLICE, BpeTokenCounter

TOKENS = BpeTokenCounter()


def test_known_texts_have_their_known_counts() -> None:
    assert TOKENS.count("tiktoken is great!", "gpt-4") == 6
    assert TOKENS.count("hello world", "gpt-4o") == 2
    assert TOKENS.count("", "gpt-4o") == 0


def test_older_families_are_counted_with_their_own_vocabulary() -> None:
    text = "Größenänderungsgeschwindigkeit 数字花园"
    old = {TOKENS.count(text, name) for name in ("gpt-4", "gpt-4-turbo", "gpt-3.5-turbo", "gpt-4-1106-preview")}
    new = {TOKENS.count(text, name) for name in ("gpt-4o", "gpt-4.1-mini", "o3", "llama-3", "rehearsal")}
    assert len(old) == len(new) == 1
    assert old != new


def test_special_tokens_and_broken_text_are_counted_as_text() -> None:
    assert TOKENS.count("<|endoftext|>", "gpt-4o") > 1
    assert TOKENS.count("\ud800", "gpt-4o") >= 1


def test_a_huge_text_is_counted_in_pieces() -> None:
    text = "one two " * 500_000
    pieces = len(text) // COUNT_SLICE + 1
    assert 0 <= TOKENS.count(text, "gpt-4o") - 1_000_000 <= pieces
    assert TOKENS.count("𐍈" * 200_000, "gpt-4o") > 200_000
