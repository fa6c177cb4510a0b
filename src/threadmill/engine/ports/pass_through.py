"""The app's other calls: what this server does not serve itself goes to the upstream that does, and back, byte by byte."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol

from threadmill.domain.ids import ProjectId


@dataclass(frozen=True, slots=True)
class PassedBody:
    """A body: `head` is in memory, `rest` comes behind it. `model_at`: where in `head` the form's model stands; None for
    JSON, which is whole in `head`. `length` in bytes of both, if the caller says it.
    """

    head: bytes
    rest: AsyncIterator[bytes] | None = None
    model_at: tuple[int, int] | None = None
    length: int | None = None


@dataclass(frozen=True, slots=True)
class PassedCall:
    """One call. `path` is what stands behind `/v1/`; `model` is what the body names; `headers` are those that may go out."""

    method: str
    path: str
    project: ProjectId
    model: str | None = None
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: PassedBody | None = None


class PassedAnswer(Protocol):
    """An answer, its headers read."""

    status: int
    headers: Sequence[tuple[str, str]]

    def chunks(self) -> AsyncGenerator[bytes]:
        """The body as it comes. Breaks off with Unavailable where the upstream does."""
        ...


class PassThrough(Protocol):
    """All upstreams behind one door, as the Model port is for runs."""

    def open(self, call: PassedCall) -> AbstractAsyncContextManager[PassedAnswer]:
        """The answer, for as long as the context is open; leaving it closes the upstream's connection.

        Raises NotFound where no upstream serves the call, InvalidRequest for what cannot be asked, Unavailable where the
        upstream cannot be reached.
        """
        ...
