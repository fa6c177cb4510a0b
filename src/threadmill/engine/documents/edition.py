"""How a file becomes chunks: its text is taken out, cut, and embedded in portions, so that memory stays bounded."""

import asyncio
import hashlib
import logging
from collections.abc import Sequence

from threadmill.domain.chunking import ChunkingStrategy, StaticChunking, split_into_chunks
from threadmill.domain.file import File
from threadmill.domain.vector_store import VectorStoreFile, usage_bytes
from threadmill.engine.ports.bundle import Ports
from threadmill.engine.ports.chunks import Edition
from threadmill.engine.ports.embedder import Embedder
from threadmill.engine.ports.search_index import IndexedChunk

LOG = logging.getLogger("threadmill.documents")

EMBED_BATCH_SIZE = 256
"""Chunks embedded and written at once."""


def edition_key(file: File, strategy: ChunkingStrategy, embedder: Embedder | None) -> str:
    """Names what comes out when these bytes are read, cut and embedded so. Projects share nothing.

    The extension counts: it says what the bytes are read as.
    """
    cut = strategy if isinstance(strategy, StaticChunking) else StaticChunking()
    _, _, extension = file.filename.rpartition(".")
    parts = (
        file.project,
        file.blob.key,
        extension.lower(),
        str(cut.max_chunk_size_tokens),
        str(cut.chunk_overlap_tokens),
        "" if embedder is None else embedder.identity,
    )
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:40]


async def build_edition(
    ports: Ports, name: str, file: File, row: VectorStoreFile
) -> tuple[Edition, Sequence[IndexedChunk]]:
    """Read the file and store its chunks as edition `name`. The chunks come with it, if they fit into one portion.

    Raises ExtractionFailed, TooManyTokens, EmbeddingFailed, Unavailable.
    """
    search = ports.search
    extracted = await search.extractor.extract(ports.blobs.read(file.blob.key), file.filename)
    if doubts := extracted.notes.doubts():
        LOG.warning("%s was not read without doubt: %s", file.id, " ".join(doubts))
    texts = await asyncio.to_thread(_cut, ports, extracted.text, row.chunking_strategy)
    edition = Edition(name, len(texts), usage_bytes(texts), extracted.notes)
    if len(texts) <= EMBED_BATCH_SIZE:
        chunks = await embed_chunks(search.embedder, texts)
        await search.chunks.keep(edition, chunks)
        return edition, chunks
    await search.chunks.begin(name)
    for first in range(0, len(texts), EMBED_BATCH_SIZE):
        portion = texts[first : first + EMBED_BATCH_SIZE]
        await search.chunks.write(name, first, await embed_chunks(search.embedder, portion))
    await search.chunks.seal(edition)
    return edition, ()


def _cut(ports: Ports, text: str, strategy: ChunkingStrategy) -> Sequence[str]:
    chunks = split_into_chunks(text, ports.search.token_offsets.ends(text), strategy)
    return [text[chunk.start : chunk.end] for chunk in chunks]


async def embed_chunks(embedder: Embedder | None, texts: Sequence[str]) -> Sequence[IndexedChunk]:
    """The texts as chunks, with vectors if there is an embedder. Raises EmbeddingFailed."""
    if embedder is None:
        return [IndexedChunk(text) for text in texts]
    vectors = await embedder.embed(texts)
    return [IndexedChunk(text, vector) for text, vector in zip(texts, vectors, strict=True)]
