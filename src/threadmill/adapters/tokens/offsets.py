"""The TokenOffsets port on bpe-openai: where tiktoken's tokens of a text end, without a download."""

import re
import warnings
from array import array
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from threadmill.domain.chunking import INSIDE, MAX_FILE_TOKENS, TokenEnds

VOCABULARY = "cl100k_base"
"""What chunk sizes are counted in: the vocabulary of the service's embedding models."""

ENCODE_SLICE = 40_000
"""Characters encoded at once: the library refuses a text of more than 200,000 tokens, and a character has up to 4."""

# A token never reaches over a space between letters, nor over a line end before a letter.
_SEAM = re.compile(r"(?<=[^\W\d_])(?= [^\W\d_])|(?<=\n)(?=[^\W\d_])")


class BpeTokenOffsets:
    """Measures about 20 MB of text a second. The vocabulary is loaded with the first text."""

    def ends(self, text: str) -> TokenEnds:
        """See the port."""
        found, at = array("q"), 0
        for piece in _pieces(text):
            found.frombytes(self._ends(piece, at).tobytes())
            at += len(piece)
            if len(found) > MAX_FILE_TOKENS:
                break  # too many for a file, however many there are: 60 million characters would take 1 GB
        return found

    def _ends(self, piece: str, at: int) -> npt.NDArray[np.int64]:
        lengths, encode = self._vocabulary
        ends = np.cumsum(lengths[np.asarray(encode(piece), np.int64)])
        if piece.isascii():
            return ends + at
        data = np.frombuffer(piece.encode("utf-8", "replace"), np.uint8)
        opens = np.append((data & 0xC0) != 0x80, True)
        before = np.concatenate(([0], np.cumsum(opens[:-1])))
        return np.where(opens[ends], before[ends] + at, INSIDE)

    @cached_property
    def _vocabulary(self) -> tuple[npt.NDArray[np.int64], Any]:
        """Bytes of each token, and the encoder."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            # Imported here: the package reads its vocabularies when imported, which a server without files never needs.
            from bpe_openai import get_encoding  # noqa: PLC0415 - see above # pyright: ignore[reportMissingTypeStubs] - annotated, without stubs

            encoding = get_encoding(VOCABULARY)
        lengths = np.array([len(token) for token in encoding.token_byte_values()], np.int64)
        # Ordinary: text that looks like a special token is text.
        return lengths, encoding.encode_ordinary


def _pieces(text: str) -> Iterator[str]:
    """The text in parts that have the tokens they have within it. Only a text without words is cut anyhow."""
    at = 0
    while len(text) - at > ENCODE_SLICE:
        cut = at + ENCODE_SLICE
        seams = [seam.start() for seam in _SEAM.finditer(text, cut - 1_000, cut)]
        if not seams:
            seams = [seam.start() for seam in _SEAM.finditer(text, at + 1, cut)]
        cut = seams[-1] if seams else cut
        yield text[at:cut]
        at = cut
    yield text[at:]
