"""The upload: a large file that comes in parts, and is a file when all of them are there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from threadmill.domain.error import Conflict, InvalidRequest
from threadmill.domain.file import Blob, FilePurpose
from threadmill.domain.ids import FileId, Instant, ProjectId, UploadId, UploadPartId

MAX_UPLOAD_BYTES = 8 * 1024**3
"""Bytes of the whole file."""

MAX_PART_BYTES = 64 * 1024**2
"""Bytes of one part."""

MAX_PARTS = 10_000
"""Parts of an upload, those that were sent again included."""

UPLOAD_SECONDS = 3_600
"""How long an upload takes parts."""

KEPT_SECONDS = 24 * 3_600
"""How long it is remembered what became of an upload."""

MAX_PENDING, MAX_PENDING_BYTES = 100, 64 * 1024**3
"""Uploads of a project that are pending at once, and the bytes they have announced together."""


class UploadStatus(StrEnum):
    """Only a pending upload takes parts; the other three are ends."""

    PENDING = "pending"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class NewUpload:
    """What an upload asks for. `expires_after` in seconds is the file's."""

    filename: str
    purpose: FilePurpose
    size: int
    mime_type: str
    expires_after: int | None = None


@dataclass(frozen=True, slots=True)
class Upload:
    """An upload as stored. `received` and `parts` count all parts it has taken; `file_id`: what it became.

    `due_at`: a pending one expires then, another is forgotten.
    """

    id: UploadId
    project: ProjectId
    created_at: Instant
    filename: str
    purpose: FilePurpose
    size: int
    mime_type: str
    expires_at: Instant
    due_at: Instant
    status: UploadStatus = UploadStatus.PENDING
    file_expires_after: int | None = None
    received: int = 0
    parts: int = 0
    file_id: FileId | None = None
    version: int = 1


@dataclass(frozen=True, slots=True)
class UploadPart:
    """One part as stored; its bytes lie in the blob store."""

    id: UploadPartId
    project: ProjectId
    created_at: Instant
    upload_id: UploadId
    blob: Blob
    version: int = 1


def begun(new: NewUpload, upload_id: UploadId, project: ProjectId, at: Instant, pending: Sequence[Upload]) -> Upload:
    """A pending upload beside the project's `pending` ones. Raises Conflict when these are too many already."""
    if len(pending) >= MAX_PENDING or sum(one.size for one in pending) + new.size > MAX_PENDING_BYTES:
        text = (
            f"This project has too many pending uploads: at most {MAX_PENDING}, of {MAX_PENDING_BYTES} bytes together."
        )
        raise Conflict(f"{text} Complete or cancel some first.", code="too_many_uploads")
    until = at + UPLOAD_SECONDS
    upload = Upload(upload_id, project, at, new.filename, new.purpose, new.size, new.mime_type, until, until)
    return replace(upload, file_expires_after=new.expires_after)


def require_pending(upload: Upload, at: Instant) -> None:
    """Raises Conflict for an upload that has ended, or whose time is over."""
    status = UploadStatus.EXPIRED if at >= upload.expires_at else upload.status
    status = status if upload.status is UploadStatus.PENDING else upload.status
    if status is not UploadStatus.PENDING:
        raise Conflict(
            f"Upload '{upload.id}' is {status}; only a pending upload can be changed.", code="upload_not_pending"
        )


def with_part(upload: Upload, part: UploadPart) -> Upload:
    """The upload with one part more. Raises Conflict when it has taken far more than it announced."""
    received = upload.received + part.blob.size
    # A part may be sent again after a connection broke, so what came may be more than what will be in the file.
    if received > 2 * upload.size + MAX_PART_BYTES or upload.parts >= MAX_PARTS:
        text = f"Upload '{upload.id}' has taken too many parts for its {upload.size} bytes."
        raise Conflict(text, code="upload_too_large")
    return replace(upload, received=received, parts=upload.parts + 1, version=upload.version + 1)


def ordered(upload: Upload, parts: Sequence[UploadPart], wanted: Sequence[UploadPartId]) -> Sequence[UploadPart]:
    """The parts in the order wanted. Raises InvalidRequest unless each is there, once, and all have the file's bytes."""
    known: Mapping[UploadPartId, UploadPart] = {part.id: part for part in parts}
    for index, part_id in enumerate(wanted):
        if part_id not in known:
            text = f"No part found with id '{part_id}' in upload '{upload.id}'."
            raise InvalidRequest(text, param=f"part_ids[{index}]", code="invalid_value")
    if len(set(wanted)) != len(wanted):
        raise InvalidRequest("Each part can be named once.", param="part_ids", code="invalid_value")
    chosen = [known[part_id] for part_id in wanted]
    size = sum(part.blob.size for part in chosen)
    if size != upload.size:
        text = f"The parts have {size} bytes, but the upload was created with {upload.size} bytes."
        raise InvalidRequest(text, param="part_ids", code="invalid_value")
    return chosen


def ended(upload: Upload, status: UploadStatus, at: Instant, file_id: FileId | None = None) -> Upload:
    """The upload at its end; its parts are nobody's then."""
    version = upload.version + 1
    return replace(upload, status=status, due_at=at + KEPT_SECONDS, file_id=file_id, version=version)
