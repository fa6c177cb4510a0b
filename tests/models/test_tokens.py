"""Counting tokens without a download."""

import mmap
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bpe_openai import get_encoding  # pyright: ignore[reportMissingTypeStubs] - annotated, without stubs
from hypothesis import given, settings
from hypothesis import strategies as st

from threadmill.adapters.tokens.counter import MOST_TEXTS, BpeTokenCounter
from threadmill.adapters.tokens.mapped_file import page_out
from threadmill.adapters.tokens.vocabularies import MAX_TEXT, Vocabularies

TOKENS = BpeTokenCounter()
REFERENCE = get_encoding("o200k_base").encode_ordinary


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
    pieces = len(text) // MAX_TEXT + 1
    assert 0 <= TOKENS.count(text, "gpt-4o") - 1_000_000 <= pieces
    assert TOKENS.count("𐍈" * 200_000, "gpt-4o") > 200_000


@settings(deadline=None)  # the first of each reads its vocabulary
@given(st.lists(st.text(max_size=30), max_size=8))
def test_many_texts_count_as_each_of_them_does(texts: list[str]) -> None:
    whole = [text.encode("utf-8", "replace").decode() for text in texts]
    expected = [len(REFERENCE(text)) for text in whole]
    assert list(TOKENS.count_each(texts, "gpt-4o")) == expected


def test_texts_that_do_not_fit_into_one_question_keep_their_order() -> None:
    texts = [
        "a b c",
        "x " * MAX_TEXT,
        "",
        *["one two"] * (MOST_TEXTS + 1),
        "y " * (MAX_TEXT // 3),
        "z " * (MAX_TEXT // 3),
    ]
    assert list(TOKENS.count_each(texts, "gpt-4o")) == [TOKENS.count(text, "gpt-4o") for text in texts]


def test_threads_that_ask_at_once_get_their_own_answers() -> None:
    texts = ["one" + " two" * more for more in range(50)]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(TOKENS.count, texts, ["o3"] * 50)) == list(range(1, 51))


def test_a_counting_process_that_was_killed_is_started_anew() -> None:
    vocabularies = Vocabularies()
    before = set(_children())
    assert list(vocabularies.counts("o200k_base", ["hello world"])) == [2]
    (child,) = set(_children()) - before
    os.kill(child, signal.SIGKILL)
    assert list(vocabularies.counts("o200k_base", ["hello world"])) == [2]
    assert child not in _children()
    vocabularies.close()
    assert set(_children()) == before


def test_pages_of_a_file_are_given_back_and_read_again(tmp_path: Path) -> None:
    path = tmp_path / "large"
    data = bytes(range(256)) * 32_768
    with path.open("w+b") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
        with mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ, flags=mmap.MAP_PRIVATE) as mapped:
            assert bytes(mapped) == data
            before = _resident(path)
            page_out(path)
            assert (before, _resident(path)) == (len(data), 0)
            assert bytes(mapped) == data


def _resident(path: Path) -> int:
    """Bytes of a file that are mapped and in memory."""
    found = Path("/proc/self/smaps").read_text().split(f" {path}\n")[1:]
    return sum(int(area.split("Rss:")[1].split()[0]) * 1024 for area in found)


def _children() -> list[int]:
    with open(f"/proc/self/task/{os.getpid()}/children") as file:  # noqa: PTH123 - of /proc
        return [int(pid) for pid in file.read().split()]
