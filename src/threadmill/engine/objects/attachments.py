"""Files and stores that messages and tool resources name: each must exist, and what a message hands a tool, its thread
keeps for it (behaviour.md 4).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from threadmill.domain.error import InvalidRequest, no_vector_store
from threadmill.domain.file import IMAGE_SUFFIXES
from threadmill.domain.ids import FileId, ProjectId
from threadmill.domain.message import ImageFilePart, NewMessage
from threadmill.domain.new_store import NewStoreFile, NewVectorStore
from threadmill.domain.tool import ToolResources
from threadmill.domain.vector_store import VectorStore, VectorStoreStatus, store_file_id
from threadmill.engine.objects.files import require
from threadmill.engine.objects.store_file_insertion import HELPER_EXPIRY, add_files, build_store, check_files_supported
from threadmill.engine.ports.bundle import Ports
from threadmill.engine.ports.store import StoreHasRoom, Write

MAX_FILES = 20
"""Files of one code interpreter (behaviour.md 5)."""

RESOURCES = "tool_resources.code_interpreter.file_ids"


async def check_messages(ports: Ports, project: ProjectId, said: Sequence[NewMessage]) -> None:
    """Every file the messages name exists, and pictures are pictures. Raises InvalidRequest."""
    attached = [one.file_id for message in said for one in message.attachments if one.file_id is not None]
    if attached:
        await require(ports, project, attached, "attachments")
        await check_files_supported(ports, project, _for_search(said))
    shown = [part.file_id for message in said for part in message.content if isinstance(part, ImageFilePart)]
    for file in await require(ports, project, shown, "content") if shown else ():
        if not file.is_image:
            text = f"Invalid message content: Expected file type to be a supported format: {', '.join(IMAGE_SUFFIXES)}"
            raise InvalidRequest(f"{text}, but got '{file.filename}'.", param="content", code="invalid_image_format")


async def check_resources(ports: Ports, project: ProjectId, resources: ToolResources | None) -> None:
    """Every file the code interpreter is given exists, and every store. Raises InvalidRequest, NotFound."""
    if resources is not None and resources.file_ids:
        await require(ports, project, resources.file_ids, RESOURCES)
    for store_id in () if resources is None else resources.vector_store_ids or ():
        if await ports.store.get(VectorStore, project, store_id) is None:
            raise no_vector_store(store_id)


@dataclass(frozen=True, slots=True)
class ThreadResources:
    """A thread's resources with what it was handed, and what has to be written for its store."""

    resources: ToolResources
    writes: tuple[Write, ...] = ()
    guards: tuple[StoreHasRoom, ...] = ()


async def attach_files(
    ports: Ports,
    project: ProjectId,
    resources: ToolResources,
    said: Sequence[NewMessage],
    wanted: NewVectorStore | None = None,
) -> ThreadResources:
    """A thread's resources with what the checked messages hand its tools, and with the store it asks for.

    Files to be searched go into the thread's store, made with a life of 7 days if it has none. Raises InvalidRequest.
    """
    resources = with_code_files(resources, said)
    files = _for_search(said)
    if wanted is None and not files:
        return ThreadResources(resources)
    store = None if wanted is not None else await _usable_store(ports, project, resources)
    if store is not None:
        added = await add_files(ports, store, files)
        return ThreadResources(resources, added.writes, added.guards)
    asked = wanted or NewVectorStore()
    expiry = asked.expires_after or HELPER_EXPIRY
    made = build_store(ports, project, replace(asked, expires_after=expiry, files=(*asked.files, *files)))
    return ThreadResources(replace(resources, vector_store_ids=(made.store.id,)), made.writes)


def attached_ids(resources: ToolResources, said: Sequence[NewMessage]) -> Iterator[str]:
    """Ids of the rows that `attach` may change besides its thread: the files, in the stores there are."""
    for file in _for_search(said):
        for store_id in resources.vector_store_ids or ():
            yield store_file_id(store_id, file.file_id)


async def _usable_store(ports: Ports, project: ProjectId, resources: ToolResources) -> VectorStore | None:
    for store_id in resources.vector_store_ids or ():
        store = await ports.store.get(VectorStore, project, store_id)
        if store is not None and store.status(ports.clock.now()) is not VectorStoreStatus.EXPIRED:
            return store
    return None


def with_code_files(resources: ToolResources, said: Sequence[NewMessage]) -> ToolResources:
    """The thread's resources with what the messages hand the code interpreter. Raises InvalidRequest beyond MAX_FILES."""
    held = resources.file_ids or ()
    files = tuple(dict.fromkeys((*held, *_for_code(said))))
    if len(files) == len(held):
        return resources
    if len(files) > MAX_FILES:
        text = f"Invalid '{RESOURCES}': array too long. Expected an array with maximum length {MAX_FILES}, "
        raise InvalidRequest(
            f"{text}but got an array with length {len(files)} instead.",
            param="attachments",
            code="array_above_max_length",
        )
    return replace(resources, file_ids=files)


def _for_code(said: Sequence[NewMessage]) -> Iterator[FileId]:
    return _attached(said, "code_interpreter")


def _for_search(said: Sequence[NewMessage]) -> tuple[NewStoreFile, ...]:
    return tuple(NewStoreFile(file_id) for file_id in _attached(said, "file_search"))


def _attached(said: Sequence[NewMessage], tool: str) -> Iterator[FileId]:
    for message in said:
        for attachment in message.attachments:
            if attachment.file_id is not None and tool in (attachment.tools or ()):
                yield attachment.file_id
