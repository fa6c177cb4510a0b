"""Another embedder, other vectors: every file's chunks are embedded anew from their stored texts; nothing is read again.

Each file moves by itself, in one transaction, so the work can be broken off and taken up at any time.
"""

from collections.abc import AsyncGenerator
from dataclasses import replace

from threadmill.domain.file import File
from threadmill.domain.ids import StoreFileId
from threadmill.domain.vector_store import VectorStoreFile
from threadmill.engine.documents.edition import EMBED_BATCH_SIZE, edition_key, embed_chunks
from threadmill.engine.ports.bundle import Ports
from threadmill.engine.ports.chunks import Edition
from threadmill.engine.ports.search_index import IndexedFile
from threadmill.engine.ports.store import Sealed, Update, WriteSet
from threadmill.engine.storage.retry import change

PAGE = 500
"""Rows looked at in one read."""


async def outdated_rows(ports: Ports) -> list[VectorStoreFile]:
    """The files of all projects whose vectors are not the present embedder's."""
    found: list[VectorStoreFile] = []
    after: StoreFileId | None = None
    while rows := await ports.search.stores.completed(PAGE, after):
        found += [row for row in rows if row.edition != await _wanted(ports, row)]
        after = rows[-1].id
    return found


async def _wanted(ports: Ports, row: VectorStoreFile) -> str | None:
    """The edition the row ought to have; the one it has if its file is gone."""
    file = await ports.store.get(File, row.project, row.file_id)
    return row.edition if file is None else edition_key(file, row.chunking_strategy, ports.search.embedder)


async def reembed(ports: Ports, rows: list[VectorStoreFile]) -> AsyncGenerator[VectorStoreFile, None]:
    """Embed the rows' chunks anew; gives each row when it is done. Raises EmbeddingFailed, Unavailable."""
    for row in rows:
        before = row.edition or ""
        name = await _wanted(ports, row) or before
        if name != before:
            edition = await ports.search.chunks.sealed(name) or await _rebuild_edition(ports, name, before)
            await _switch_row(ports, row, edition)
        yield row
    while await ports.search.chunks.sweep(frozenset()):
        pass


async def _rebuild_edition(ports: Ports, name: str, before: str) -> Edition:
    """Edition `name` from the texts of edition `before`."""
    search = ports.search
    texts = [chunk.text for chunk in await search.chunks.chunks(before)]
    held = await search.chunks.sealed(before)
    await search.chunks.begin(name)
    for first in range(0, len(texts), EMBED_BATCH_SIZE):
        await search.chunks.write(
            name, first, await embed_chunks(search.embedder, texts[first : first + EMBED_BATCH_SIZE])
        )
    edition = Edition(name, len(texts), 0 if held is None else held.usage_bytes, None if held is None else held.notes)
    await search.chunks.seal(edition)
    return edition


async def _switch_row(ports: Ports, row: VectorStoreFile, edition: Edition) -> None:
    """The row names the new edition, unless it was changed or removed meanwhile; the index follows."""

    async def attempt() -> bool:
        held = await ports.store.get(VectorStoreFile, row.project, row.id)
        if held is None or held.edition != row.edition:
            return False
        after = replace(held, edition=edition.id, version=held.version + 1)
        await ports.store.apply(WriteSet((Update(after, held.version),), (Sealed(edition.id),)))
        return True

    if await change(ports, (row.id,), attempt):
        chunks = await ports.search.chunks.chunks(edition.id)
        await ports.search.index.upsert(row.vector_store_id, IndexedFile(row.file_id, edition.id, chunks))
