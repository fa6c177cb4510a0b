"""`image_file` parts reach the upstream as data: it cannot fetch from us, and file ids mean nothing to it.

Here it is decided which of a prompt's pictures are shown; their bytes are read while the request is sent.
"""

import logging
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import replace
from functools import partial

from threadmill.domain.error import Unavailable
from threadmill.domain.file import File
from threadmill.domain.ids import FileId, ProjectId
from threadmill.domain.message import ImageFilePart, ImageUrlPart, TextPart
from threadmill.engine.ports.bundle import Ports
from threadmill.engine.ports.model import ModelRequest, PromptMessage, PromptPart, StoredPicture

LOG = logging.getLogger("threadmill")

MAX_INLINE_IMAGE_BYTES = 20 * 1024 * 1024
"""Bytes of a picture sent to a model; a larger one is told instead."""

_KINDS = {"png": "image/png", "gif": "image/gif", "webp": "image/webp"}


async def inline_images(ports: Ports, project: ProjectId, request: ModelRequest, budget: int) -> ModelRequest:
    """The request with the newest pictures that have `budget` bytes together, each time one is shown counted; the others,
    and those that are gone, are told in words.
    """
    parts = [part for message in request.messages for part in message.parts]
    wanted = {part.file_id for part in parts if isinstance(part, ImageFilePart)}
    if not wanted and not any(isinstance(part, ImageUrlPart) for part in parts):
        return request
    files = await ports.files.find_many(project, sorted(wanted)) if wanted else ()
    album = _Album(ports, {file.id: file for file in files}, budget)
    newest_first = [await album.show(message) for message in reversed(request.messages)]
    return replace(request, messages=tuple(reversed(newest_first)))


class _Album:
    """The pictures of one prompt, taken from the newest on."""

    def __init__(self, ports: Ports, files: Mapping[FileId, File], budget: int) -> None:
        self._ports: Ports = ports
        self._files: Mapping[FileId, File] = files
        self._left: int = budget
        self._readable: dict[FileId, bool] = {}

    async def show(self, message: PromptMessage) -> PromptMessage:
        """The message with its pictures, or words in their place."""
        if not any(isinstance(part, ImageFilePart | ImageUrlPart) for part in message.parts):
            return message
        parts = [await self._part(part) for part in reversed(message.parts)]
        return replace(message, parts=tuple(reversed(parts)))

    async def _part(self, part: PromptPart) -> PromptPart:
        match part:
            case ImageFilePart():
                return await self._picture(part)
            case ImageUrlPart(url) if url.startswith("data:") and not self._take(len(url) * 3 // 4):
                return TextPart("[A picture is left out: there are too many newer ones.]")
            case _:
                return part

    async def _picture(self, part: ImageFilePart) -> PromptPart:
        file = self._files.get(part.file_id)
        if file is not None and self._left < file.blob.size <= MAX_INLINE_IMAGE_BYTES:
            # Asked first: of what has no place not a byte is read.
            return TextPart(f"[The picture {part.file_id} is left out: there are too many newer ones.]")
        if file is None or file.blob.size > MAX_INLINE_IMAGE_BYTES or not await self._is_readable(file):
            return TextPart(f"[The picture {part.file_id} is deleted or too large to be shown.]")
        self._left -= file.blob.size
        kind = _KINDS.get(file.filename.lower().rsplit(".", 1)[-1], "image/jpeg")
        return StoredPicture(kind, file.blob.size, partial(self._ports.blobs.read, file.blob.key), part.detail)

    def _take(self, size: int) -> bool:
        fits = size <= self._left
        self._left -= size if fits else 0
        return fits

    async def _is_readable(self, file: File) -> bool:
        """Whether its bytes can be read now: a run without a picture is better than none."""
        if (known := self._readable.get(file.id)) is None:
            known = self._readable[file.id] = await self._can_begin(file)
        return known

    async def _can_begin(self, file: File) -> bool:
        try:
            async with aclosing(self._ports.blobs.read(file.blob.key)) as pieces:
                async for _ in pieces:
                    break
        except Unavailable as error:
            LOG.warning("The model is not shown the picture %s: %s", file.id, error.message)
            return False
        return True
