"""Prefixed ids as distinct types (behaviour.md 8.5).

An id is a plain string at run time, so it costs nothing to carry; the type checker keeps a run id out of a thread id's
place. Making one needs randomness and is therefore the `Ids` port's work.
"""

from typing import NewType, TypeAlias

AssistantId = NewType("AssistantId", str)
ThreadId = NewType("ThreadId", str)
MessageId = NewType("MessageId", str)
RunId = NewType("RunId", str)
RunStepId = NewType("RunStepId", str)
CallId = NewType("CallId", str)
FileId = NewType("FileId", str)
VectorStoreId = NewType("VectorStoreId", str)
FileBatchId = NewType("FileBatchId", str)
StoreFileId = NewType("StoreFileId", str)
UploadId = NewType("UploadId", str)
UploadPartId = NewType("UploadPartId", str)
ProjectId = NewType("ProjectId", str)
WorkerId = NewType("WorkerId", str)

Instant: TypeAlias = int
"""Unix time in whole seconds, as every timestamp on the wire."""

PREFIXES: dict[str, str] = {
    "assistant": "asst_",
    "thread": "thread_",
    "message": "msg_",
    "run": "run_",
    "run step": "step_",
    "tool call": "call_",
    "file": "file-",
    "vector store": "vs_",
    "file batch": "vsfb_",
    "upload": "upload_",
    "upload part": "part_",
}
"""Noun of the wire -> the prefix its ids carry."""

ID_LENGTH = 24
"""Characters of [A-Za-z0-9] behind the prefix."""
