"""Counting tokens, offline."""

from collections.abc import Sequence
from typing import Protocol


class Tokens(Protocol):
    """A tokenizer that needs no download. Its calls block: call them in a thread. They raise Unavailable."""

    def count(self, text: str, model: str) -> int:
        """Tokens of `text` for `model`; a near vocabulary where the model's own is unknown."""
        ...

    def count_each(self, texts: Sequence[str], model: str) -> Sequence[int]:
        """Tokens of each text; quicker than one by one."""
        ...
