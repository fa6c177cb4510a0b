"""The Tokens port on bpe-openai, whose vocabularies come with the package: nothing is downloaded."""

import warnings
from collections.abc import Callable
from functools import cache

_OLDER = ("gpt-3.5", "gpt-35", "text-embedding-")
_NEWER_FOURS = ("gpt-4o", "gpt-4.1", "gpt-4.5")

COUNT_SLICE = 40_000
"""Characters counted at once. The library refuses a text of more than 200,000 tokens, and a character has up to 4."""


class BpeTokenCounter:
    """Counts as OpenAI's models do; for other makers' models the newest vocabulary is near, not exact.

    A text longer than COUNT_SLICE is counted piece by piece, so that it counts at most one token per piece too many. Loading
    a vocabulary takes a third of a second and happens with the first count, unless `load` was called in a thread
    before; then about 40 MB of text a second.
    """

    def load(self) -> None:
        """Read the newest vocabulary now. It lets other threads run meanwhile."""
        self.count("load", "")

    def count(self, text: str, model: str) -> int:
        """See the port."""
        if not text:
            return 0
        tokens = _vocabulary(_vocabulary_name(model))
        if len(text) <= COUNT_SLICE:
            return len(tokens(text))
        return sum(len(tokens(text[at : at + COUNT_SLICE])) for at in range(0, len(text), COUNT_SLICE))


def _vocabulary_name(model: str) -> str:
    is_older = model.startswith(_OLDER) or (model.startswith("gpt-4") and not model.startswith(_NEWER_FOURS))
    return "cl100k_base" if is_older else "o200k_base"


@cache
def _vocabulary(name: str) -> Callable[[str], list[int]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        # Imported here: the package reads all its vocabularies when it is imported, a third of a second and 130 MB
        # that a server whose prompts fit and whose upstream counts for itself never needs.
        from bpe_openai import get_encoding  # noqa: PLC0415 - see above # pyright: ignore[reportMissingTypeStubs] - annotated, without stubs

        # Ordinary: text that looks like a special token is text, or "<|endoftext|>" could not be counted.
        return get_encoding(name).encode_ordinary
