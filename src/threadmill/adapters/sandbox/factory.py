"""From settings to a sandbox: one that works, or one that says why there is none. Nothing waits for its self-test."""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from threadmill.adapters.sandbox.backend import Backend, LiveSession, SessionLimits
from threadmill.adapters.sandbox.bwrap.backend import BwrapBackend
from threadmill.adapters.sandbox.bwrap.command import SandboxPaths, find_bwrap
from threadmill.adapters.sandbox.bwrap.self_test import self_test
from threadmill.adapters.sandbox.disabled import DisabledSandbox
from threadmill.adapters.sandbox.environment import default_environment, is_built
from threadmill.adapters.sandbox.remote.backend import RemoteBackend
from threadmill.adapters.sandbox.session_pool import SessionPool
from threadmill.adapters.sandbox.session_slot import PoolLimits
from threadmill.engine.ports.clock import Clock
from threadmill.engine.ports.sandbox import Sandbox, SandboxUnavailable
from threadmill.engine.ports.troubles import Troubles
from threadmill.settings import Settings

INSIDE = Path(__file__).parent / "inside"
LOG = logging.getLogger("threadmill")
_REFUSED = "code_interpreter is not available on this server: {}"


@dataclass(frozen=True, slots=True)
class SandboxSettings:
    """`backend`: `bwrap`, `off`, or the http(s) URL of a Jupyter Kernel Gateway, with its token if it wants one.

    `environment` is the sandbox's Python (`threadmill sandbox install`); `hidden` are paths of the server's own that the
    self-test tries to read.
    """

    backend: str
    environment: Path
    token: str | None = field(default=None, repr=False)
    limits: SessionLimits = field(default_factory=SessionLimits)
    pool: PoolLimits = field(default_factory=PoolLimits)
    hidden: Sequence[Path] = ()

    @classmethod
    def of(cls, settings: Settings) -> "SandboxSettings":
        """The part of the server's settings that concerns the sandbox."""
        given, data_dir = settings.config.sandbox, settings.server.data_dir
        limits = SessionLimits(
            wall=given.call_seconds,
            memory=given.memory_mb << 20,
            processes=given.processes,
            disk=given.disk_mb << 20,
        )
        pool = PoolLimits(
            given.idle_seconds,
            given.session_seconds,
            given.max_sessions,
            given.output_mb << 20,
            given.session_output_mb << 20,
            machine_memory() // 2 if given.total_memory_mb is None else given.total_memory_mb << 20,
        )
        environment = given.python or default_environment(data_dir)
        return cls(given.backend, environment, given.token, limits, pool, hidden=(data_dir,))


def machine_memory() -> int:
    """Bytes of memory that this process may use at most: the machine's, or its container's."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for bound in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        with suppress(OSError, ValueError):  # "max": there is none
            return min(machine, int(Path(bound).read_text()))
    return machine


class StartingBackend:
    """A back end that is being made and tested while the server already serves; no session begins before it is done."""

    def __init__(self, make: Callable[[], Awaitable[Backend]], *, tries_again: bool) -> None:
        self._make, self._tries_again = make, tries_again
        self._refusal: str | None = None
        self._making = asyncio.create_task(self._made())

    @property
    def unavailable_reason(self) -> str | None:
        """See the protocol."""
        return self._refusal

    async def _made(self) -> Backend | SandboxUnavailable:
        try:
            return await self._make()
        except SandboxUnavailable as refused:
            message = _REFUSED.format(refused.message)
        except Exception as error:  # noqa: BLE001 - a sandbox of which we know nothing is not offered
            message = _REFUSED.format(f"{type(error).__name__}: {error}")
        LOG.warning("%s", message)
        self._refusal = None if self._tries_again else message
        return SandboxUnavailable(message)

    async def open(self) -> LiveSession:
        """See the protocol."""
        if self._tries_again and self._making.done() and isinstance(self._making.result(), SandboxUnavailable):
            self._making = asyncio.create_task(self._made())
        found = await asyncio.shield(self._making)
        if isinstance(found, SandboxUnavailable):
            raise SandboxUnavailable(found.message)
        return await found.open()

    async def close(self) -> None:
        """See the protocol."""
        self._making.cancel()
        (found,) = await asyncio.gather(self._making, return_exceptions=True)
        if not isinstance(found, BaseException):
            await found.close()


async def open_sandbox(settings: SandboxSettings, clock: Clock, troubles: Troubles) -> Sandbox:
    """At once, and never raises: a sandbox that cannot be is one whose `unavailable_reason` says why and what to do.

    The bubblewrap is started and tested meanwhile (about two seconds); who asks for a session waits for that. `close` it.
    """
    if settings.backend == "off":
        return DisabledSandbox("code_interpreter is switched off on this server.")
    try:
        backend = _starting_backend(settings)
    except SandboxUnavailable as refused:
        message = _REFUSED.format(refused.message)
        LOG.warning("%s", message)
        return DisabledSandbox(message)
    sessions = SessionPool(backend, settings.pool, clock)
    sessions.start_reaper(troubles)
    return sessions


def _starting_backend(settings: SandboxSettings) -> StartingBackend:
    if settings.backend.startswith(("http://", "https://")):
        url, token, limits = settings.backend, settings.token, settings.limits
        return StartingBackend(lambda: RemoteBackend.connect(url, token, limits), tries_again=True)
    if settings.backend != "bwrap":
        raise SandboxUnavailable(f"'{settings.backend}' is not a sandbox; it must be bwrap, off or a URL.")
    backend = bwrap_backend(settings)
    return StartingBackend(lambda: tested(backend, settings), tries_again=False)


async def tested(backend: BwrapBackend, settings: SandboxSettings) -> BwrapBackend:
    """The same back end once it has passed the escape table. Closes it and raises SandboxUnavailable if it has not."""
    try:
        found = await self_test(backend, settings.limits, settings.hidden)
        if found.problem:
            raise SandboxUnavailable(found.problem)
    except BaseException:
        await backend.close()
        raise
    LOG.info("code_interpreter: ready; the sandbox blocked all of %d attempts to get out", found.attempts)
    return backend


def bwrap_backend(settings: SandboxSettings) -> BwrapBackend:
    """The back end, untested. Raises SandboxUnavailable when a part is missing, saying how to get it."""
    bwrap = find_bwrap()
    if bwrap is None:
        raise SandboxUnavailable("bubblewrap is not installed (apt-get install bubblewrap).")
    if not is_built(settings.environment):
        raise SandboxUnavailable(f"there is no Python in {settings.environment} (threadmill sandbox install).")
    return BwrapBackend(bwrap, SandboxPaths(settings.environment, INSIDE), settings.limits)
