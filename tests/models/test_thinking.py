"""Thoughts in front of an answer are taken out wherever the pieces are cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from threadmill.adapters.models.upstream.chunk_decoder import ChunkDecoder
from threadmill.adapters.models.upstream.thinking import MAX_SPACE, MAX_THOUGHTS, ThinkingFilter


def filtered(*pieces: str) -> tuple[str, str]:
    """Answer and thoughts."""
    thinking = ThinkingFilter()
    text = "".join([piece if thinking.is_over else thinking.feed(piece) for piece in pieces])
    return text + ("" if thinking.is_over else thinking.end()), thinking.thoughts


CASES = [
    ("Hello", "Hello", ""),
    ("  Hello <think>x</think>", "  Hello <think>x</think>", ""),
    ("<think>hm</think>Hello", "Hello", "hm"),
    ("\n<think>\nhm <b> </thin \n</think>\n\nHello\n", "Hello\n", "\nhm <b> </thin \n"),
    ("<think></think>\n\n", "", ""),
    ("<think>a</think><thinking>b</thinking>Hi", "Hi", "ab"),
    ("<think>a</think> \n <think>b</think> \n Hi", "Hi", "ab"),
    ("<think>a<think>b</think>c", "c", "a<think>b"),
    ("<reasoning>a</think>b</reasoning>c", "c", "a</think>b"),
    ("<think>never ends </think", "", "never ends </think"),
    ("<thin", "<thin", ""),
    ("<thinker>", "<thinker>", ""),
    ("<", "<", ""),
    (" \n", " \n", ""),
    ("", "", ""),
]


@pytest.mark.parametrize(("text", "answer", "thoughts"), CASES)
def test_blocks_in_front_of_the_answer_are_thoughts(text: str, answer: str, thoughts: str) -> None:
    assert filtered(text) == (answer, thoughts)
    assert filtered(*text) == (answer, thoughts)


@given(st.sampled_from(CASES), st.lists(st.integers(0, 60), max_size=6))
def test_any_cutting_gives_the_same(case: tuple[str, str, str], cuts: list[int]) -> None:
    text = case[0]
    places = [0, *sorted(cut for cut in cuts if cut < len(text)), len(text)]
    assert filtered(*(text[a:b] for a, b in zip(places, places[1:], strict=False))) == case[1:]


def test_an_answer_that_begins_at_once_is_never_held_back() -> None:
    thinking = ThinkingFilter()
    assert (thinking.feed("Hel"), thinking.is_over) == ("Hel", True)


def test_endless_white_space_is_an_answer() -> None:
    thinking = ThinkingFilter()
    assert thinking.feed(" " * MAX_SPACE) == ""
    assert thinking.feed("\n") == " " * MAX_SPACE + "\n"
    assert thinking.is_over


@pytest.mark.parametrize(("piece", "times"), [("x" * 2**20, 4), ("x", MAX_THOUGHTS // 16)])
def test_endless_thoughts_are_an_error_and_not_held(piece: str, times: int) -> None:
    decoder = ChunkDecoder("m")
    event = b'{"choices":[{"index":0,"delta":{"content":"%s"}}]}'
    assert decoder.read([event % b"<think>"] + [event % piece.encode()] * (times - 1)) == []
    assert decoder.error is None
    decoder.read([event % piece.encode()] * 3)
    assert decoder.error is not None
    assert decoder.error.message == f"The model's thoughts have more than {MAX_THOUGHTS} characters."
