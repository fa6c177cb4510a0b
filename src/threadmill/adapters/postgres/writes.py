"""One write set in one PostgreSQL transaction: guards, rows, events.

Writers are many here, so a guard locks what it looked at until the commit: the run, whose log then has no gap; the
thread, which no run or message can join meanwhile; the vector store; the edition.
"""

from functools import cache
from typing import Any

from sqlalchemy.dialects.postgresql import insert

from threadmill.adapters.postgres.database import Transaction
from threadmill.adapters.postgres.statement import Statement
from threadmill.adapters.sql import chunk_statements, part_statements
from threadmill.adapters.sql import statements as s
from threadmill.adapters.sql.event_codec import event_rows
from threadmill.adapters.sql.rows import split_row
from threadmill.adapters.sql.tables import FILE_LINKS, RUN_EVENTS, SHARED_PARTS
from threadmill.domain.error import VersionConflict, thread_full
from threadmill.domain.ids import RunId
from threadmill.domain.thread import Thread
from threadmill.domain.vector_store import FileBatch, VectorStore, check_store_room
from threadmill.engine.ports.store import (
    AddCounts,
    Delete,
    EpochGuard,
    Guard,
    Insert,
    Row,
    Sealed,
    StoreHasRoom,
    ThreadCapacity,
    ThreadIsFree,
    Update,
    Write,
    WriteSet,
)


@cache
def _insert(kind: type[Row]) -> Statement:
    return Statement(s.insert_into(s.TABLE_OF[kind]))


@cache
def _update(kind: type[Row]) -> Statement:
    return Statement(s.update_of(s.TABLE_OF[kind]))


@cache
def _delete(kind: type[Row]) -> Statement:
    return Statement(s.delete_from(s.TABLE_OF[kind]))


@cache
def _add_counts(kind: type[VectorStore] | type[FileBatch]) -> Statement:
    return Statement(s.add_counts(kind))


_RUN_LOCK = Statement(s.RUN_LOCK)
_THREAD_LOCK = Statement(s.THREAD_LOCK)
_STORE_LOCK = Statement(s.STORE_LOCK)
_SEALED_LOCK = Statement(chunk_statements.SEALED_LOCK)
_ACTIVE_RUN = Statement(s.ACTIVE_RUN)
_COUNT_MESSAGES = Statement(s.COUNT_MESSAGES)
_LAST_SEQ = Statement(s.LAST_SEQ)
_INSERT_EVENT = Statement(s.insert_into(RUN_EVENTS))
_DELETE_LINKS = Statement(s.DELETE_LINKS)
_INSERT_LINK = Statement(s.insert_into(FILE_LINKS))
# Two servers may bring the same part at once.
_INSERT_PART = Statement(insert(SHARED_PARTS).on_conflict_do_nothing())
_PARTS_OF_THREAD = Statement(part_statements.PARTS_OF_THREAD)
DELETE_UNUSED_PART = Statement(part_statements.DELETE_UNUSED_PART)


async def apply(t: Transaction, write_set: WriteSet) -> int:
    """The number of the first event. Raises VersionConflict and what a guard says."""
    for guard in write_set.guards:
        await _check(t, guard)
    for write in write_set.writes:
        await _write(t, write)
    run_id = write_set.run_id
    if not write_set.events or run_id is None:
        return 0
    first = await _next_seq(t, write_set, run_id)
    rows = event_rows(run_id, first, write_set.events)
    named = [{"run_id": run_id, "seq": seq, "name": name, "data": data} for seq, name, data in rows]
    await t.each(_INSERT_EVENT, named)
    return first


async def _next_seq(t: Transaction, write_set: WriteSet, run_id: RunId) -> int:
    """The number of the next event in the run's log, which nobody else appends to before the commit."""
    if any(isinstance(write, Insert) and write.row.id == run_id for write in write_set.writes):
        return 1
    if not any(isinstance(guard, EpochGuard) and guard.run_id == run_id for guard in write_set.guards):
        await t.rows(_RUN_LOCK, row_id=run_id)
    return ((await t.rows(_LAST_SEQ, run_id=run_id))[0][0] or 0) + 1


async def _check(t: Transaction, guard: Guard) -> None:
    match guard:
        case EpochGuard(run_id, epoch):
            if await t.rows(_RUN_LOCK, row_id=run_id) != [(epoch,)]:
                raise VersionConflict(f"the claim of {run_id} is not epoch {epoch} any more")
        case ThreadIsFree(thread_id):
            if not await t.rows(_THREAD_LOCK, row_id=thread_id):
                raise VersionConflict(f"{thread_id} is gone")
            if await t.rows(_ACTIVE_RUN, thread_id=thread_id):
                raise VersionConflict(f"{thread_id} has an active run")
        case Sealed(edition):
            if not await t.rows(_SEALED_LOCK, edition=edition):
                raise VersionConflict(f"the chunks of {edition} are gone")
        case ThreadCapacity() | StoreHasRoom():
            await _check_room(t, guard)


async def _check_room(t: Transaction, guard: ThreadCapacity | StoreHasRoom) -> None:
    match guard:
        case ThreadCapacity(thread_id, new, most):
            await t.rows(_THREAD_LOCK, row_id=thread_id)
            if (await t.rows(_COUNT_MESSAGES, thread_id=thread_id))[0][0] + new > most:
                raise thread_full(thread_id, most)
        case StoreHasRoom(store_id, new, most):
            held = await t.rows(_STORE_LOCK, row_id=store_id)
            if not held:
                raise VersionConflict(f"{store_id} is gone")
            check_store_room(held[0][0] + new, most)


async def _write(t: Transaction, write: Write) -> None:
    match write:
        case Insert(row):
            await t.count(_insert(type(row)), **await _columns(t, row))
            await _link(t, row, fresh=True)
        case Update(row, expected):
            columns = await _columns(t, row)
            if await t.count(_update(type(row)), row_id=row.id, expected=expected, **columns) != 1:
                raise VersionConflict(f"{row.id} is not version {expected} any more")
            await _link(t, row, fresh=False)
        case Delete():
            await _remove(t, write)
        case AddCounts(kind, object_id, change, used_at):
            values = {**s.counts_of(change.file_counts), "usage_bytes": change.usage_bytes}
            await t.count(_add_counts(kind), row_id=object_id, last_active_at=used_at or 0, **values)


async def _remove(t: Transaction, write: Delete) -> None:
    parts = await t.rows(_PARTS_OF_THREAD, thread_id=write.id) if write.kind is Thread else []
    if await t.count(_delete(write.kind), row_id=write.id, expected=write.expected) != 1:
        raise VersionConflict(f"{write.id} is gone or not version {write.expected} any more")
    await t.count(_DELETE_LINKS, object_id=write.id)
    for (key,) in parts:
        await t.count(DELETE_UNUSED_PART, part=key)


async def _columns(t: Transaction, row: Row) -> dict[str, Any]:
    """All columns of a row; what a run shares with others is written."""
    stored = split_row(row)
    for key, data in stored.parts.items():
        await t.count(_INSERT_PART, key=key, data=data)
    return stored.columns


async def _link(t: Transaction, row: Row, *, fresh: bool) -> None:
    """Note which files an assistant or a thread names."""
    files = s.files_of(row)
    if files is None:
        return
    if not fresh:
        await t.count(_DELETE_LINKS, object_id=row.id)
    for file_id in dict.fromkeys(files):
        await t.count(_INSERT_LINK, file_id=file_id, object_id=row.id)
