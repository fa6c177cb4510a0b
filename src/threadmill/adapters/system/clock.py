"""Wall clock and random ids."""

import asyncio
import os
import string
import time
from collections.abc import Iterator
from itertools import islice

from threadmill.domain.ids import (
    ID_LENGTH,
    PREFIXES,
    AssistantId,
    CallId,
    FileBatchId,
    FileId,
    Instant,
    MessageId,
    RunId,
    RunStepId,
    ThreadId,
    UploadId,
    UploadPartId,
    VectorStoreId,
)

_ALPHABET = (string.ascii_letters + string.digits).encode()

RANDOM_POOL_BYTES = 4_096
"""Bytes of randomness fetched at once."""

# Bytes beyond the last whole multiple of 62 are thrown away, or some characters would be likelier than others.
_BIASED_BYTES = bytes(range(256 - 256 % 62, 256))
_TABLE = bytes(_ALPHABET[byte % 62] for byte in range(256))


def _letters(random: bytes) -> str:
    return random.translate(_TABLE, _BIASED_BYTES).decode()


class SystemClock:
    """The Clock port on the machine's clocks."""

    def now(self) -> Instant:
        """Unix seconds."""
        return int(time.time())  # noqa: TID251 - this is the Clock

    def precise(self) -> float:
        """Unix seconds, with their fraction."""
        return time.time()  # noqa: TID251 - as above

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Seconds of the event loop."""
        await asyncio.sleep(seconds)


class RandomIds:
    """The Ids port on the machine's randomness; ids cannot be guessed.

    Randomness is fetched for many ids at once: a system call for each would cost more than the id.
    """

    def __init__(self) -> None:
        self._letters: Iterator[str] = iter(())

    def _body(self) -> str:
        """ID_LENGTH characters of 62, each as likely as any other: 143 bits."""
        body = "".join(islice(self._letters, ID_LENGTH))
        if len(body) < ID_LENGTH:
            self._letters = iter(_letters(os.urandom(RANDOM_POOL_BYTES)))
            body = "".join(islice(self._letters, ID_LENGTH))
        return body

    def assistant(self) -> AssistantId:
        """asst_…."""
        return AssistantId(PREFIXES["assistant"] + self._body())

    def thread(self) -> ThreadId:
        """thread_…."""
        return ThreadId(PREFIXES["thread"] + self._body())

    def message(self) -> MessageId:
        """msg_…."""
        return MessageId(PREFIXES["message"] + self._body())

    def run(self) -> RunId:
        """run_…."""
        return RunId(PREFIXES["run"] + self._body())

    def step(self) -> RunStepId:
        """step_…."""
        return RunStepId(PREFIXES["run step"] + self._body())

    def call(self) -> CallId:
        """call_…."""
        return CallId(PREFIXES["tool call"] + self._body())

    def file(self) -> FileId:
        """file-…."""
        return FileId(PREFIXES["file"] + self._body())

    def vector_store(self) -> VectorStoreId:
        """vs_…."""
        return VectorStoreId(PREFIXES["vector store"] + self._body())

    def file_batch(self) -> FileBatchId:
        """vsfb_…."""
        return FileBatchId(PREFIXES["file batch"] + self._body())

    def upload(self) -> UploadId:
        """upload_…."""
        return UploadId(PREFIXES["upload"] + self._body())

    def upload_part(self) -> UploadPartId:
        """part_…."""
        return UploadPartId(PREFIXES["upload part"] + self._body())
