"""Message content and attachments as callers send them (behaviour.md 4)."""

from typing import Annotated, Literal

from pydantic import field_validator

from threadmill.domain.ids import FileId
from threadmill.domain.message import Attachment, ImageFilePart, ImageUrlPart, TextPart
from threadmill.wire.request import validation_error
from threadmill.wire.request.body import Body
from threadmill.wire.request.item_limit import ItemLimit
from threadmill.wire.request.union import ARRAY, BY_JSON_TYPE, BY_TYPE, STRING, tag

MAX_CONTENT = 256_000
"""Characters of a message's text, and of instructions."""

MAX_PARTS = 256
"""Parts of a message's content."""

Detail = Literal["auto", "low", "high"]


class TextBody(Body):
    """A text part."""

    type: Literal["text"]
    text: str

    def to_domain(self) -> TextPart:
        """As is."""
        return TextPart(self.text)


class ImageUrl(Body):
    """A picture's URL."""

    url: str
    detail: Detail | None = None

    @field_validator("url")
    @classmethod
    def _is_a_url(cls, value: str) -> str:
        if not value.startswith(("http://", "https://", "data:image/")):
            raise validation_error.deferred_error(validation_error.bad_url)
        return value


class ImageUrlBody(Body):
    """An image_url part."""

    type: Literal["image_url"]
    image_url: ImageUrl

    def to_domain(self) -> ImageUrlPart:
        """Detail filled in (behaviour.md 4)."""
        return ImageUrlPart(self.image_url.url, self.image_url.detail or "auto")


class ImageFile(Body):
    """A picture's file."""

    file_id: str
    detail: Detail | None = None


class ImageFileBody(Body):
    """An image_file part."""

    type: Literal["image_file"]
    image_file: ImageFile

    def to_domain(self) -> ImageFilePart:
        """Detail filled in."""
        return ImageFilePart(FileId(self.image_file.file_id), self.image_file.detail or "auto")


PartBody = Annotated[
    Annotated[TextBody, tag("text")]
    | Annotated[ImageUrlBody, tag("image_url")]
    | Annotated[ImageFileBody, tag("image_file")],
    BY_TYPE,
]


class AttachmentTool(Body):
    """A tool an attachment is for."""

    type: Literal["code_interpreter", "file_search"]


class AttachmentBody(Body):
    """A file handed to tools."""

    file_id: str | None = None
    tools: Annotated[list[AttachmentTool], ItemLimit(16)] | None = None

    def to_domain(self) -> Attachment:
        """As given."""
        tools = None if self.tools is None else tuple(tool.type for tool in self.tools)
        return Attachment(None if self.file_id is None else FileId(self.file_id), tools)


Content = Annotated[
    Annotated[str, STRING] | Annotated[Annotated[list[PartBody], ItemLimit(MAX_PARTS)], ARRAY], BY_JSON_TYPE
]
