"""Cutting a file's text into chunks of so many tokens (behaviour.md 7.3). Which tokens there are, a port says."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from threadmill.domain.error import InvalidRequest

MIN_CHUNK_TOKENS, MAX_CHUNK_TOKENS = 100, 4_096
DEFAULT_CHUNK_TOKENS, DEFAULT_OVERLAP_TOKENS = 800, 400
MAX_FILE_TOKENS = 5_000_000

INSIDE = -1
"""Marks a token that ends inside a character; see `TokenEnds`."""

TokenEnds: TypeAlias = Sequence[int]
"""For each token of a text the number of characters up to its end, or INSIDE where it ends within one. The last number
is the length of the text.
"""


@dataclass(frozen=True, slots=True)
class StaticChunking:
    """Chunks of at most `max_chunk_size_tokens`, each repeating at most `chunk_overlap_tokens` of the one before.

    The defaults are what `auto` means, and what a file added with `auto` echoes.
    """

    max_chunk_size_tokens: int = DEFAULT_CHUNK_TOKENS
    chunk_overlap_tokens: int = DEFAULT_OVERLAP_TOKENS
    type: Literal["static"] = "static"


@dataclass(frozen=True, slots=True)
class OtherChunking:
    """Nobody remembers how: files from before strategies were kept."""

    type: Literal["other"] = "other"


ChunkingStrategy: TypeAlias = StaticChunking | OtherChunking


@dataclass(frozen=True, slots=True)
class Chunk:
    """Characters `[start, end)` of the text, `tokens` tokens long, at place `index` among the file's chunks."""

    index: int
    start: int
    end: int
    tokens: int


class TooManyTokens(Exception):
    """The text has `count` tokens or more, which is more than a file may have."""

    def __init__(self, count: int) -> None:
        super().__init__(f"The file has {count:,} tokens or more; at most {MAX_FILE_TOKENS:,} are allowed.")
        self.count: int = count


def check_chunking(strategy: StaticChunking, param: str = "chunking_strategy") -> StaticChunking:
    """`strategy` itself. Raises InvalidRequest when it breaks a limit: 100 to 4,096 tokens, of which at most half overlap."""
    size, overlap = strategy.max_chunk_size_tokens, strategy.chunk_overlap_tokens
    _check_range(f"{param}.static.max_chunk_size_tokens", size, MIN_CHUNK_TOKENS, MAX_CHUNK_TOKENS)
    _check_range(f"{param}.static.chunk_overlap_tokens", overlap, 0, size // 2)
    return strategy


def _check_range(param: str, value: int, least: int, most: int) -> None:
    if value < least:
        text = f"integer below minimum value. Expected a value >= {least}, but got {value} instead."
        raise InvalidRequest(f"Invalid '{param}': {text}", param=param, code="integer_below_min_value")
    if value > most:
        text = f"integer above maximum value. Expected a value <= {most}, but got {value} instead."
        raise InvalidRequest(f"Invalid '{param}': {text}", param=param, code="integer_above_max_value")


def split_into_chunks(text: str, ends: TokenEnds, strategy: ChunkingStrategy) -> tuple[Chunk, ...]:
    """Cut `text`, between words where it has them, else between characters. Blank chunks are left out.

    Every character that is not white space is in some chunk, and no chunk has more tokens than the strategy allows, also
    when it is counted by itself. Raises TooManyTokens.
    """
    if len(ends) > MAX_FILE_TOKENS:
        raise TooManyTokens(len(ends))
    static = strategy if isinstance(strategy, StaticChunking) else StaticChunking()
    windows = _windows(_Boundaries(text, ends), static)
    found = [(start, end, tokens) for start, end, tokens in windows if not text[start:end].isspace()]
    return tuple(Chunk(index, *place) for index, place in enumerate(found))


@dataclass(frozen=True, slots=True)
class _Boundaries:
    """Where a text may be cut: cut number n lies behind its first n tokens."""

    text: str
    ends: TokenEnds

    def place(self, cut: int) -> int:
        """The cut as a number of characters; INSIDE within one."""
        return self.ends[cut - 1] if cut else 0

    def between_words(self, cut: int) -> bool:
        """White space stands on one of its sides."""
        place = self.place(cut)
        return place > 0 and (self.text[place - 1].isspace() or self.text[place].isspace())

    def last(self, low: int, high: int) -> int:
        """The best cut in `[low, high]`: the last between words, else the last between characters, else `high`."""
        words = (cut for cut in range(high, low - 1, -1) if self.between_words(cut))
        characters = (cut for cut in range(high, low - 1, -1) if self.place(cut) != INSIDE)
        return next(words, next(characters, high))

    def first(self, low: int, high: int) -> int:
        """Like `last`, from the front."""
        words = (cut for cut in range(low, high + 1) if self.between_words(cut))
        characters = (cut for cut in range(low, high + 1) if self.place(cut) != INSIDE)
        return next(words, next(characters, low))


def _windows(cuts: _Boundaries, strategy: StaticChunking) -> Iterator[tuple[int, int, int]]:
    """Start, end and tokens of each window over the text."""
    size, overlap, total = strategy.max_chunk_size_tokens, strategy.chunk_overlap_tokens, len(cuts.ends)
    # A word boundary is worth an eighth of a chunk; behind that a text has no words.
    slack = size // 8
    start = 0
    while total - start > size:
        end = cuts.last(start + size - slack, start + size)
        yield cuts.place(start), cuts.place(end), end - start
        # Never beyond `end`, so that no token is left out, and always behind `start`, since overlap <= size / 2.
        start = cuts.first(end - overlap, min(end, end - overlap + slack))
    if total:
        yield cuts.place(start), cuts.place(total), total - start
