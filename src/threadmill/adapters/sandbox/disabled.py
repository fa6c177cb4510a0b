"""The sandbox that is not there: every call says why."""

from collections.abc import AsyncGenerator, AsyncIterator

from threadmill.domain.ids import RunId, ThreadId
from threadmill.engine.ports.sandbox import Output, SandboxUnavailable, Started


class DisabledSandbox:
    """See the port; `unavailable_reason` is what a run that wants the tool is told."""

    def __init__(self, why: str) -> None:
        self._why = why

    @property
    def unavailable_reason(self) -> str:
        """Why the tool is not offered."""
        return self._why

    async def start(self, thread: ThreadId, run: RunId | None = None) -> Started:
        """Raises SandboxUnavailable."""
        del thread, run
        raise SandboxUnavailable(self._why)

    async def execute(self, thread: ThreadId, code: str) -> AsyncGenerator[Output, None]:
        """Raises SandboxUnavailable."""
        del thread, code
        raise SandboxUnavailable(self._why)
        yield  # pragma: no cover - makes this a generator

    async def put(self, thread: ThreadId, path: str, content: AsyncIterator[bytes]) -> None:
        """Raises SandboxUnavailable."""
        del thread, path, content
        raise SandboxUnavailable(self._why)

    async def get(self, thread: ThreadId, path: str) -> AsyncGenerator[bytes, None]:
        """Raises SandboxUnavailable."""
        del thread, path
        raise SandboxUnavailable(self._why)
        yield  # pragma: no cover - makes this a generator

    def release(self, thread: ThreadId, run: RunId, seconds: float = 0) -> None:
        """Nothing is kept."""

    async def close(self, thread: ThreadId | None = None) -> None:
        """Nothing to end."""
