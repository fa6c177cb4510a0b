"""The only place that picks adapters: settings -> ports -> engine -> app. Everything else receives."""

import asyncio
import ipaddress
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from fastapi import FastAPI

from threadmill.adapters.memory.event_log import LocalEventLog
from threadmill.adapters.models.openai_compatible import OpenAICompatible
from threadmill.adapters.models.rehearsal import Rehearsal
from threadmill.adapters.models.router import Models
from threadmill.adapters.models.tokens import BpeTokens
from threadmill.adapters.sqlite.store import SqliteStore
from threadmill.adapters.system.clock import RandomIds, SystemClock
from threadmill.adapters.system.metrics import PrometheusMetrics
from threadmill.api.app import build_app
from threadmill.api.auth import Keys
from threadmill.api.exchange import Edge
from threadmill.engine.engine import Engine
from threadmill.engine.ports.bundle import EngineSettings, Ports
from threadmill.engine.worker import Worker
from threadmill.settings import Settings, SettingsError

LOG = logging.getLogger("threadmill")


@dataclass(frozen=True, slots=True)
class Assembly:
    """A running engine with its app."""

    app: FastAPI
    engine: Engine

    async def drain(self, seconds: float) -> None:
        """Let runs end for `seconds`, give back the rest, and let every open stream end."""
        await self.engine.worker.drain(seconds)
        self.engine.ports.log.close_all()


def check(settings: Settings) -> None:
    """Refuse what would be unsafe or cannot work. Raises SettingsError with the next step in it."""
    server = settings.server
    if not settings.api_keys and not _is_loopback(server.host):
        raise SettingsError(
            f"No API keys are set, so the server listens on loopback only, not on {server.host}. "
            "Set THREADMILL_API_KEYS=<key> to open it to the network, or use --host 127.0.0.1."
        )
    url = server.database_url
    if url and not url.startswith("sqlite:"):
        raise SettingsError("THREADMILL_DATABASE_URL: PostgreSQL is not supported yet; leave it unset to use SQLite.")
    if server.role != "all":
        raise SettingsError("--role api|worker needs PostgreSQL, which is not supported yet; use --role all.")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@asynccontextmanager
async def assemble(settings: Settings) -> AsyncIterator[Assembly]:
    """Open the store, rescue orphaned runs, tend the worker; close all in order at the end."""
    check(settings)
    store = await SqliteStore.open(_database_path(settings))
    models = Models(settings)
    metrics = PrometheusMetrics()
    ports = Ports(
        store, store, LocalEventLog(store), models, SystemClock(), RandomIds(), BpeTokens(), metrics
    )
    engine = _engine(ports, settings)
    tending = asyncio.create_task(engine.tend())
    try:
        await engine.rescue_orphans()
        edge = Edge(engine, settings.config.limits.max_body_bytes)
        yield Assembly(build_app(edge, Keys(settings.api_keys), metrics.text), engine)
    finally:
        tending.cancel()
        await asyncio.gather(tending, return_exceptions=True)
        await engine.worker.drain(0)
        await models.close()
        await store.close()
