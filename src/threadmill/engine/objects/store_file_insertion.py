"""How files come into a vector store: checked, in progress, counted, all in the transaction that brings them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from threadmill.domain.ids import FileBatchId, ProjectId
from threadmill.domain.new_store import NewStoreFile, NewVectorStore
from threadmill.domain.supported_file import check_supported
from threadmill.domain.vector_store import (
    HELPER_EXPIRY_DAYS,
    MAX_STORE_FILES,
    CountChange,
    ExpiresAfter,
    FileBatch,
    FileCounts,
    VectorStore,
    VectorStoreFile,
    VectorStoreFileStatus,
    check_expiry,
    check_store_room,
)
from threadmill.engine.objects.files import require
from threadmill.engine.ports.bundle import Ports
from threadmill.engine.ports.store import AddCounts, Insert, StoreHasRoom, Update, Write

HELPER_EXPIRY = ExpiresAfter(HELPER_EXPIRY_DAYS)
"""Life of the stores that threads get without asking for one by itself (behaviour.md 4)."""


@dataclass(frozen=True, slots=True)
class Made:
    """A new store, and what has to be written for it and its files."""

    store: VectorStore
    writes: tuple[Write, ...]


@dataclass(frozen=True, slots=True)
class Filling:
    """Files as they will be in a store, and what has to be written and hold for that. No version of the store is asked:
    who adds files is in nobody's way.
    """

    files: tuple[VectorStoreFile, ...]
    writes: tuple[Write, ...]
    guards: tuple[StoreHasRoom, ...]


async def check_files_supported(
    ports: Ports, project: ProjectId, files: Sequence[NewStoreFile], param: str = "file_ids"
) -> None:
    """Every file exists and is of a kind that can be read. Raises InvalidRequest (behaviour.md 4)."""
    if files:
        found = await require(ports, project, [one.file_id for one in files], param)
        check_supported([file.filename for file in found], param, ports.search.extractor.extensions)


def build_store(ports: Ports, project: ProjectId, new: NewVectorStore) -> Made:
    """The store a request asks for, with its files; these were checked. Raises InvalidRequest."""
    now = ports.clock.now()
    files = _distinct(new.files)
    if new.expires_after is not None:
        check_expiry(new.expires_after)
    check_store_room(len(files))
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
    rows = [Insert(_new_row(ports, store, file, None)) for file in files]
    return Made(store, (Insert(store), *rows))


async def add_files(
    ports: Ports, store: VectorStore, files: Sequence[NewStoreFile], batch_id: FileBatchId | None = None
) -> Filling:
    """Add checked files to a store that exists. A file that is in it already is read anew.

    Applying what is given raises Invalid when there is no room.
    """
    wanted = [_new_row(ports, store, new, batch_id) for new in _distinct(files)]
    held = {row.id: row for row in await ports.search.stores.held([row.id for row in wanted])}
    # What is read anew stays findable by its old chunks until the new ones are there.
    rows = [_anew(row, held[row.id]) if row.id in held else row for row in wanted]
    writes: list[Write] = [Update(row, held[row.id].version) if row.id in held else Insert(row) for row in rows]
    writes += [write for before in held.values() for write in _release_from_batch(before)]
    change = sum((CountChange.of(held.get(row.id), row) for row in rows), CountChange())
    used = AddCounts(VectorStore, store.id, change, ports.clock.now())
    room = StoreHasRoom(store.id, len(rows) - len(held), MAX_STORE_FILES)
    return Filling(tuple(rows), (used, *writes), (room,))


def _anew(row: VectorStoreFile, held: VectorStoreFile) -> VectorStoreFile:
    return replace(row, edition=held.edition, version=held.version + 1)


def _distinct(files: Sequence[NewStoreFile]) -> Sequence[NewStoreFile]:
    """A file that is named twice counts once, as it was named last."""
    return tuple({one.file_id: one for one in files}.values())


def _new_row(ports: Ports, store: VectorStore, new: NewStoreFile, batch_id: FileBatchId | None) -> VectorStoreFile:
    return VectorStoreFile(
        file_id=new.file_id,
        vector_store_id=store.id,
        project=store.project,
        created_at=ports.clock.now(),
        chunking_strategy=new.chunking,
        attributes=new.attributes,
        batch_id=batch_id,
    )


def _release_from_batch(held: VectorStoreFile) -> Sequence[Write]:
    """The batch that waited for a file which is now added anew waits for it no more."""
    if held.batch_id is None or held.status is not VectorStoreFileStatus.IN_PROGRESS:
        return ()
    return (AddCounts(FileBatch, held.batch_id, CountChange.of(held, held.cancelled())),)
