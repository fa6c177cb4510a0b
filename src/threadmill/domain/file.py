"""The file: bytes somebody uploaded or code produced, with a name and a purpose (behaviour.md 7.1)."""

from dataclasses import dataclass
from enum import StrEnum

from threadmill.domain.ids import FileId, Instant, ProjectId, ThreadId

MAX_FILE_BYTES = 512 * 1024 * 1024
"""Bytes of one file (behaviour.md 7.1)."""

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".gif", ".webp")
"""Names of files that may stand in an `image_file` part (behaviour.md 4)."""


class FilePurpose(StrEnum):
    """What a file is for. Callers may upload all but `assistants_output`, which is what code_interpreter made."""

    FINE_TUNE = "fine-tune"
    ASSISTANTS = "assistants"
    BATCH = "batch"
    USER_DATA = "user_data"
    VISION = "vision"
    EVALS = "evals"
    ASSISTANTS_OUTPUT = "assistants_output"


UPLOAD_PURPOSES = tuple(purpose for purpose in FilePurpose if purpose is not FilePurpose.ASSISTANTS_OUTPUT)
"""In the order the service names them."""


@dataclass(frozen=True, slots=True)
class Blob:
    """Bytes as the blob store keeps them: an opaque key and their number."""

    key: str
    size: int


@dataclass(frozen=True, slots=True)
class Origin:
    """Where code_interpreter made a file: the thread, and the path below `/mnt/data`."""

    thread_id: ThreadId
    path: str


@dataclass(frozen=True, slots=True)
class File:
    """A file as stored; its bytes lie in the blob store. `expires_at`: when it deletes itself."""

    id: FileId
    project: ProjectId
    created_at: Instant
    filename: str
    purpose: FilePurpose
    blob: Blob
    expires_at: Instant | None = None
    origin: Origin | None = None
    version: int = 1

    @property
    def is_image(self) -> bool:
        """Whether its name is a picture's."""
        return self.filename.lower().endswith(IMAGE_SUFFIXES)


@dataclass(frozen=True, slots=True)
class NewFile:
    """What an upload asks for besides the bytes. `expires_after` in seconds."""

    filename: str
    purpose: FilePurpose
    expires_after: int | None = None
    origin: Origin | None = None
