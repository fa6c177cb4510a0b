"""Files that messages and tool resources name: each must exist, and what a message hands the code interpreter, its
thread keeps for it (behaviour.md 4).
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from threadmill.domain.error import Invalid
from threadmill.domain.file import IMAGE_SUFFIXES
from threadmill.domain.ids import FileId, ProjectId
from threadmill.domain.message import ImageFilePart, NewMessage
from threadmill.domain.tool import ToolResources
from threadmill.engine.files import require
from threadmill.engine.ports.bundle import Ports

MAX_FILES = 20
"""Files of one code interpreter (behaviour.md 5)."""

RESOURCES = "tool_resources.code_interpreter.file_ids"


async def check_messages(ports: Ports, project: ProjectId, said: Sequence[NewMessage]) -> None:
    """Every file the messages name exists, and pictures are pictures. Raises Invalid."""
    attached = [one.file_id for message in said for one in message.attachments if one.file_id is not None]
    if attached:
        await require(ports, project, attached, "attachments")
    shown = [part.file_id for message in said for part in message.content if isinstance(part, ImageFilePart)]
    for file in await require(ports, project, shown, "content") if shown else ():
        if not file.is_image:
            text = f"Invalid message content: Expected file type to be a supported format: {', '.join(IMAGE_SUFFIXES)}"
            raise Invalid(f"{text}, but got '{file.filename}'.", param="content", code="invalid_image_format")


async def check_resources(ports: Ports, project: ProjectId, resources: ToolResources | None) -> None:
    """Every file the code interpreter is given exists. Raises Invalid."""
    if resources is not None and resources.file_ids:
        await require(ports, project, resources.file_ids, RESOURCES)


def with_attached(resources: ToolResources, said: Sequence[NewMessage]) -> ToolResources:
    """The thread's resources with what the messages hand the code interpreter. Raises Invalid beyond MAX_FILES."""
    held = resources.file_ids or ()
    files = tuple(dict.fromkeys((*held, *_for_code(said))))
    if len(files) == len(held):
        return resources
    if len(files) > MAX_FILES:
        text = f"Invalid '{RESOURCES}': array too long. Expected an array with maximum length {MAX_FILES}, "
        raise Invalid(
            f"{text}but got an array with length {len(files)} instead.",
            param="attachments",
            code="array_above_max_length",
        )
    return replace(resources, file_ids=files)


def _for_code(said: Sequence[NewMessage]) -> Iterator[FileId]:
    for message in said:
        for attachment in message.attachments:
            if attachment.file_id is not None and "code_interpreter" in (attachment.tools or ()):
                yield attachment.file_id
