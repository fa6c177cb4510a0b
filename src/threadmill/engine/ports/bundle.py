"""All ports in one value, built by `bootstrap` and handed to the engine."""

from dataclasses import dataclass

from threadmill.engine.ports.blobs import Blobs
from threadmill.engine.ports.clock import Clock, Ids
from threadmill.engine.ports.event_log import EventLog
from threadmill.engine.ports.file_index import FileIndex
from threadmill.engine.ports.metrics import Metrics
from threadmill.engine.ports.model import Model
from threadmill.engine.ports.run_queue import RunQueue
from threadmill.engine.ports.sandbox import Sandbox
from threadmill.engine.ports.store import Store
from threadmill.engine.ports.tokens import Tokens


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
    files: FileIndex
    sandbox: Sandbox


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """Limits of the engine: seconds, counts of turns, runs executing at once."""

    run_ttl: int = 600
    lease: int = 30
    max_turns: int = 64
    max_runs: int = 64
    persist_every: float = 1.0
    sweep_every: float = 1.0
