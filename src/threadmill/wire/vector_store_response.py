"""Vector stores, their files, file batches and search results -> response objects (behaviour.md 7.2 to 7.5).

Key order and the wire rule are those of `response.py`.
"""

from collections.abc import Iterable, Sequence

from threadmill.domain.chunking import ChunkingStrategy, StaticChunking
from threadmill.domain.filter import Attributes
from threadmill.domain.ids import Instant
from threadmill.domain.vector_store import FileBatch, FileCounts, FileError, VectorStore, VectorStoreFile
from threadmill.wire.tool_response import Json


def vector_store(value: VectorStore, now: Instant) -> Json:
    """A store as it reads at `now`, which decides whether it has expired."""
    expires_after = value.expires_after
    return {
        "id": value.id,
        "object": "vector_store",
        "created_at": value.created_at,
        "name": value.name,
        "description": value.description,
        "usage_bytes": value.usage_bytes,
        "file_counts": _counts(value.file_counts),
        "status": value.status(now),
        "expires_after": expires_after and {"anchor": expires_after.anchor, "days": expires_after.days},
        "expires_at": value.expires_at,
        "last_active_at": value.last_active_at,
        "metadata": value.metadata,
    }


def _counts(value: FileCounts) -> Json:
    return {
        "in_progress": value.in_progress,
        "completed": value.completed,
        "failed": value.failed,
        "cancelled": value.cancelled,
        "total": value.total,
    }


def store_file(value: VectorStoreFile) -> Json:
    """A file of a store, also as it is listed through its batch (behaviour.md 7.3, 7.4)."""
    return {
        "id": value.file_id,
        "object": "vector_store.file",
        "usage_bytes": value.usage_bytes,
        "created_at": value.created_at,
        "vector_store_id": value.vector_store_id,
        "status": value.status,
        "last_error": _last_error(value.last_error),
        "chunking_strategy": _chunking(value.chunking_strategy),
        "attributes": value.attributes,
    }


def _last_error(value: FileError | None) -> Json | None:
    return None if value is None else {"code": value.code, "message": value.message}


def _chunking(value: ChunkingStrategy) -> Json:
    if not isinstance(value, StaticChunking):
        return {"type": "other"}
    static = {
        "max_chunk_size_tokens": value.max_chunk_size_tokens,
        "chunk_overlap_tokens": value.chunk_overlap_tokens,
    }
    return {"type": "static", "static": static}


def file_batch(value: FileBatch) -> Json:
    """A batch. Its object is what the service says, not what the schema does (behaviour.md 0.10)."""
    return {
        "id": value.id,
        "object": "vector_store.file_batch",
        "created_at": value.created_at,
        "status": value.status,
        "vector_store_id": value.vector_store_id,
        "file_counts": _counts(value.file_counts),
    }


def search_result(file_id: str, filename: str, score: float, attributes: Attributes, text: str) -> Json:
    """A chunk that was found; `filename` here is `file_name` in run steps (behaviour.md 7.5)."""
    return {
        "file_id": file_id,
        "filename": filename,
        "score": score,
        "attributes": attributes,
        "content": [_text(text)],
    }


def search_page(queries: Sequence[str], results: Iterable[Json]) -> Json:
    """All that was found, in one page. `search_query` is what was searched for: here no query is rewritten."""
    return {
        "object": "vector_store.search_results.page",
        "search_query": queries,
        "data": list(results),
        "has_more": False,
        "next_page": None,
    }


def content_page(texts: Iterable[str]) -> Json:
    """What was read from a file, chunk by chunk, in one page."""
    return {
        "object": "vector_store.file_content.page",
        "data": [_text(text) for text in texts],
        "has_more": False,
        "next_page": None,
    }


def _text(text: str) -> Json:
    return {"type": "text", "text": text}
