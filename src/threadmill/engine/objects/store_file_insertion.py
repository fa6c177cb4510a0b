"""How files come into a vector store: checked, in progress, counted, all in the transaction that brings them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from threadmill.domain.error import Invalid
from threadmill.domain.ids import FileBatchId, ProjectId
from threadmill.domain.new_store import NewStoreFile, NewVectorStore
from threadmill.domain.supported_file import refuse_unsupported
from threadmill.domain.vector_store import (
    HELPER_EXPIRY_DAYS,
    MAX_STORE_FILES,
    ExpiresAfter,
    FileBatch,
    FileCounts,
    VectorStore,
    VectorStoreFile,
    VectorStoreFileStatus,
    check_expiry,
    store_file_id,
)
from threadmill.engine.objects.files import require
from threadmill.engine.ports.bundle import Ports
from threadmill.engine.ports.store import Insert, Update, Write

HELPER_EXPIRY = ExpiresAfter(HELPER_EXPIRY_DAYS)
"""Life of the stores that threads get without asking for one by itself (behaviour.md 4)."""


@dataclass(frozen=True, slots=True)
class Filled:
    """The store with its new files, and what has to be written for it."""

    store: VectorStore
    writes: tuple[Write, ...]


async def check_files(ports: Ports, project: ProjectId, files: Sequence[NewStoreFile], param: str = "file_ids") -> None:
    """Every file exists and is of a kind that can be read. Raises Invalid (behaviour.md 4)."""
    if files:
        found = await require(ports, project, [one.file_id for one in files], param)
        refuse_unsupported([file.filename for file in found], param)


def new_store(ports: Ports, project: ProjectId, new: NewVectorStore) -> Filled:
    """The store a request asks for, with its files; these were checked. Raises Invalid."""
    now = ports.clock.now()
    files = _distinct(new.files)
    if new.expires_after is not None:
        check_expiry(new.expires_after)
    _check_room(len(files))
    store = VectorStore(
        id=ports.ids.vector_store(),
        project=project,
        created_at=now,
        last_active_at=now,
        name=new.name,
        description=new.description,
        file_counts=FileCounts(in_progress=len(files)),
        expires_after=new.expires_after,
        metadata=new.metadata,
    )
    rows = [Insert(_reading(ports, store, file, None)) for file in files]
    return Filled(store, (Insert(store), *rows))


async def fill(
    ports: Ports, before: VectorStore, files: Sequence[NewStoreFile], batch_id: FileBatchId | None = None
) -> Filled:
    """Add checked files to a store that exists. A file that is in it already is read anew. Raises Invalid."""
    store, writes = before, list[Write]()
    for new in _distinct(files):
        row = _reading(ports, before, new, batch_id)
        held = await ports.store.get(VectorStoreFile, before.project, store_file_id(before.id, new.file_id))
        store = store.with_file(held, row)
        if held is None:
            writes.append(Insert(row))
            continue
        # It stays findable by its old chunks until the new ones are there.
        writes.append(Update(replace(row, edition=held.edition, version=held.version + 1), held.version))
        writes += await _left_batch(ports, held)
    _check_room(store.file_counts.total)
    now = ports.clock.now()
    store = replace(store, last_active_at=now, version=before.version + 1)
    return Filled(store, (Update(store, before.version), *writes))


def _distinct(files: Sequence[NewStoreFile]) -> Sequence[NewStoreFile]:
    """A file that is named twice counts once, as it was named last."""
    return tuple({one.file_id: one for one in files}.values())


def _reading(ports: Ports, store: VectorStore, new: NewStoreFile, batch_id: FileBatchId | None) -> VectorStoreFile:
    return VectorStoreFile(
        file_id=new.file_id,
        vector_store_id=store.id,
        project=store.project,
        created_at=ports.clock.now(),
        chunking_strategy=new.chunking,
        attributes=new.attributes,
        batch_id=batch_id,
    )


async def _left_batch(ports: Ports, held: VectorStoreFile) -> Sequence[Write]:
    """The batch that waited for a file which is now added anew waits for it no more."""
    if held.batch_id is None or held.status is not VectorStoreFileStatus.IN_PROGRESS:
        return ()
    batch = await ports.store.get(FileBatch, held.project, held.batch_id)
    if batch is None:
        return ()
    return (Update(batch.with_file(held.status, VectorStoreFileStatus.CANCELLED), batch.version),)


def _check_room(files: int) -> None:
    if files > MAX_STORE_FILES:
        text = f"A vector store can hold at most {MAX_STORE_FILES:,} files; this one would have {files:,}."
        raise Invalid(text, param="file_ids", code="too_many_files")
