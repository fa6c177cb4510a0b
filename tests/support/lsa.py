"""A real embedder that needs no model files: latent semantic analysis of a given collection, by numpy."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

_WORD = re.compile(r"[a-z]{2,}")


class LsaEmbedder:
    """Texts as mixtures of the collection's main themes: tf-idf, then its greatest singular vectors."""

    def __init__(self, texts: Iterable[str], dimensions: int = 200) -> None:
        counts = [Counter(_WORD.findall(text.lower())) for text in texts]
        spread = Counter(word for one in counts for word in one)
        self._column = {word: at for at, word in enumerate(word for word, n in spread.items() if n > 1)}
        self._weight = {word: math.log(len(counts) / spread[word]) for word in self._column}
        table = np.stack([self._row(one) for one in counts])
        values, vectors = np.linalg.eigh(table @ table.T)
        top = np.argsort(-values)[:dimensions]
        self._themes: npt.NDArray[np.float32] = (table.T @ vectors[:, top] / np.sqrt(values[top])).astype(np.float32)
        self._identity = f"lsa:{dimensions}"

    @property
    def identity(self) -> str:
        return self._identity

    async def embed(self, texts: Sequence[str]) -> Sequence[bytes]:
        return [self._vector(text) for text in texts]

    async def aclose(self) -> None:
        return

    def _vector(self, text: str) -> bytes:
        found = self._row(Counter(_WORD.findall(text.lower()))) @ self._themes
        return (found / (np.linalg.norm(found) or 1)).astype("<f4").tobytes()

    def _row(self, counts: Counter[str]) -> npt.NDArray[np.float32]:
        row = np.zeros(len(self._column), np.float32)
        for word, count in counts.items():
            if word in self._column:
                row[self._column[word]] = (1 + math.log(count)) * self._weight[word]
        return row / np.float32(np.linalg.norm(row) or 1)
