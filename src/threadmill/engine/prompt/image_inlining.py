"""`image_file` parts reach the upstream as data: it cannot fetch from us, and file ids mean nothing to it."""

import base64
import logging
from collections.abc import Mapping
from dataclasses import replace

from threadmill.domain.error import Unavailable
from threadmill.domain.file import File
from threadmill.domain.ids import FileId, ProjectId
from threadmill.domain.message import ContentPart, ImageFilePart, ImageUrlPart, TextPart
from threadmill.engine.ports.bundle import Ports
from threadmill.engine.ports.model import ModelRequest, PromptMessage

LOG = logging.getLogger("threadmill")

MAX_INLINE_IMAGE_BYTES = 20 * 1024 * 1024
"""Bytes of a picture sent to a model; a larger one is told instead."""

_KINDS = {"png": "image/png", "gif": "image/gif", "webp": "image/webp"}


async def inline_images(ports: Ports, project: ProjectId, request: ModelRequest) -> ModelRequest:
    """The request with every picture file as a data URL; one that is gone is told in words."""
    wanted = {part.file_id for message in request.messages for part in message.parts if isinstance(part, ImageFilePart)}
    if not wanted:
        return request
    files = await ports.files.find_many(project, sorted(wanted))
    urls = {file.id: await _data_url(ports, file) for file in files if file.blob.size <= MAX_INLINE_IMAGE_BYTES}
    return replace(request, messages=tuple(_inline_message(message, urls) for message in request.messages))


async def _data_url(ports: Ports, file: File) -> str | None:
    """None when its bytes are lost or cannot be read now: a run without a picture is better than none."""
    try:
        data = b"".join([piece async for piece in ports.blobs.read(file.blob.key)])
    except Unavailable as error:
        LOG.warning("The model is not shown the picture %s: %s", file.id, error.message)
        return None
    kind = _KINDS.get(file.filename.lower().rsplit(".", 1)[-1], "image/jpeg")
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def _inline_message(message: PromptMessage, urls: Mapping[FileId, str | None]) -> PromptMessage:
    if not any(isinstance(part, ImageFilePart) for part in message.parts):
        return message
    return replace(message, parts=tuple(_inline_part(part, urls) for part in message.parts))


def _inline_part(part: ContentPart, urls: Mapping[FileId, str | None]) -> ContentPart:
    if not isinstance(part, ImageFilePart):
        return part
    url = urls.get(part.file_id)
    if url is None:
        return TextPart(f"[The picture {part.file_id} is deleted or too large to be shown.]")
    return ImageUrlPart(url, part.detail)
