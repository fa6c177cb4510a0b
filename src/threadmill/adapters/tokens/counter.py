"""The Tokens port on bpe-openai, whose vocabularies come with the package: nothing is downloaded."""

from collections.abc import Iterator, Sequence

from threadmill.adapters.tokens.vocabularies import MAX_TEXT, Vocabularies

_OLDER = ("gpt-3.5", "gpt-35", "text-embedding-")
_NEWER_FOURS = ("gpt-4o", "gpt-4.1", "gpt-4.5")

MOST_TEXTS = 1_000
"""Texts of one question."""


class BpeTokenCounter:
    """Counts as OpenAI's models do; for other makers' models the newest vocabulary is near, not exact.

    A text longer than MAX_TEXT is counted piece by piece, so that it counts at most one token per piece too many. About
    20 MB of text a second, in a process of its own.
    """

    def __init__(self, vocabularies: Vocabularies | None = None) -> None:
        self._vocabularies: Vocabularies = vocabularies or Vocabularies()

    def count(self, text: str, model: str) -> int:
        """See the port."""
        if len(text) > MAX_TEXT:
            pieces = (text[at : at + MAX_TEXT] for at in range(0, len(text), MAX_TEXT))
            return sum(self.count(piece, model) for piece in pieces)
        return self.count_each([text], model)[0]

    def count_each(self, texts: Sequence[str], model: str) -> Sequence[int]:
        """See the port."""
        found: list[int] = []
        for group in _groups(texts):
            if len(group) == 1 and len(group[0]) > MAX_TEXT:
                found.append(self.count(group[0], model))
            elif any(group):
                found += self._vocabularies.counts(_vocabulary_name(model), group)
            else:
                found += [0] * len(group)
        return found


def _groups(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """The texts in their order, in questions short enough."""
    start = size = 0
    for end, text in enumerate(texts):
        if end > start and (size + len(text) > MAX_TEXT or end - start >= MOST_TEXTS):
            yield texts[start:end]
            start, size = end, 0
        size += len(text)
    yield texts[start:]


def _vocabulary_name(model: str) -> str:
    is_older = model.startswith(_OLDER) or (model.startswith("gpt-4") and not model.startswith(_NEWER_FOURS))
    return "cl100k_base" if is_older else "o200k_base"
