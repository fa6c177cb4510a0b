"""Counting tokens offline with bpe-openai, whose vocabularies come with the package."""

from collections.abc import Callable, Sequence
from functools import cache

import bpe_openai

_OLDER = ("gpt-4-", "gpt-3.5", "text-embedding")


class BpeTokens:
    """See the port `Tokens`."""

    def count(self, text: str, model: str) -> int:
        """See the port. Models of other makers are counted with OpenAI's newest vocabulary: near, not exact."""
        return len(_encoder(_vocabulary(model))(text))


def _vocabulary(model: str) -> str:
    return "cl100k_base" if model == "gpt-4" or model.startswith(_OLDER) else "o200k_base"


@cache
def _encoder(name: str) -> Callable[[str], Sequence[int]]:
    return bpe_openai.get_encoding(name).encode_ordinary
