"""Use cases of a vector store's files: add, retrieve, list, modify, remove, content (behaviour.md 7.3)."""

from collections.abc import Sequence

from threadmill.domain.file import File
from threadmill.domain.filter import Attributes
from threadmill.domain.ids import FileBatchId, FileId, ProjectId, VectorStoreId
from threadmill.domain.new_store import NewStoreFile
from threadmill.domain.page import Page, PageQuery
from threadmill.domain.vector_store import VectorStoreFile, VectorStoreFileStatus
from threadmill.engine.engine import Engine


async def add(engine: Engine, project: ProjectId, store_id: VectorStoreId, new: NewStoreFile) -> VectorStoreFile:
    """Add a file; it is read in the background. Raises NotFound (the store), Invalid (the file)."""
    raise NotImplementedError


async def retrieve(engine: Engine, project: ProjectId, store_id: VectorStoreId, file_id: FileId) -> VectorStoreFile:
    """One file of the store. Raises NotFound."""
    raise NotImplementedError


async def page(
    engine: Engine,
    project: ProjectId,
    store_id: VectorStoreId,
    query: PageQuery,
    *,
    status: VectorStoreFileStatus | None = None,
    batch_id: FileBatchId | None = None,
) -> Page[VectorStoreFile]:
    """Files of the store, or of one batch; cursors are file ids. Raises NotFound, Invalid for a bad cursor."""
    raise NotImplementedError


async def modify(
    engine: Engine, project: ProjectId, store_id: VectorStoreId, file_id: FileId, attributes: Attributes
) -> VectorStoreFile:
    """Replace the file's attributes. Raises NotFound."""
    raise NotImplementedError


async def remove(engine: Engine, project: ProjectId, store_id: VectorStoreId, file_id: FileId) -> None:
    """Take the file out of the store; it stays a file. Raises NotFound."""
    raise NotImplementedError


async def content(
    engine: Engine, project: ProjectId, store_id: VectorStoreId, file_id: FileId
) -> tuple[File, VectorStoreFile, Sequence[str]]:
    """The file, its place in the store, and the texts of its chunks in order. Raises NotFound."""
    raise NotImplementedError
