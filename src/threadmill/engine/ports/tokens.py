"""Counting tokens, offline."""

from typing import Protocol


class Tokens(Protocol):
    """A tokenizer that needs no download."""

    def count(self, text: str, model: str) -> int:
        """Tokens of `text` for `model`; a near vocabulary where the model's own is unknown."""
        ...
