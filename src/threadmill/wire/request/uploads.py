"""Bodies of uploads. A part's form is read where files' forms are."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from threadmill.domain.file import FilePurpose
from threadmill.domain.ids import UploadPartId
from threadmill.domain.upload import MAX_PARTS, MAX_UPLOAD_BYTES, NewUpload
from threadmill.wire.request import validation_error
from threadmill.wire.request.body import Body
from threadmill.wire.request.files import MAX_EXPIRY, MAX_FILENAME, MIN_EXPIRY, safe_name
from threadmill.wire.request.item_limit import ItemLimit

Purpose = Literal["fine-tune", "assistants", "batch", "user_data", "vision", "evals"]


class FileExpiryBody(Body):
    """`expires_after` of the file that comes of it."""

    anchor: Literal["created_at"]
    seconds: Annotated[int, Field(ge=MIN_EXPIRY, le=MAX_EXPIRY)]


class CreateUpload(Body):
    """POST /uploads."""

    bytes: Annotated[int, Field(ge=0, le=MAX_UPLOAD_BYTES)]
    filename: Annotated[str, Field(min_length=1, max_length=MAX_FILENAME)]
    mime_type: Annotated[str, Field(max_length=256)]
    purpose: Purpose
    expires_after: FileExpiryBody | None = None

    def to_domain(self) -> NewUpload:
        """As given; of a file name that leads anywhere, its last part."""
        expires_after = None if self.expires_after is None else self.expires_after.seconds
        return NewUpload(safe_name(self.filename), FilePurpose(self.purpose), self.bytes, self.mime_type, expires_after)


class CompleteUpload(Body):
    """POST /uploads/{id}/complete."""

    part_ids: Annotated[list[str], ItemLimit(MAX_PARTS)]
    md5: Annotated[str, Field(pattern=r"^[0-9a-fA-F]{32}$")] | None = None

    def to_domain(self) -> tuple[tuple[UploadPartId, ...], str | None]:
        """The parts in order, and the checksum."""
        return tuple(map(UploadPartId, self.part_ids)), self.md5


def check_part(filename: str | None, fields: Mapping[str, str]) -> None:
    """Raises InvalidRequest unless the form was `data`, a file, alone."""
    for name in fields:
        if name != "data":
            raise validation_error.unknown(name)
    if filename is None:
        raise validation_error.missing("data")
