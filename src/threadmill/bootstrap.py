"""The only place that picks adapters: settings -> ports -> engine -> app. Everything else receives."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.types import ASGIApp

from threadmill.adapters.blobs.factory import open_blobs
from threadmill.adapters.embeddings.local import LocalEmbedder
from threadmill.adapters.event_log.local import LocalEventLog
from threadmill.adapters.extract.subprocess_extractor import ReadingLimits, SubprocessExtractor
from threadmill.adapters.models.factory import open_models, open_reranker, open_upstream_embedder
from threadmill.adapters.models.pass_through import UpstreamPassThrough
from threadmill.adapters.postgres.url import SCHEMES, describe
from threadmill.adapters.sandbox.factory import SandboxSettings, open_sandbox
from threadmill.adapters.search.local_index import LocalSearchIndex
from threadmill.adapters.sqlite.store import SqliteStore
from threadmill.adapters.system.clock import RandomIds, SystemClock
from threadmill.adapters.system.metrics import PrometheusMetrics
from threadmill.adapters.system.object_locks import ProcessObjectLocks
from threadmill.adapters.system.troubles import LoggedTroubles
from threadmill.adapters.tokens.counter import BpeTokenCounter
from threadmill.adapters.tokens.offsets import BpeTokenOffsets
from threadmill.adapters.tokens.vocabularies import Vocabularies
from threadmill.api.app import Access, build_app
from threadmill.api.auth import ApiKeys
from threadmill.api.body_room import BodyRoom
from threadmill.api.browser import BrowserPolicy, is_loopback
from threadmill.api.http import ApiContext
from threadmill.domain.cache_budget import CacheBudget
from threadmill.domain.error import Unavailable
from threadmill.engine.documents.ingester import Ingester
from threadmill.engine.engine import Engine
from threadmill.engine.ports.blobs import Blobs
from threadmill.engine.ports.bundle import EngineSettings, Ports, SearchPorts
from threadmill.engine.ports.embedder import Embedder, EmbeddingFailed
from threadmill.engine.ports.metrics import Metrics
from threadmill.engine.ports.troubles import Troubles
from threadmill.engine.running.worker import Worker
from threadmill.settings import ConfigFile, Settings, SettingsError

if TYPE_CHECKING:  # imported where it is used
    from threadmill.adapters.postgres.store import PostgresStore

    AnyStore = SqliteStore | PostgresStore

LOG = logging.getLogger("threadmill")


@dataclass(frozen=True, slots=True)
class Application:
    """A running engine with its app."""

    app: ASGIApp
    engine: Engine

    async def drain(self, seconds: float) -> None:
        """Let runs end for `seconds`, give back the rest, and let every open stream end."""
        await self.engine.worker.drain(seconds)
        self.engine.ports.log.close_all()


def check_settings(settings: Settings) -> None:
    """Refuse what would be unsafe or cannot work. Raises SettingsError with the next step in it."""
    server = settings.server
    if not settings.api_keys and not is_loopback(server.host):
        raise SettingsError(
            f"No API keys are set, so the server listens on loopback only, not on {server.host}. "
            "Set THREADMILL_API_KEYS=<key> to open it to the network, or use --host 127.0.0.1."
        )
    is_postgres(settings)
    if server.role != "all":
        raise SettingsError(
            "--role api|worker needs several servers on one database, which is not supported yet; use --role all."
        )


def is_postgres(settings: Settings) -> bool:
    """Whether the database is PostgreSQL. Raises SettingsError for one of a third kind."""
    url = settings.server.database_url
    if url and not url.startswith(("sqlite:///", *SCHEMES)):
        text = "THREADMILL_DATABASE_URL must begin with postgresql:// or sqlite:///."
        raise SettingsError(text, "Leave it unset to keep the database in the data directory.")
    return bool(url) and url.startswith(SCHEMES)


def database_path(settings: Settings) -> Path:
    """The SQLite file. Raises SettingsError for a database of another kind."""
    url = settings.server.database_url
    if is_postgres(settings):
        text = "The database is PostgreSQL (THREADMILL_DATABASE_URL), and this command is for a SQLite file."
        raise SettingsError(text, "Use pg_dump and pg_restore for the database; files are in DATA_DIR/blobs.")
    return Path(url.removeprefix("sqlite:///")) if url else settings.server.data_dir / "threadmill.db"


def database_name(settings: Settings) -> str:
    """Where the database is, for people."""
    url = settings.server.database_url
    return describe(url) if url and is_postgres(settings) else str(database_path(settings))


def open_access(settings: Settings) -> Access:
    """Who may ask. Without keys no page of another origin may, unless it is named (ADR-0021)."""
    given, has_keys = settings.server.access, bool(settings.api_keys)
    origins = (("*",) if has_keys else ()) if given.cors_origins is None else given.cors_origins
    browsers = BrowserPolicy(has_keys, frozenset(origins), frozenset(given.allowed_hosts))
    return Access(ApiKeys(settings.api_keys), browsers, given.metrics_open)


@asynccontextmanager
async def open_application(
    settings: Settings, vocabularies: Vocabularies | None = None
) -> AsyncGenerator[Application, None]:
    """Open the ports, rescue orphaned runs, tend worker and ingester; close all in order at the end.

    `vocabularies` may be shared with other servers of this process, and is then left open. Raises SettingsError,
    Unavailable.
    """
    metrics = PrometheusMetrics()
    async with open_ports(settings, metrics, vocabularies) as ports:
        engine = _engine(ports, settings.config)
        await _recover(engine, settings)
        log_search_mode(ports.search.embedder)  # not before: a start that fails says only why
        tending = asyncio.create_task(engine.run_background_tasks())
        try:
            limits = settings.config.limits
            bodies = BodyRoom(max(limits.bodies_mb * 1024 * 1024, 2 * limits.max_body_bytes))
            context = ApiContext(engine, limits.max_body_bytes, limits.stream_comment_seconds, bodies)
            with context.lag.measured():
                yield Application(build_app(context, open_access(settings), metrics.text), engine)
        finally:
            tending.cancel()
            await asyncio.gather(tending, return_exceptions=True)
            await engine.worker.drain(0)


@dataclass(frozen=True, slots=True)
class _Shared:
    """What several adapters have in common."""

    metrics: Metrics
    troubles: Troubles
    budget: CacheBudget
    vocabularies: Vocabularies


@asynccontextmanager
async def open_ports(
    settings: Settings, metrics: PrometheusMetrics, vocabularies: Vocabularies | None = None
) -> AsyncGenerator[Ports, None]:
    """Every adapter, opened, and closed at the end; but not `vocabularies` given. Raises SettingsError, Unavailable."""
    check_settings(settings)
    budget = CacheBudget(settings.config.limits.cache_mb * 1024 * 1024)
    metrics.watch_caches(budget.sizes)
    shared = _Shared(metrics, LoggedTroubles(), budget, vocabularies or Vocabularies())
    patience = settings.config.limits.database_wait_seconds
    store = await _open_store(settings, shared, patience)
    try:  # whatever goes wrong below: an open store's thread would keep the process alive
        async with (
            open_blobs(settings, store.files.blobs_in_use, shared.troubles) as blobs,
            _open_adapters(store, blobs, settings, shared) as ports,
        ):
            yield ports
    finally:
        await store.close()
        if vocabularies is None:
            await asyncio.to_thread(shared.vocabularies.close)


async def _open_store(settings: Settings, shared: _Shared, patience: float) -> "AnyStore":
    url = settings.server.database_url
    if url is None or not is_postgres(settings):
        return await SqliteStore.open(database_path(settings), shared.troubles, shared.budget, patience)
    from threadmill.adapters.postgres.store import PostgresStore  # noqa: PLC0415 - a tenth of a second of every start

    return await PostgresStore.open(url, shared.troubles, patience)


@asynccontextmanager
async def _open_adapters(
    store: "AnyStore", blobs: Blobs, settings: Settings, shared: _Shared
) -> AsyncGenerator[Ports, None]:
    tokens = BpeTokenCounter(shared.vocabularies)
    models = open_models(settings.config, tokens, shared.metrics)
    passing = UpstreamPassThrough(models, shared.metrics)
    clock, ids = SystemClock(), RandomIds()
    sandbox = await open_sandbox(SandboxSettings.of(settings), clock, shared.troubles)
    search = open_search(store, settings, shared.vocabularies)
    checking = asyncio.create_task(models.check_upstreams())
    try:
        yield Ports(
            store=store,
            queue=store,
            log=LocalEventLog(store, budget=shared.budget),
            model=models,
            clock=clock,
            ids=ids,
            tokens=tokens,
            metrics=shared.metrics,
            blobs=blobs,
            files=store.files,
            sandbox=sandbox,
            search=search,
            locks=ProcessObjectLocks(),
            troubles=shared.troubles,
            pass_through=passing,
            retention=store.retention,
        )
    finally:
        checking.cancel()
        await asyncio.gather(checking, return_exceptions=True)
        await sandbox.close()
        await search.aclose()
        await models.aclose()


async def _recover(engine: Engine, settings: Settings) -> None:
    try:
        await engine.requeue_orphans()
    except Unavailable as error:
        advice = f"Look at the disk, and restore {database_name(settings)} from a backup if it is damaged."
        raise SettingsError(str(error), advice) from error


def open_search(store: "AnyStore", settings: Settings, vocabularies: Vocabularies) -> SearchPorts:
    """What reads, embeds and finds documents. Raises SettingsError."""
    index = LocalSearchIndex(settings.server.data_dir / "search", store.chunks)
    config = settings.config
    return SearchPorts(
        store.chunks,
        store.chunks,
        index,
        open_extractor(config),
        BpeTokenOffsets(vocabularies),
        open_embedder(config),
        open_reranker(config),
    )


def open_embedder(config: ConfigFile) -> Embedder | None:
    """The embedder the configuration names. Raises SettingsError."""
    embedder: Embedder | None = open_upstream_embedder(config)
    if config.search.local_model is not None:
        try:
            embedder = local = LocalEmbedder(config.search.local_model)
        except EmbeddingFailed as error:
            raise SettingsError(str(error)) from None
        try:
            local.check()
        except EmbeddingFailed as error:
            # Told, not refused: a model of another language may be sound and know none of the sentences.
            LOG.error("Searches by meaning will find the wrong things: %s", error)  # noqa: TRY400 - the message says it all
    return embedder


def log_search_mode(embedder: Embedder | None) -> None:
    """A line in the log of what search goes by."""
    if embedder is None:
        LOG.warning("file_search goes by words only: no embedding model is set (THREADMILL_EMBEDDING_MODEL).")
    else:
        LOG.info("file_search goes by words and by meaning: %s", embedder.identity)


def open_extractor(config: ConfigFile) -> SubprocessExtractor:
    """The reader of files, within the configuration's limits."""
    search = config.search
    memory = search.read_memory_mb * 1024 * 1024
    limits = ReadingLimits(search.read_seconds, search.read_seconds, memory)
    return SubprocessExtractor(limits, spreadsheets=search.spreadsheets)


def _engine(ports: Ports, config: ConfigFile) -> Engine:
    limits, kept = config.limits, config.retention
    settings = EngineSettings(
        run_ttl=limits.run_ttl_seconds,
        lease=limits.lease_seconds,
        max_turns=limits.max_turns,
        max_rescues=limits.max_rescues,
        max_runs=limits.max_runs,
        upstream_share=limits.upstream_share,
        store_wait_seconds=limits.store_wait_seconds,
        max_messages=limits.max_thread_messages,
        max_answer=limits.max_answer_characters,
        max_calls=limits.max_answer_calls,
        prompt_pictures=limits.prompt_pictures_mb * 1024 * 1024,
        keep_events_days=kept.events_days,
        keep_threads_days=kept.threads_days,
        delete_thread_files=kept.files,
    )

    def report(text: str, error: BaseException | None) -> None:
        LOG.error("%s", text, exc_info=error)

    ingester = Ingester(ports, settings.max_ingestions, settings.max_large_ingestions, report)
    return Engine(ports, settings, Worker(ports, settings, report), ingester, report)
