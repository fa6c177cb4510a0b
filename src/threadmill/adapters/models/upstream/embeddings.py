"""The Embedder port on an upstream's `/embeddings`: batches, a few at a time, vectors of length 1."""

import asyncio
import base64
import binascii
from collections.abc import Iterator, Sequence

import msgspec
import numpy as np

from threadmill.adapters.models.upstream.json_client import UpstreamJsonClient
from threadmill.adapters.models.upstream.retry import RetryPolicy
from threadmill.adapters.models.upstream.settings import UpstreamSettings
from threadmill.engine.ports.embedder import EmbeddingFailed, Vector

BATCH_TEXTS = 128
"""Texts in one request; servers allow from 32 (some proxies) over 96 to 2,048. See `batch_texts`."""

BATCH_BYTES = 250_000
"""Of text in one request. No text has more tokens than bytes, and OpenAI takes 300,000 tokens."""

BATCHES_AT_ONCE = 4


class _Entry(msgspec.Struct):
    """Numbers, or what `encoding_format: base64` makes of them, which some servers send unasked."""

    embedding: list[float] | str
    index: int | None = None


class _Answer(msgspec.Struct):
    data: list[_Entry]


_decode = msgspec.json.Decoder(_Answer).decode


class UpstreamEmbedder:
    """`model` of one upstream. `dimensions` is asked for if given; else the model's own size comes."""

    def __init__(
        self,
        settings: UpstreamSettings,
        model: str,
        dimensions: int | None = None,
        batch_texts: int = BATCH_TEXTS,
        retry_policy: RetryPolicy | None = None,
    ) -> None:
        self._client: UpstreamJsonClient = UpstreamJsonClient(settings, retry_policy)
        self._model: str = model
        self._dimensions: int | None = dimensions
        self._batch_texts: int = batch_texts
        self._turns: asyncio.Semaphore = asyncio.Semaphore(BATCHES_AT_ONCE)

    @property
    def identity(self) -> str:
        """See the port."""
        return f"{self._model}:{self._dimensions or 'own size'}"

    async def embed(self, texts: Sequence[str]) -> Sequence[Vector]:
        """See the port. When a batch fails, those that run are given up."""
        async with _Tasks() as tasks:
            batches = [tasks.create_task(self._batch(batch)) for batch in _batches(texts, self._batch_texts)]
        return [vector for batch in batches for vector in batch.result()]

    async def aclose(self) -> None:
        """See the port."""
        await self._client.aclose()

    async def _batch(self, texts: Sequence[str]) -> Sequence[Vector]:
        # An empty input is refused by OpenAI; a space means as little.
        question: dict[str, str | int | list[str]] = {"model": self._model, "input": [text or " " for text in texts]}
        question["encoding_format"] = "float"
        if self._dimensions:
            question["dimensions"] = self._dimensions
        async with self._turns:
            body = await self._client.post_json("embeddings", msgspec.json.encode(question), self._model)
        # In a thread: 128 vectors of 3,072 numbers are 8 MB of JSON.
        return await asyncio.to_thread(_vectors, body, len(texts), self._dimensions)


class _Tasks(asyncio.TaskGroup):
    """A task group that raises the first error itself, not a group of errors."""

    async def __aexit__(self, *about: object) -> None:
        try:
            await super().__aexit__(*about)  # pyright: ignore[reportArgumentType] - passed on as they come
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None


def _batches(texts: Sequence[str], most: int) -> Iterator[Sequence[str]]:
    batch: list[str] = []
    size = 0
    for text in texts:
        length = len(text.encode("utf-8", "replace"))
        if batch and (len(batch) >= most or size + length > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(text)
        size += length
    if batch:
        yield batch


def _vectors(body: bytes, count: int, dimensions: int | None) -> Sequence[Vector]:
    """The answer's vectors in the order asked for. Raises EmbeddingFailed when they are not what was asked for."""
    try:
        entries = _decode(body).data
        rows = [_numbers(entry.embedding) for entry in _in_order(entries)]
        matrix = np.array(rows, np.float64)
    except (msgspec.DecodeError, UnicodeDecodeError, binascii.Error, ValueError, RecursionError):
        raise EmbeddingFailed("The upstream's answer holds no embeddings that can be understood.") from None
    if matrix.ndim != 2 or len(matrix) != count or not matrix.shape[1]:
        raise EmbeddingFailed(f"The upstream answered {count} texts with {len(rows)} embeddings.")
    if dimensions and matrix.shape[1] != dimensions:
        text = f"The upstream's embeddings have {matrix.shape[1]} dimensions; {dimensions} were asked for."
        raise EmbeddingFailed(text)
    with np.errstate(over="ignore"):
        lengths = np.linalg.norm(matrix, axis=1, keepdims=True)
    if not np.isfinite(lengths).all():
        raise EmbeddingFailed("The upstream's embeddings hold numbers that are none.")
    return [row.tobytes() for row in (matrix / np.where(lengths > 0, lengths, 1)).astype("<f4")]


def _in_order(entries: Sequence[_Entry]) -> Sequence[_Entry]:
    """By `index` where all have one; else as they came."""
    return sorted(entries, key=lambda entry: entry.index if entry.index is not None else 0)


def _numbers(embedding: list[float] | str) -> Sequence[float]:
    if isinstance(embedding, str):
        return np.frombuffer(base64.b64decode(embedding, validate=True), "<f4").tolist()
    return embedding
