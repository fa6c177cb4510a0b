"""Use cases of file batches: create, retrieve, cancel (behaviour.md 7.4). Their files are listed by `store_files.page`."""

from collections.abc import Sequence

from threadmill.domain.ids import FileBatchId, ProjectId, VectorStoreId
from threadmill.domain.new_store import NewStoreFile
from threadmill.domain.vector_store import FileBatch
from threadmill.engine.engine import Engine


async def create(
    engine: Engine, project: ProjectId, store_id: VectorStoreId, files: Sequence[NewStoreFile]
) -> FileBatch:
    """Add several files at once. Raises NotFound (the store), Invalid (a file)."""
    raise NotImplementedError


async def retrieve(engine: Engine, project: ProjectId, store_id: VectorStoreId, batch_id: FileBatchId) -> FileBatch:
    """One batch of the store. Raises NotFound."""
    raise NotImplementedError


async def cancel(engine: Engine, project: ProjectId, store_id: VectorStoreId, batch_id: FileBatchId) -> FileBatch:
    """Cancel what is not read yet; a batch that is done stays as it is (behaviour.md 7.4). Raises NotFound."""
    raise NotImplementedError
