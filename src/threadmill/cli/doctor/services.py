"""What a server needs besides its data: models, an embedder, a place for files, a sandbox, limits of the system."""

import asyncio
import resource
import time
from collections.abc import AsyncIterator

from threadmill.adapters.blobs.factory import probe_store
from threadmill.adapters.models.factory import open_models
from threadmill.adapters.models.router import UpstreamRoute
from threadmill.adapters.sandbox.bwrap.self_test import self_test
from threadmill.adapters.sandbox.factory import SandboxSettings, bwrap_backend, machine_memory
from threadmill.adapters.sandbox.remote.backend import RemoteBackend
from threadmill.adapters.system.metrics import PrometheusMetrics
from threadmill.adapters.tokens.counter import BpeTokenCounter
from threadmill.bootstrap import open_embedder
from threadmill.cli.doctor.finding import Finding, megabytes
from threadmill.engine.ports.embedder import EmbeddingFailed
from threadmill.engine.ports.model import ModelError
from threadmill.engine.ports.sandbox import SandboxUnavailable
from threadmill.settings import Settings, SettingsError

SECONDS = 30.0
"""For each service to answer."""

SPARE_DESCRIPTORS = 256
"""Of a server without a connection: its database, its processes, its log."""


async def check_services(settings: Settings) -> AsyncIterator[Finding]:
    """Lines as they are found."""
    async for finding in _check_upstreams(settings):
        yield finding
    yield await _check_embedder(settings)
    if settings.config.blobs.store != "disk":
        yield await _check_store(settings)
    yield await _check_sandbox(SandboxSettings.of(settings))


async def _check_upstreams(settings: Settings) -> AsyncIterator[Finding]:
    router = open_models(settings.config, BpeTokenCounter(), PrometheusMetrics())
    try:
        for route in router.routes:
            yield await _check_upstream(route)
    finally:
        await router.aclose()
    if not router.routes:
        yield Finding("upstream", "none is set: only the built-in `rehearsal` answers")


async def _check_upstream(route: UpstreamRoute) -> Finding:
    name, began = route.upstream.name, time.monotonic()
    advice = "look at its URL, its key and the network; threadmill models test says more"
    try:
        async with asyncio.timeout(SECONDS):
            models = await route.upstream.list()
    except ModelError as error:
        return Finding("upstream", f"{name}: {error.message}", advice)
    except TimeoutError:
        return Finding("upstream", f"{name} does not answer within {SECONDS:g} seconds", advice)
    return Finding("upstream", f"{name} answers in {time.monotonic() - began:.2f} s and lists {len(models)} models")


async def _check_embedder(settings: Settings) -> Finding:
    try:
        embedder = open_embedder(settings.config)
    except SettingsError as error:
        return Finding("embedder", str(error), error.advice or "mend the settings of search")
    if embedder is None:
        return Finding("embedder", "none is set: file_search goes by words")
    try:
        async with asyncio.timeout(SECONDS):
            (vector,) = await embedder.embed(["Does it answer?"])
    except (EmbeddingFailed, TimeoutError) as error:
        said = str(error) or f"no answer within {SECONDS:g} seconds"
        return Finding("embedder", f"{embedder.identity}: {said}", "files are read and searched by it: bring it back")
    finally:
        await embedder.aclose()
    return Finding("embedder", f"{embedder.identity}, {len(vector) // 4} numbers a text")


async def _check_store(settings: Settings) -> Finding:
    place = settings.config.blobs.store
    try:
        async with asyncio.timeout(SECONDS):
            await probe_store(settings)
    except SettingsError as error:
        return Finding("files", str(error), error.advice or "look at [blobs] in threadmill.toml")
    except TimeoutError:
        return Finding("files", f"{place} does not answer within {SECONDS:g} seconds", "look at the network")
    return Finding("files", f"{place} can be listed, written, read and deleted from")


async def _check_sandbox(settings: SandboxSettings) -> Finding:
    if settings.backend == "off":
        return Finding("sandbox", "switched off: there is no code_interpreter")
    try:
        if settings.backend != "bwrap":
            gateway = await RemoteBackend.connect(settings.backend, settings.token, settings.limits)
            await gateway.close()
            return Finding("sandbox", f"{settings.backend} answers")
        return await _attack(settings)
    except SandboxUnavailable as error:
        return Finding("sandbox", error.message, "do so, or set THREADMILL_SANDBOX=off")


async def _attack(settings: SandboxSettings) -> Finding:
    """As every start does."""
    backend = bwrap_backend(settings)
    try:
        found = await self_test(backend, settings.limits, settings.hidden)
    finally:
        await backend.close()
    if found.problem:
        return Finding("sandbox", found.problem, "the server does not offer code_interpreter here")
    return Finding("sandbox", f"blocked all of {found.attempts} attempts to get out")


def check_limits(settings: Settings) -> list[Finding]:
    """What the system grants against what the settings ask for."""
    limits = settings.config.limits
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = limits.max_connections + SPARE_DESCRIPTORS  # the server takes fewer at once when each needs two
    memory, caches = machine_memory(), (limits.cache_mb + limits.bodies_mb) << 20
    descriptors = "no bound of open files" if hard == resource.RLIM_INFINITY else f"{hard:,} open files"
    found = [Finding("limits", f"{limits.max_connections:,} connections, {descriptors}, {megabytes(memory)} of memory")]
    if hard != resource.RLIM_INFINITY and hard < wanted:
        advice = f"raise it to {wanted:,} (LimitNOFILE= of systemd, ulimit -Hn), or lower max_connections in [limits]"
        found = [Finding("limits", f"{limits.max_connections:,} connections need more than {descriptors}", advice)]
    if caches > memory // 2:
        advice = "lower cache_mb and bodies_mb in [limits]"
        found.append(
            Finding("limits", f"caches and bodies may take {megabytes(caches)} of {megabytes(memory)}", advice)
        )
    return found
