"""Picks a back end, tests it, and gives a sandbox: one that works, or one that says why there is none."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from threadmill.adapters.sandbox.bwrap.backend import BwrapBackend
from threadmill.adapters.sandbox.bwrap.command import Places, find_bwrap
from threadmill.adapters.sandbox.bwrap.selftest import self_test
from threadmill.adapters.sandbox.environment import is_built
from threadmill.adapters.sandbox.off import OffSandbox
from threadmill.adapters.sandbox.remote.backend import RemoteBackend
from threadmill.adapters.sandbox.session import Backend, SessionLimits
from threadmill.adapters.sandbox.sessions import Lifetimes, ThreadSessions
from threadmill.engine.ports.clock import Clock
from threadmill.engine.ports.sandbox import Sandbox, SandboxRefused

INSIDE = Path(__file__).parent / "inside"


@dataclass(frozen=True, slots=True)
class SandboxSettings:
    """`backend`: `bwrap`, `off`, or the http(s) URL of a Jupyter Kernel Gateway, with its token if it wants one.

    `environment` is the sandbox's Python (`threadmill sandbox install`); `hidden` are paths of the server's own that the
    self-test tries to read.
    """

    backend: str
    environment: Path
    token: str | None = None
    limits: SessionLimits = field(default_factory=SessionLimits)
    lifetimes: Lifetimes = field(default_factory=Lifetimes)
    hidden: Sequence[Path] = ()


async def open_sandbox(settings: SandboxSettings, clock: Clock) -> Sandbox:
    """Never raises: a sandbox that cannot be is an OffSandbox whose `refusal` says why and what to do."""
    if settings.backend == "off":
        return OffSandbox("code_interpreter is switched off on this server.")
    try:
        backend = await _backend(settings)
    except SandboxRefused as refused:
        return OffSandbox(f"code_interpreter is not available on this server: {refused.message}")
    return ThreadSessions(backend, settings.lifetimes, clock)


async def _backend(settings: SandboxSettings) -> Backend:
    if settings.backend.startswith(("http://", "https://")):
        return await RemoteBackend.connect(settings.backend, settings.token, settings.limits)
    if settings.backend != "bwrap":
        raise SandboxRefused(f"'{settings.backend}' is not a sandbox; it must be bwrap, off or a URL.")
    backend = bwrap_backend(settings)
    try:
        tested = await self_test(backend, settings.limits, settings.hidden)
        if tested.problem:
            raise SandboxRefused(tested.problem)
    except BaseException:
        await backend.close()
        raise
    return backend


def bwrap_backend(settings: SandboxSettings) -> BwrapBackend:
    """The back end, untested. Raises SandboxRefused when a part is missing, saying how to get it."""
    bwrap = find_bwrap()
    if bwrap is None:
        raise SandboxRefused("bubblewrap is not installed (apt-get install bubblewrap).")
    if not is_built(settings.environment):
        raise SandboxRefused(f"there is no Python in {settings.environment} (threadmill sandbox install).")
    return BwrapBackend(bwrap, Places(settings.environment, INSIDE), settings.limits)
