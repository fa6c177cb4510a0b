"""An engine on a stage: fake clock, counted ids, a model that says what the test hands it, a worker that can die."""

import asyncio
import re
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.support.stage_sandbox import StageSandbox
from tests.support.waiting import Condition, until
from threadmill.adapters.blobs.disk import DiskBlobs
from threadmill.adapters.event_log.local import LocalEventLog
from threadmill.adapters.search.local_index import LocalSearchIndex
from threadmill.adapters.system.metrics import PrometheusMetrics
from threadmill.adapters.system.object_locks import ProcessObjectLocks
from threadmill.domain.assistant import Assistant
from threadmill.domain.file import FilePurpose, NewFile
from threadmill.domain.ids import (
    AssistantId,
    CallId,
    FileBatchId,
    FileId,
    Instant,
    MessageId,
    ProjectId,
    RunId,
    RunStepId,
    ThreadId,
    UploadId,
    UploadPartId,
    VectorStoreId,
)
from threadmill.domain.message import MessageRole, NewMessage, TextPart
from threadmill.domain.patch import NewAssistant, NewThread
from threadmill.domain.reading_notes import ReadingNotes
from threadmill.domain.supported_file import SUPPORTED_EXTENSIONS
from threadmill.domain.thread import Thread
from threadmill.domain.tool import FunctionTool
from threadmill.domain.vector_store import FileErrorCode
from threadmill.engine.documents.ingester import Ingester
from threadmill.engine.engine import Engine
from threadmill.engine.objects import assistants, files, threads
from threadmill.engine.ports.bundle import EngineSettings, Ports, SearchPorts
from threadmill.engine.ports.model import ModelInfo, ModelRequest, Piece
from threadmill.engine.ports.text_extractor import ExtractedText, ExtractionFailed
from threadmill.engine.running.worker import Worker
from threadmill.engine.storage.file_creation import open_blob_writer

PROJECT = ProjectId("p")


class WorkerDied(BaseException):
    """kill -9, as far as a test can play it: nothing of the worker runs after it."""


class FakeClock:
    """Time moves when the test says so."""

    def __init__(self) -> None:
        self.at: Instant = 1_000
        self.ticks: float = 0.0
        self.sleepers: list[tuple[float, asyncio.Future[None]]] = []

    def now(self) -> Instant:
        return self.at

    def precise(self) -> float:
        return float(self.at)

    def monotonic(self) -> float:
        return self.ticks

    async def sleep(self, seconds: float) -> None:
        sleeper = (self.ticks + seconds, asyncio.get_running_loop().create_future())
        self.sleepers.append(sleeper)
        try:
            await sleeper[1]
        finally:
            self.sleepers.remove(sleeper)

    def wake_next(self) -> float:
        """Move on to when the first sleeper wakes; the seconds that took."""
        before = self.ticks
        self.ticks, first = min(self.sleepers, key=lambda sleeper: sleeper[0])
        self.at += int(self.ticks) - int(before)
        first.set_result(None)
        return self.ticks - before


class CountedIds:
    """asst_1, thread_2, …: readable, and the same for the same test."""

    def __init__(self) -> None:
        self._last = 0

    def _next(self, prefix: str) -> str:
        self._last += 1
        return f"{prefix}_{self._last}"

    def assistant(self) -> AssistantId:
        return AssistantId(self._next("asst"))

    def thread(self) -> ThreadId:
        return ThreadId(self._next("thread"))

    def message(self) -> MessageId:
        return MessageId(self._next("msg"))

    def run(self) -> RunId:
        return RunId(self._next("run"))

    def step(self) -> RunStepId:
        return RunStepId(self._next("step"))

    def call(self) -> CallId:
        return CallId(self._next("call"))

    def file(self) -> FileId:
        return FileId(self._next("file"))

    def vector_store(self) -> VectorStoreId:
        return VectorStoreId(self._next("vs"))

    def file_batch(self) -> FileBatchId:
        return FileBatchId(self._next("vsfb"))

    def upload(self) -> UploadId:
        return UploadId(self._next("upload"))

    def upload_part(self) -> UploadPartId:
        return UploadPartId(self._next("part"))


class WordTokens:
    """A token is a word."""

    def count(self, text: str, model: str) -> int:
        del model
        return len(text.split())

    def count_each(self, texts: Sequence[str], model: str) -> Sequence[int]:
        return [self.count(text, model) for text in texts]


@dataclass
class Turn:
    """One open question to the model. Put pieces, an exception, or None for the end."""

    request: ModelRequest
    pieces: "asyncio.Queue[Sequence[Piece] | BaseException | None]" = field(default_factory=asyncio.Queue)
    waits: bool = False

    async def next(self) -> Sequence[Piece] | BaseException | None:
        self.waits = True
        try:
            return await self.pieces.get()
        finally:
            self.waits = False

    def say(self, *pieces: Piece) -> None:
        self.pieces.put_nowait(pieces)

    def end(self, *pieces: Piece) -> None:
        if pieces:
            self.say(*pieces)
        self.pieces.put_nowait(None)

    def fail(self, error: BaseException) -> None:
        self.pieces.put_nowait(error)

    @property
    def is_hungry(self) -> bool:
        """It waits for the test's next word."""
        return self.waits and self.pieces.empty()


class StageModel:
    """The Model port in the test's hands."""

    def __init__(self) -> None:
        self.turns: list[Turn] = []
        self.window: int | None = None

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Sequence[Piece], None]:
        turn = Turn(request)
        self.turns.append(turn)
        while (batch := await turn.next()) is not None:
            if isinstance(batch, BaseException):
                raise batch
            yield batch

    async def list(self) -> Sequence[ModelInfo]:
        return []

    def get_info(self, model: str) -> ModelInfo:
        return ModelInfo(model, 0, "stage", self.window, model.partition("/")[0])

    async def ready(self) -> None:
        pass


class Mortal:
    """A store whose worker dies at a chosen call: before it, or right after it took effect."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.calls_left: int | None = None
        self.after = False

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)

        async def call(*args: Any, **kwargs: Any) -> Any:
            if self.calls_left is None:
                return await method(*args, **kwargs)
            self.calls_left -= 1
            if self.calls_left < 0:
                if self.after and self.calls_left == -1:
                    await method(*args, **kwargs)
                raise WorkerDied
            return await method(*args, **kwargs)

        return call


class WordRuler:
    """A token ends where a word does."""

    def ends(self, text: str) -> Sequence[int]:
        ends = [match.end() for match in re.finditer(r"\S+\s*", text)]
        return [*ends[:-1], len(text)] if ends else []


class StageExtractor:
    """Files are UTF-8 text; one that says `broken` is broken. `reads` counts; `gate`, if set, is waited for."""

    def __init__(self) -> None:
        self.extensions = SUPPORTED_EXTENSIONS
        self.reads: list[str] = []
        self.gate: asyncio.Event | None = None
        self.trouble: Exception | None = None

    async def extract(self, content: AsyncIterator[bytes], filename: str) -> ExtractedText:
        self.reads.append(filename)
        if self.gate is not None:
            await self.gate.wait()
        if self.trouble is not None:
            raise self.trouble
        text = b"".join([piece async for piece in content]).decode()
        if text == "broken":
            raise ExtractionFailed(FileErrorCode.INVALID_FILE, "The file is broken.")
        return ExtractedText(text, ReadingNotes("text", "utf-8", replaced=text.count("\ufffd")))

    async def aclose(self) -> None:
        """Nothing is open."""


class StageTroubles:
    """What begins is a surprise, once while it lasts."""

    def __init__(self, note: Callable[[str, BaseException | None], None]) -> None:
        self._note = note
        self._current: dict[str, str] = {}

    def begin(self, what: str, why: str, *, error: BaseException | None = None, is_over: Any = None) -> None:
        del is_over
        if self._current.get(what) != why:
            self._note(f"{what} failed", error)
        self._current[what] = why

    def end(self, what: str) -> None:
        self._current.pop(what, None)

    def current(self) -> dict[str, str]:
        return self._current


class Stage:
    """One store, one client side, and workers that come and go."""

    def __init__(self, store: Any, **settings: Any) -> None:
        self.store = store
        self.clock = FakeClock()
        self.directory = Path(tempfile.mkdtemp(prefix="threadmill-stage-"))
        self.ids = CountedIds()
        self.model = StageModel()
        self.sandbox = StageSandbox()
        self.extractor = StageExtractor()
        index = LocalSearchIndex(Path(tempfile.mkdtemp(prefix="threadmill-stage-")), store.chunks)
        self.search = SearchPorts(store.chunks, store.chunks, index, self.extractor, WordRuler())
        self.settings = replace(EngineSettings(max_runs=8, upstream_share=1.0), **settings)
        self.surprises: list[str] = []
        self.troubles = StageTroubles(self._note)
        self.blobs = DiskBlobs(self.directory, self.troubles)
        self.hire()

    def hire(self) -> None:
        """A new process: memory is empty, the store is what it was."""
        self.mortal = Mortal(self.store)
        self.locks = ProcessObjectLocks()
        log, metrics = LocalEventLog(self.store), PrometheusMetrics()
        store: Any = self.mortal
        self.ports = Ports(
            store,
            store,
            log,
            self.model,
            self.clock,
            self.ids,
            WordTokens(),
            metrics,
            self.blobs,
            getattr(self.store, "files", self.store),
            self.sandbox,
            self.search,
            self.locks,
            self.troubles,
            retention=self.store.retention,
        )
        self.worker = Worker(self.ports, self.settings, self._note)
        self.ingester = Ingester(
            self.ports, self.settings.max_ingestions, self.settings.max_large_ingestions, self._note
        )
        self.engine = Engine(self.ports, self.settings, self.worker, self.ingester, self._note)

    def _note(self, text: str, error: BaseException | None) -> None:
        self.surprises.append(f"{text}: {error!r}")

    async def assistant(self, *functions: str, **fields: Any) -> Assistant:
        tools = tuple(FunctionTool(name) for name in functions)
        return await assistants.create(self.engine, PROJECT, NewAssistant(model="m", tools=tools, **fields))

    async def thread(self, *said: str) -> Thread:
        messages = tuple(NewMessage(MessageRole.USER, (TextPart(text),)) for text in said)
        return await threads.create(self.engine, PROJECT, NewThread(messages))

    async def file(self, name: str, content: bytes = b"x", purpose: FilePurpose = FilePurpose.ASSISTANTS) -> FileId:
        """An uploaded file's id."""
        async with open_blob_writer(self.ports) as writer:
            await writer.write(content)
            return (await files.create(self.engine, PROJECT, NewFile(name, purpose), writer)).id

    async def lose_bytes(self, file_id: FileId) -> None:
        """What a disk may do to a file's content behind our back."""
        (file,) = await self.ports.files.find_many(PROJECT, [file_id])
        (self.directory / file.blob.key[:2] / file.blob.key).unlink()

    async def settle(self) -> None:
        """Let the worker go on until each of its runs waits for the model, sleeps, or is done. Reads pass the time."""
        quiet = 0
        while quiet < 10:  # a busy machine takes longer to hand a write over to its thread
            await self.store.queued(1)
            await turn_of_the_loop()
            tasks = [task for task in asyncio.all_tasks() if task.get_name().startswith("run_")]
            hungry = sum(turn.is_hungry for turn in self.model.turns)
            hungry += sum(not sleeper.done() for _, sleeper in self.clock.sleepers)
            quiet = quiet + 1 if len(tasks) <= hungry else 0

    async def until(self, what: str, holds: Condition) -> None:
        """Settle until `holds` is true. Fails after four minutes, with what was waited for."""
        await until(what, holds, self.settle)


async def turn_of_the_loop() -> None:
    """Let every task that is ready take its step."""
    future = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(future.set_result, None)
    await future
