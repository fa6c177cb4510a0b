"""Every statement of the SQL stores, written once with SQLAlchemy Core; an adapter compiles them for its dialect."""

from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from sqlalchemy import (
    ClauseElement,
    Column,
    ColumnElement,
    Integer,
    Select,
    Table,
    and_,
    bindparam,
    case,
    delete,
    func,
    insert,
    literal,
    or_,
    select,
    tuple_,
    union_all,
    update,
)

from threadmill.adapters.sql.tables import (
    ACTIVE,
    ASSISTANTS,
    FILE_BATCHES,
    FILE_LINKS,
    FILES,
    MESSAGES,
    RUN_EVENTS,
    RUN_STEPS,
    RUNS,
    SHARED_PARTS,
    THREADS,
    UPLOAD_PARTS,
    UPLOADS,
    VECTOR_STORE_FILES,
    VECTOR_STORES,
)
from threadmill.domain.assistant import Assistant
from threadmill.domain.file import File
from threadmill.domain.ids import FileId
from threadmill.domain.message import Message
from threadmill.domain.page import Order
from threadmill.domain.run import Run
from threadmill.domain.run_step import RunStep
from threadmill.domain.thread import Thread
from threadmill.domain.upload import Upload, UploadPart
from threadmill.domain.vector_store import (
    FileBatch,
    FileCounts,
    VectorStore,
    VectorStoreFile,
    VectorStoreFileStatus,
)
from threadmill.engine.ports.store import Row

Rows: TypeAlias = "Select[*tuple[Any, ...]]"

TABLE_OF: dict[type[Row], Table] = {
    Assistant: ASSISTANTS,
    Thread: THREADS,
    Message: MESSAGES,
    Run: RUNS,
    RunStep: RUN_STEPS,
    File: FILES,
    VectorStore: VECTOR_STORES,
    VectorStoreFile: VECTOR_STORE_FILES,
    FileBatch: FILE_BATCHES,
    Upload: UPLOADS,
    UploadPart: UPLOAD_PARTS,
}

_COUNTED: dict[Table, list[Column[Any]]] = {
    table: [
        column
        for column in table.columns
        if column.name in {"usage_bytes", "last_active_at"} or "files_" in column.name
    ]
    for table in (VECTOR_STORES, FILE_BATCHES)
}
"""What AddCounts changes, in the order of the fields of FileCounts."""

_INSTRUCTIONS, _TOOLS = SHARED_PARTS.alias("instructions"), SHARED_PARTS.alias("tools")

_EXECUTING = or_(RUNS.c.status == "in_progress", RUNS.c.status == "cancelling")


@dataclass(frozen=True, slots=True)
class PageShape:
    """Which list is asked for: `filters` are columns; their values come as parameters of the same names."""

    kind: type[Row]
    filters: tuple[str, ...]
    order: Order
    after: bool
    before: bool


def columns_of(row: Row) -> dict[str, Any]:
    """The columns a row is found and guarded by; `data` is the caller's to add."""
    columns: dict[str, Any] = {
        "id": row.id,
        "project": row.project,
        "created_at": row.created_at,
        "version": row.version,
    }
    if isinstance(row, Message | Run | RunStep):
        columns["thread_id"] = row.thread_id
    if isinstance(row, Message | RunStep):
        columns["run_id"] = row.run_id
    if isinstance(row, Run):
        columns |= {
            "status": row.status.value,
            "expires_at": row.expires_at,
            "lease_until": row.lease_until,
            "epoch": row.epoch,
            "model": row.model,
        }
    if isinstance(row, File | Upload | UploadPart):
        columns |= _columns_of_bytes(row)
    if isinstance(row, VectorStoreFile | FileBatch):
        columns["vector_store_id"] = row.vector_store_id
    if isinstance(row, VectorStoreFile):
        names = {"file_id": row.file_id, "batch_id": row.batch_id, "edition": row.edition}
        columns |= {**names, "status": row.status.value}
    if isinstance(row, VectorStore | FileBatch):
        columns |= counts_of(row.file_counts)
    if isinstance(row, VectorStore):
        columns |= {"usage_bytes": row.usage_bytes, "last_active_at": row.last_active_at}
    return columns


def _columns_of_bytes(row: File | Upload | UploadPart) -> dict[str, Any]:
    match row:
        case Upload():
            return {"status": row.status.value, "due_at": row.due_at}
        case UploadPart():
            return {"upload_id": row.upload_id, "blob": row.blob.key}
        case File():
            thread_id = None if row.origin is None else row.origin.thread_id
            columns = {"purpose": row.purpose.value, "blob": row.blob.key, "expires_at": row.expires_at}
            return columns | {"thread_id": thread_id}


def counts_of(counts: FileCounts) -> dict[str, int]:
    """The columns that count files."""
    return {f"files_{status}": getattr(counts, status) for status in VectorStoreFileStatus}


def with_columns(row: Row, found: tuple[Any, ...]) -> Row:
    """A row as `data` says it, with the columns that change without it: see `_data`."""
    match row:
        case Run():
            return replace(row, lease_until=found[0], epoch=found[1])
        case VectorStore():
            usage_bytes, last_active_at = found[4:]
            return replace(
                row, file_counts=FileCounts(*found[:4]), usage_bytes=usage_bytes, last_active_at=last_active_at
            )
        case FileBatch():
            return replace(row, file_counts=FileCounts(*found))
        case _:
            return row


def files_of(row: Row) -> tuple[FileId, ...] | None:
    """The files an assistant or a thread names; None for rows that name none by their kind."""
    return row.tool_resources.file_ids or () if isinstance(row, Assistant | Thread) else None


def insert_into(table: Table) -> ClauseElement:
    """One row; parameters are the column names."""
    names = [column.name for column in table.columns if column.name != "ord"]
    return insert(table).values({name: bindparam(name) for name in names})


def add_events(count: int) -> ClauseElement:
    """`count` events; parameters are run_id, seq, name, data of each in turn."""
    names = [column.name for column in RUN_EVENTS.columns]
    return insert(RUN_EVENTS).values([{name: bindparam(f"{name}_{row}") for name in names} for row in range(count)])


def update_of(table: Table) -> ClauseElement:
    """One row if it still has version `expected`."""
    fixed = {"ord", "id", "project", "created_at", "thread_id", "run_id"}
    counted = {column.name for column in _COUNTED.get(table, ())}
    names = [column.name for column in table.columns if column.name not in fixed | counted]
    matches = and_(table.c.id == bindparam("row_id"), table.c.version == bindparam("expected"))
    return update(table).where(matches).values({name: bindparam(name) for name in names})


def delete_from(table: Table) -> ClauseElement:
    """One row by id, of version `expected` if that is not null; what belongs to it goes by foreign key."""
    expected = bindparam("expected", type_=Integer)
    return delete(table).where(table.c.id == bindparam("row_id"), or_(expected.is_(None), table.c.version == expected))


def add_counts(kind: type[VectorStore] | type[FileBatch]) -> ClauseElement:
    """Add the parameters named like the columns to them; a store was last used at `last_active_at` or later."""
    table = TABLE_OF[kind]
    values: dict[str, Any] = {column.name: column + bindparam(column.name) for column in _COUNTED[table]}
    if table is VECTOR_STORES:
        held: ColumnElement[int] = table.c.last_active_at
        used: ColumnElement[int] = bindparam("last_active_at")
        values["last_active_at"] = case((held < used, used), else_=held)
    return update(table).where(table.c.id == bindparam("row_id")).values(values)


def row_by_id(kind: type[Row]) -> Rows:
    """`data` of one row of the project, its columns that change without it, and its id."""
    table = TABLE_OF[kind]
    matches = and_(table.c.id == bindparam("row_id"), table.c.project == bindparam("project"))
    return _data(table).where(matches)


def _data(table: Table) -> Rows:
    """`data`, the columns that change alone (lease and epoch by heartbeats, counts and bytes by files), the id.

    A run's data has its shared parts before the id.
    """
    if table is RUNS:
        parts = RUNS.outerjoin(_INSTRUCTIONS, RUNS.c.instructions_key == _INSTRUCTIONS.c.key)
        parts = parts.outerjoin(_TOOLS, RUNS.c.tools_key == _TOOLS.c.key)
        columns = (RUNS.c.lease_until, RUNS.c.epoch, _INSTRUCTIONS.c.data, _TOOLS.c.data, RUNS.c.id)
        return select(RUNS.c.data, *columns).select_from(parts)
    return select(table.c.data, *_COUNTED.get(table, ()), table.c.id)


def cursor_position(kind: type[Row], filters: tuple[str, ...]) -> Rows:
    """(created_at, ord) of a cursor's row within the scope."""
    table = TABLE_OF[kind]
    matches = [table.c.id == bindparam("row_id"), *_scope(table, filters)]
    return select(table.c.created_at, table.c.ord).where(*matches)


def _scope(table: Table, filters: tuple[str, ...]) -> list[Any]:
    mine = [table.c.project == bindparam("project")]
    return mine + [table.c[name] == bindparam(name) for name in filters if name in table.c]


def is_reversed(shape: PageShape) -> bool:
    """Whether `page` gives this shape's rows in reverse."""
    return shape.before and not shape.after


def page(shape: PageShape) -> Rows:
    """One page and one row more, in order; cursors are (created_at, ord) pairs."""
    table = TABLE_OF[shape.kind]
    place = tuple_(table.c.created_at, table.c.ord)
    up = shape.order is Order.ASC
    # Only `before`: the rows right in front of it are wanted, so they are read backwards; the caller turns them round.
    read_up = up != is_reversed(shape)
    matches = _scope(table, shape.filters)
    if shape.after:
        cursor = tuple_(bindparam("after_at"), bindparam("after_ord"))
        matches.append(place > cursor if up else place < cursor)
    if shape.before:
        cursor = tuple_(bindparam("before_at"), bindparam("before_ord"))
        matches.append(place < cursor if up else place > cursor)
    order = (table.c.created_at, table.c.ord) if read_up else (table.c.created_at.desc(), table.c.ord.desc())
    return _data(table).where(*matches).order_by(*order).limit(bindparam("rows"))


HISTORY = (
    select(MESSAGES.c.data, MESSAGES.c.id)
    .where(MESSAGES.c.thread_id == bindparam("thread_id"))
    .order_by(MESSAGES.c.created_at.desc(), MESSAGES.c.ord.desc())
    .limit(bindparam("rows"))
)
STEPS = (
    select(RUN_STEPS.c.data)
    .where(RUN_STEPS.c.run_id == bindparam("run_id"))
    .order_by(RUN_STEPS.c.created_at, RUN_STEPS.c.ord)
)
RUN_OF_EVENTS = _data(RUNS).where(RUNS.c.id == bindparam("run_id"))
ACTIVE_RUN = _data(RUNS).where(RUNS.c.thread_id == bindparam("thread_id"), ACTIVE)
EVENTS = (
    select(RUN_EVENTS.c.seq, RUN_EVENTS.c.name, RUN_EVENTS.c.data)
    .where(RUN_EVENTS.c.run_id == bindparam("run_id"), RUN_EVENTS.c.seq > bindparam("after"))
    .order_by(RUN_EVENTS.c.seq)
)
EXPIRED_FILES = (
    select(FILES.c.id, FILES.c.data)
    .where(FILES.c.expires_at <= bindparam("at"))
    .order_by(FILES.c.expires_at)
    .limit(bindparam("rows"))
)
FILES_MADE_IN = (
    select(FILES.c.id, FILES.c.data)
    .where(FILES.c.thread_id == bindparam("thread_id"), FILES.c.project == bindparam("project"))
    .order_by(FILES.c.ord)
)
DUE_UPLOADS = (
    select(UPLOADS.c.id, UPLOADS.c.data)
    .where(UPLOADS.c.due_at <= bindparam("at"))
    .order_by(UPLOADS.c.due_at)
    .limit(bindparam("rows"))
)
BLOB_USED = union_all(
    select(FILES.c.id).where(FILES.c.blob == bindparam("key")),
    select(UPLOAD_PARTS.c.id).where(UPLOAD_PARTS.c.blob == bindparam("key")),
)
DELETE_LINKS = delete(FILE_LINKS).where(FILE_LINKS.c.object_id == bindparam("object_id"))
INSERT_LINK = insert_into(FILE_LINKS)
REFERENCING = {
    kind: select(TABLE_OF[kind].c.id, TABLE_OF[kind].c.data)
    .join(FILE_LINKS, FILE_LINKS.c.object_id == TABLE_OF[kind].c.id)
    .where(FILE_LINKS.c.file_id == bindparam("file_id"), TABLE_OF[kind].c.project == bindparam("project"))
    for kind in (Assistant, Thread)
}
LAST_SEQ = select(func.max(RUN_EVENTS.c.seq)).where(RUN_EVENTS.c.run_id == bindparam("run_id"))
EPOCH = select(RUNS.c.epoch).where(RUNS.c.id == bindparam("row_id"))
THREAD_EXISTS = select(THREADS.c.id).where(THREADS.c.id == bindparam("row_id"))
_STORE_TOTAL = sum((c for c in _COUNTED[VECTOR_STORES] if "files_" in c.name), start=literal(0))
COUNT_STORE_FILES = select(_STORE_TOTAL).where(VECTOR_STORES.c.id == bindparam("row_id"))
COUNT_MESSAGES = select(func.count()).select_from(MESSAGES).where(MESSAGES.c.thread_id == bindparam("thread_id"))


def waiting(besides: Rows) -> Rows:
    """Queued runs but those of the models `besides` selects."""
    return (
        _data(RUNS)
        .where(ACTIVE, RUNS.c.status == "queued", func.coalesce(RUNS.c.model, "").not_in(besides))
        .order_by(RUNS.c.ord)
        .limit(bindparam("rows"))
    )


LAPSED = (
    _data(RUNS)
    .where(
        ACTIVE,
        _EXECUTING,
        or_(RUNS.c.lease_until.is_(None), RUNS.c.lease_until < bindparam("at")),
    )
    .order_by(RUNS.c.ord)
    .limit(bindparam("rows"))
)
OVERDUE = _data(RUNS).where(ACTIVE, RUNS.c.expires_at <= bindparam("at")).order_by(RUNS.c.ord).limit(bindparam("rows"))
EXTEND_LEASE = (
    update(RUNS)
    .where(
        RUNS.c.id == bindparam("row_id"),
        RUNS.c.epoch == bindparam("held"),
        _EXECUTING,
    )
    .values(lease_until=bindparam("until"))
)
RUN_LOCK = select(RUNS.c.epoch).where(RUNS.c.id == bindparam("row_id")).with_for_update()
"""The locks are for PostgreSQL, where writers are many. The next statement sees what whoever held it has committed."""

THREAD_LOCK = THREAD_EXISTS.with_for_update()
STORE_LOCK = COUNT_STORE_FILES.with_for_update()
