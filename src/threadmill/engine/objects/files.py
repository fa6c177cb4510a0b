"""Use cases of files: create, retrieve, list, read, delete, expire (behaviour.md 7.1)."""

from collections.abc import AsyncIterator, Sequence

from threadmill.domain.error import InvalidRequest, no_file
from threadmill.domain.file import File, FilePurpose, NewFile
from threadmill.domain.ids import FileId, ProjectId
from threadmill.domain.page import Page, PageQuery
from threadmill.engine.engine import Engine
from threadmill.engine.ports.blobs import BlobWriter
from threadmill.engine.ports.bundle import Ports
from threadmill.engine.ports.store import Scope
from threadmill.engine.storage.file_creation import create_file
from threadmill.engine.storage.file_deletion import delete_file


async def create(engine: Engine, project: ProjectId, new: NewFile, writer: BlobWriter) -> File:
    """Store what `writer` was given as a file; call inside `open_blob_writer`. Raises Unavailable."""
    return await create_file(engine.ports, project, new, await writer.commit())


async def retrieve(engine: Engine, project: ProjectId, file_id: FileId) -> File:
    """One file. Raises NotFound."""
    file = await engine.ports.store.get(File, project, file_id)
    if file is None:
        raise no_file(file_id)
    return file


async def page(engine: Engine, project: ProjectId, query: PageQuery, purpose: FilePurpose | None = None) -> Page[File]:
    """The project's files. Raises InvalidRequest for a bad cursor."""
    return await engine.ports.store.page(File, Scope(project, purpose=purpose), query)


async def read(engine: Engine, project: ProjectId, file_id: FileId) -> tuple[File, AsyncIterator[bytes]]:
    """A file and its bytes. Raises NotFound, InvalidRequest for what the service does not give back."""
    file = await retrieve(engine, project, file_id)
    if file.purpose is FilePurpose.ASSISTANTS:
        raise InvalidRequest(f"Not allowed to download files of purpose: {file.purpose}")
    return file, engine.ports.blobs.read(file.blob.key)


async def delete(engine: Engine, project: ProjectId, file_id: FileId) -> None:
    """Remove the file, and its id wherever a code interpreter was given it. Raises NotFound."""
    await delete_file(engine.ports, await retrieve(engine, project, file_id))


async def require(ports: Ports, project: ProjectId, file_ids: Sequence[FileId], param: str) -> Sequence[File]:
    """The files, all of which must exist in the project. Raises InvalidRequest naming those that do not (behaviour.md 4)."""
    wanted = tuple(dict.fromkeys(file_ids))
    found = await ports.files.find_many(project, wanted)
    missing = [one for one in wanted if one not in {file.id for file in found}]
    if missing:
        names = ", ".join(missing)
        raise InvalidRequest(f"The following files were not found: {names}.", param=param, code="file_not_found")
    return found
