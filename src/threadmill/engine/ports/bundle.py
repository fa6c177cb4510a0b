"""All ports in one value, built by `bootstrap` and handed to the engine."""

from dataclasses import dataclass

from threadmill.engine.ports.blobs import Blobs
from threadmill.engine.ports.chunks import Chunks, StoreFiles
from threadmill.engine.ports.clock import Clock, Ids
from threadmill.engine.ports.embedder import Embedder, Reranker
from threadmill.engine.ports.event_log import EventLog
from threadmill.engine.ports.file_index import FileQueries
from threadmill.engine.ports.metrics import Metrics
from threadmill.engine.ports.model import Model
from threadmill.engine.ports.object_locks import ObjectLocks
from threadmill.engine.ports.pass_through import PassThrough
from threadmill.engine.ports.retention import Retention
from threadmill.engine.ports.run_queue import RunQueue
from threadmill.engine.ports.sandbox import Sandbox
from threadmill.engine.ports.search_index import SearchIndex
from threadmill.engine.ports.store import Store
from threadmill.engine.ports.text_extractor import TextExtractor
from threadmill.engine.ports.token_offsets import TokenOffsets
from threadmill.engine.ports.tokens import Tokens
from threadmill.engine.ports.troubles import Troubles


@dataclass(frozen=True, slots=True)
class SearchPorts:
    """What reading, embedding and finding documents takes. Without an embedder search is by words only."""

    chunks: Chunks
    stores: StoreFiles
    index: SearchIndex
    extractor: TextExtractor
    token_offsets: TokenOffsets
    embedder: Embedder | None = None
    reranker: Reranker | None = None

    async def aclose(self) -> None:
        """Let go of files and connections."""
        await self.index.aclose()
        await self.extractor.aclose()
        for one in (self.embedder, self.reranker):
            if one is not None:
                await one.aclose()


@dataclass(frozen=True, slots=True)
class Ports:
    """The world, as the engine sees it."""

    store: Store
    queue: RunQueue
    log: EventLog
    model: Model
    clock: Clock
    ids: Ids
    tokens: Tokens
    metrics: Metrics
    blobs: Blobs
    files: FileQueries
    sandbox: Sandbox
    search: SearchPorts
    locks: ObjectLocks
    troubles: Troubles
    pass_through: PassThrough | None = None
    retention: Retention | None = None


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """Limits of the engine: seconds, counts of turns, runs executing and files (large ones of them) being read at once,
    messages of a thread, characters and tool calls of a model's answer, bytes of a prompt's pictures.

    `upstream_share`: of the places that other upstreams' runs leave, how much one upstream's may take.
    `keep_events_days`, `keep_threads_days`: None: for ever. `delete_thread_files`: what a thread made goes with it.
    `store_wait_seconds`: how long a run waits for the files of its thread's vector store.
    """

    run_ttl: int = 600
    lease: int = 30
    max_turns: int = 64
    max_rescues: int = 3
    max_runs: int = 64
    upstream_share: float = 0.5
    max_messages: int = 100_000
    max_answer: int = 4 * 1024 * 1024
    max_calls: int = 128
    prompt_pictures: int = 50 * 1024 * 1024
    persist_interval: float = 1.0
    sweep_interval: float = 1.0
    max_ingestions: int = 48
    max_large_ingestions: int = 6
    store_wait_seconds: float = 60.0
    keep_events_days: int | None = None
    keep_threads_days: int | None = None
    delete_thread_files: bool = False
    retention_interval: float = 60 * 60.0
