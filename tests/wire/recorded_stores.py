"""Domain values that say what the service said of vector stores in `recorded.json`."""

from tests.wire.recorded import PROJECT, Json
from threadmill.domain.chunking import StaticChunking
from threadmill.domain.ids import FileBatchId, FileId, VectorStoreId
from threadmill.domain.vector_store import (
    ExpiresAfter,
    FileBatch,
    FileCounts,
    VectorStore,
    VectorStoreFile,
    VectorStoreFileStatus,
)


def counts(said: Json) -> FileCounts:
    """`file_counts`; the total is worked out."""
    return FileCounts(said["in_progress"], said["completed"], said["failed"], said["cancelled"])


def vector_store(said: Json) -> VectorStore:
    """The store; its status and `expires_at` are worked out."""
    expires_after = said["expires_after"]
    return VectorStore(
        id=VectorStoreId(said["id"]),
        project=PROJECT,
        created_at=said["created_at"],
        last_active_at=said["last_active_at"],
        name=said["name"],
        usage_bytes=said["usage_bytes"],
        file_counts=counts(said["file_counts"]),
        expires_after=None if expires_after is None else ExpiresAfter(expires_after["days"], expires_after["anchor"]),
        metadata=said["metadata"],
    )


def store_file(said: Json) -> VectorStoreFile:
    """The file, whole or as listed through its batch."""
    static = said.get("chunking_strategy", {"static": {}})["static"]
    return VectorStoreFile(
        file_id=FileId(said["id"]),
        vector_store_id=VectorStoreId(said["vector_store_id"]),
        project=PROJECT,
        created_at=said["created_at"],
        status=VectorStoreFileStatus(said["status"]),
        usage_bytes=said.get("usage_bytes", 0),
        chunking_strategy=StaticChunking(**static),
        attributes=said.get("attributes", {}),
    )


def file_batch(said: Json) -> FileBatch:
    """The batch; its status is worked out."""
    return FileBatch(
        id=FileBatchId(said["id"]),
        project=PROJECT,
        vector_store_id=VectorStoreId(said["vector_store_id"]),
        created_at=said["created_at"],
        file_counts=counts(said["file_counts"]),
    )
