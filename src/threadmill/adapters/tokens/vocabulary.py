"""bpe-openai's vocabularies without the rest of that package, which reads all of them into dictionaries when imported.

Its compiled part alone holds one of them in 16 to 33 MB and reads it in a tenth of a second, but keeps every other Python
thread waiting meanwhile and while it encodes: so only the process of `counting_process.py` uses this.
"""

import gzip
from functools import cache
from importlib.machinery import PathFinder
from importlib.util import find_spec, module_from_spec
from pathlib import Path
from typing import Protocol, cast

from threadmill.adapters.tokens.mapped_file import page_out

VOCABULARIES = ("o200k_base", "cl100k_base")


class Tokenizer(Protocol):
    """What we use of a vocabulary."""

    def encode(self, text: str) -> list[int]:
        """Text that looks like a special token is text, or "<|endoftext|>" could not be counted."""
        ...

    def count(self, text: str) -> int:
        """As many as `encode` gives."""
        ...


@cache
def tokenizer(name: str) -> Tokenizer:
    """The vocabulary of that name."""
    spec = PathFinder.find_spec("_bindings", [str(_package())])
    if spec is None or spec.loader is None:
        raise ImportError("bpe-openai has no compiled part")
    bindings = module_from_spec(spec)
    spec.loader.exec_module(bindings)
    read = cast("Tokenizer", bindings.tokenizer_for_encoding(name))
    if spec.origin is not None:
        page_out(Path(spec.origin).resolve())  # all vocabularies lie in there: 33 MB for this one
    return read


@cache
def token_lengths(name: str) -> bytes:
    """Bytes of each of its tokens; none has more than 128."""
    lengths: dict[int, int] = {}
    with gzip.open(_package() / "data" / f"{name}.tiktoken.gz", "rb") as lines:
        for line in lines:
            token, rank = line.split()
            lengths[int(rank)] = len(token) // 4 * 3 - token.count(b"=")
    return bytes(lengths.get(rank, 0) for rank in range(max(lengths) + 1))


def _package() -> Path:
    spec = find_spec("bpe_openai")  # finds, and does not import
    if spec is None or spec.origin is None:
        raise ImportError("bpe-openai is not installed")
    return Path(spec.origin).parent
