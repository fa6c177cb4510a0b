"""What has to be written beside a file of a vector store, so that store and batch count it rightly."""

from threadmill.domain.vector_store import CountChange, FileBatch, VectorStore, VectorStoreFile
from threadmill.engine.ports.store import AddCounts


def counting(before: VectorStoreFile, after: VectorStoreFile | None) -> tuple[AddCounts, ...]:
    """The counts of the file's store and batch once it went from `before` to `after`, None: out of both.

    Goes into the write set that guards the version of `before`.
    """
    change = CountChange.of(before, after)
    store = AddCounts(VectorStore, before.vector_store_id, change)
    return (store,) if before.batch_id is None else (store, AddCounts(FileBatch, before.batch_id, change))
