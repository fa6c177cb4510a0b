"""The Store and RunQueue ports in plain dictionaries: the reference the SQL stores are compared with. Keeps nothing."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from threadmill.adapters.memory.chunks import MemoryChunks
from threadmill.adapters.memory.retention import MemoryRetention
from threadmill.adapters.sql.codec import encode
from threadmill.domain.assistant import Assistant
from threadmill.domain.error import InvalidRequest, VersionConflict, thread_full
from threadmill.domain.file import File
from threadmill.domain.ids import FileId, Instant, ProjectId, RunId, ThreadId
from threadmill.domain.message import Message
from threadmill.domain.page import Order, Page, PageQuery, take_page
from threadmill.domain.run import ACTIVE, Run, RunStatus
from threadmill.domain.run_step import RunStep
from threadmill.domain.thread import Thread
from threadmill.domain.upload import Upload, UploadPart
from threadmill.domain.vector_store import FileBatch, VectorStore, VectorStoreFile, check_store_room
from threadmill.engine.ports.store import (
    AddCounts,
    Delete,
    EpochGuard,
    Insert,
    R,
    Row,
    Scope,
    Sealed,
    StoredEvent,
    StoreHasRoom,
    ThreadCapacity,
    ThreadIsFree,
    Update,
    Write,
    WriteSet,
)

_OWNERS = ("thread_id", "vector_store_id", "upload_id")
"""Fields that name the object a row goes with."""

_EXECUTING = frozenset({RunStatus.IN_PROGRESS, RunStatus.CANCELLING})


@dataclass(slots=True)
class _State:
    """All rows in order of insertion, and the logs."""

    rows: dict[str, Row] = field(default_factory=dict[str, Row])
    logs: dict[RunId, list[StoredEvent]] = field(default_factory=dict[RunId, list[StoredEvent]])

    def copy(self) -> "_State":
        return _State(dict(self.rows), {run_id: list(log) for run_id, log in self.logs.items()})


class MemoryStore:
    """See the ports `Store`, `RunQueue` and `FileQueries`."""

    def __init__(self) -> None:
        self._state: _State = _State()
        self.chunks: MemoryChunks = MemoryChunks(self._store_files)
        self.retention: MemoryRetention = MemoryRetention(self.rows_now, self.logs_now)

    def rows_now(self) -> dict[str, Row]:
        """All rows, by id, as they are at the moment."""
        return self._state.rows

    def logs_now(self) -> dict[RunId, list[StoredEvent]]:
        """All logs likewise."""
        return self._state.logs

    def _store_files(self) -> Sequence[VectorStoreFile]:
        return [row for row in self._state.rows.values() if isinstance(row, VectorStoreFile)]

    async def apply(self, write_set: WriteSet) -> int:
        """See the port. The transaction works on a copy, which becomes the truth when all of it held."""
        state = self._state.copy()
        for guard in write_set.guards:
            if isinstance(guard, Sealed):
                self._check_sealed(guard)
            else:
                _check(state, guard)
        for write in write_set.writes:
            _write(state, write)
        first = 0
        if write_set.events and write_set.run_id is not None:
            log = state.logs.setdefault(write_set.run_id, [])
            first = len(log) + 1
            log.extend(StoredEvent(first + index, event) for index, event in enumerate(write_set.events))
        self._state = state
        return first

    def _check_sealed(self, guard: Sealed) -> None:
        if not self.chunks.is_sealed(guard.edition):
            raise VersionConflict(f"the chunks of {guard.edition} are gone")

    async def get(self, kind: type[R], project: ProjectId, object_id: str) -> R | None:
        """See the port."""
        row = self._state.rows.get(object_id)
        return row if isinstance(row, kind) and row.project == project else None

    async def page(self, kind: type[R], scope: Scope, query: PageQuery) -> Page[R]:
        """See the port."""
        rows = [row for row in self._state.rows.values() if isinstance(row, kind) and _in(row, scope)]
        rows.sort(key=lambda row: row.created_at)
        if query.order is Order.DESC:
            rows.reverse()
        begin = _place(rows, query.after, "after") + 1 if query.after else 0
        end = _place(rows, query.before, "before") if query.before else len(rows)
        window = rows[begin:end]
        nearest_first = reversed(window) if query.before and not query.after else window
        items, has_more = take_page(nearest_first, query.limit, lambda row: len(encode(row)))
        return Page(items[::-1] if query.before and not query.after else items, has_more)

    async def history(self, thread_id: ThreadId, newest: int | None = None) -> Sequence[Message]:
        """See the port."""
        rows = [row for row in self._state.rows.values() if isinstance(row, Message) and row.thread_id == thread_id]
        rows.sort(key=lambda row: row.created_at)
        return rows if newest is None else rows[len(rows) - newest :] if newest < len(rows) else rows

    async def steps(self, run_id: RunId) -> Sequence[RunStep]:
        """See the port."""
        rows = [row for row in self._state.rows.values() if isinstance(row, RunStep) and row.run_id == run_id]
        return sorted(rows, key=lambda row: row.created_at)

    async def active_run(self, thread_id: ThreadId) -> Run | None:
        """See the port."""
        return _active(self._state, thread_id)

    async def find_many(self, project: ProjectId, file_ids: Sequence[FileId]) -> Sequence[File]:
        """See the port."""
        found = [self._state.rows.get(file_id) for file_id in file_ids]
        return [row for row in found if isinstance(row, File) and row.project == project]

    async def created_in_thread(self, project: ProjectId, thread_id: ThreadId) -> Sequence[File]:
        """See the port."""
        files = [row for row in self._state.rows.values() if isinstance(row, File) and row.project == project]
        return [row for row in files if row.origin is not None and row.origin.thread_id == thread_id]

    async def referencing_objects(self, project: ProjectId, file_id: FileId) -> Sequence[Assistant | Thread]:
        """See the port."""
        rows = [row for row in self._state.rows.values() if isinstance(row, Assistant | Thread)]
        named = [row for row in rows if row.project == project and file_id in (row.tool_resources.file_ids or ())]
        return sorted(named, key=lambda row: isinstance(row, Thread))

    async def expired(self, at: Instant, limit: int) -> Sequence[File]:
        """See the port."""
        files = [row for row in self._state.rows.values() if isinstance(row, File)]
        due = [(row.expires_at, row) for row in files if row.expires_at is not None and row.expires_at <= at]
        return [row for _, row in sorted(due, key=lambda pair: pair[0])][:limit]

    async def due_uploads(self, at: Instant, limit: int) -> Sequence[Upload]:
        """See the port."""
        due = [row for row in self._state.rows.values() if isinstance(row, Upload) and row.due_at <= at]
        return sorted(due, key=lambda row: row.due_at)[:limit]

    async def blobs_in_use(self, keys: Sequence[str]) -> frozenset[str]:
        """See the port."""
        used = {row.blob.key for row in self._state.rows.values() if isinstance(row, File | UploadPart)}
        return frozenset(keys) & used

    async def events(self, run_id: RunId, after: int = 0) -> Sequence[StoredEvent]:
        """See the port."""
        return self._state.logs.get(run_id, [])[after:]

    def _runs(self, statuses: frozenset[RunStatus]) -> list[Run]:
        return [row for row in self._state.rows.values() if isinstance(row, Run) and row.status in statuses]

    async def queued(self, limit: int, besides: Collection[str] = ()) -> Sequence[Run]:
        """See the port."""
        return [run for run in self._runs(frozenset({RunStatus.QUEUED})) if run.model not in besides][:limit]

    async def lease_expired(self, at: Instant, limit: int) -> Sequence[Run]:
        """See the port."""
        runs = self._runs(_EXECUTING)
        return [run for run in runs if run.lease_until is None or run.lease_until < at][:limit]

    async def overdue(self, at: Instant, limit: int) -> Sequence[Run]:
        """See the port."""
        return [run for run in self._runs(ACTIVE) if run.expires_at is not None and run.expires_at <= at][:limit]

    async def extend_leases(self, claims: Mapping[RunId, int], until: Instant) -> frozenset[RunId]:
        """See the port."""
        return frozenset(run_id for run_id, epoch in claims.items() if not self._extend(run_id, epoch, until))

    def _extend(self, run_id: RunId, epoch: int, until: Instant) -> bool:
        run = self._state.rows.get(run_id)
        if not isinstance(run, Run) or run.epoch != epoch or run.status not in _EXECUTING:
            return False
        self._state.rows[run_id] = replace(run, lease_until=until)
        return True


def _in(row: Row, scope: Scope) -> bool:
    wanted = scope.column_values().items()
    return row.project == scope.project and all(getattr(row, name, value) == value for name, value in wanted)


def _place(rows: Sequence[Row], cursor: str, param: str) -> int:
    for index, row in enumerate(rows):
        if row.id == cursor:
            return index
    raise InvalidRequest(f"No object found with id '{cursor}' in this list.", param=param, code="invalid_value")


def _active(state: _State, thread_id: ThreadId) -> Run | None:
    for row in state.rows.values():
        if isinstance(row, Run) and row.thread_id == thread_id and row.status in ACTIVE:
            return row
    return None


def _check(state: _State, guard: ThreadIsFree | ThreadCapacity | StoreHasRoom | EpochGuard) -> None:
    match guard:
        case EpochGuard(run_id, epoch):
            run = state.rows.get(run_id)
            if not isinstance(run, Run) or run.epoch != epoch:
                raise VersionConflict(f"the claim of {run_id} is not epoch {epoch} any more")
        case ThreadIsFree(thread_id):
            if not isinstance(state.rows.get(thread_id), Thread):
                raise VersionConflict(f"{thread_id} is gone")
            if _active(state, thread_id) is not None:
                raise VersionConflict(f"{thread_id} has an active run")
        case ThreadCapacity(thread_id, new, most):
            held = [row for row in state.rows.values() if isinstance(row, Message) and row.thread_id == thread_id]
            if len(held) + new > most:
                raise thread_full(thread_id, most)
        case StoreHasRoom(store_id, new, most):
            store = state.rows.get(store_id)
            if not isinstance(store, VectorStore):
                raise VersionConflict(f"{store_id} is gone")
            check_store_room(store.file_counts.total + new, most)


def _write(state: _State, write: Write) -> None:
    match write:
        case Insert(row):
            owners = [getattr(row, name, None) for name in _OWNERS]
            owner: str | None = next((one for one in owners if one is not None), None)
            if row.id in state.rows or (owner is not None and owner not in state.rows):
                raise VersionConflict(f"{row.id} cannot be inserted")
            if isinstance(row, Run) and row.status in ACTIVE and _active(state, row.thread_id) is not None:
                raise VersionConflict(f"{row.thread_id} has an active run")
            state.rows[row.id] = row
        case Update(row, expected):
            held = state.rows.get(row.id)
            if held is None or held.version != expected:
                raise VersionConflict(f"{row.id} is not version {expected} any more")
            state.rows[row.id] = _keeping_counts(row, held)
        case Delete(kind, object_id, expected):
            gone = state.rows.get(object_id)
            if not isinstance(gone, kind) or expected not in (None, gone.version):
                raise VersionConflict(f"{object_id} is gone or not version {expected} any more")
            _remove(state, object_id)
        case AddCounts():
            _count(state, write)


def _count(state: _State, write: AddCounts) -> None:
    match state.rows.get(write.id):
        case VectorStore() as store:
            state.rows[write.id] = store.counted(write.change, write.used_at)
        case FileBatch() as batch:
            state.rows[write.id] = batch.counted(write.change)
        case _:
            pass


def _keeping_counts(row: Row, held: Row) -> Row:
    """The row's new value with what only AddCounts changes."""
    if isinstance(row, VectorStore) and isinstance(held, VectorStore):
        counts, usage_bytes = held.file_counts, held.usage_bytes
        return replace(row, file_counts=counts, usage_bytes=usage_bytes, last_active_at=held.last_active_at)
    return row


def _remove(state: _State, object_id: str) -> None:
    """The row and all that belongs to it."""
    names = ("id", *_OWNERS)
    gone = [row for row in state.rows.values() if object_id in [getattr(row, name, None) for name in names]]
    for row in gone:
        del state.rows[row.id]
        state.logs.pop(RunId(row.id), None)
