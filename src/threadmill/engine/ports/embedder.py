"""Texts as vectors, and texts put in order of what they say about a question."""

from collections.abc import Sequence
from typing import Protocol, TypeAlias

Vector: TypeAlias = bytes
"""A vector of length 1: its numbers as little-endian 32-bit floats, as they are stored."""


class EmbeddingFailed(Exception):
    """No vectors could be had. `transient`: a later try may succeed, and several were made."""

    def __init__(self, message: str, *, transient: bool = False) -> None:
        super().__init__(message)
        self.transient: bool = transient


class Embedder(Protocol):
    """A model of meaning. Where none is configured there is no embedder, and search is by words only."""

    @property
    def identity(self) -> str:
        """Names the vectors' space: model and size. Vectors of different identities must not be compared."""
        ...

    async def embed(self, texts: Sequence[str]) -> Sequence[Vector]:
        """A vector for each text, in order. Raises EmbeddingFailed."""
        ...

    async def aclose(self) -> None:
        """Let go of connections and memory."""
        ...


class Reranker(Protocol):
    """A model that reads question and text together. Optional, off by default."""

    async def rerank(self, question: str, texts: Sequence[str]) -> Sequence[float]:
        """A score from 0 to 1 for each text, in order. Raises EmbeddingFailed."""
        ...

    async def aclose(self) -> None:
        """Let go of connections."""
        ...
