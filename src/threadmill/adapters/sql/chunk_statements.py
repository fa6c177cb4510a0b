"""Statements about chunks and the files of vector stores."""

from sqlalchemy import ClauseElement, ColumnElement, and_, bindparam, delete, insert, select, update

from threadmill.adapters.sql.tables import CHUNKS, EDITIONS, READING, VECTOR_STORE_FILES

_IS_REFERENCED = select(VECTOR_STORE_FILES.c.id).where(VECTOR_STORE_FILES.c.edition == EDITIONS.c.id).exists()
_IS_SEALED = EDITIONS.c.is_sealed.is_(True)

SEALED = select(EDITIONS.c.chunks, EDITIONS.c.usage_bytes, EDITIONS.c.notes).where(
    EDITIONS.c.id == bindparam("edition"), _IS_SEALED
)
SEALED_LOCK = SEALED.with_for_update(read=True, key_share=True)
EDITION_LOCK = select(EDITIONS.c.id).where(EDITIONS.c.id == bindparam("edition")).with_for_update()
CHUNKS_OF = (
    select(CHUNKS.c.text, CHUNKS.c.vector).where(CHUNKS.c.edition == bindparam("edition")).order_by(CHUNKS.c.seq)
)
DELETE_UNSEALED = delete(EDITIONS).where(EDITIONS.c.id == bindparam("edition"), EDITIONS.c.is_sealed.is_(False))
DELETE_UNREFERENCED = delete(EDITIONS).where(EDITIONS.c.id == bindparam("edition"), ~_IS_REFERENCED)
INSERT_EDITION = insert(EDITIONS).values(id=bindparam("edition"), chunks=0, usage_bytes=0, is_sealed=False)
INSERT_CHUNK = insert(CHUNKS)
SEAL = (
    update(EDITIONS)
    .where(EDITIONS.c.id == bindparam("edition"))
    .values(chunks=bindparam("chunks"), usage_bytes=bindparam("usage_bytes"), notes=bindparam("notes"), is_sealed=True)
)
UNREFERENCED = select(EDITIONS.c.id).where(~_IS_REFERENCED).order_by(EDITIONS.c.id)
EDITIONS_OF = select(VECTOR_STORE_FILES.c.file_id, VECTOR_STORE_FILES.c.edition).where(
    VECTOR_STORE_FILES.c.vector_store_id == bindparam("store_id"), VECTOR_STORE_FILES.c.edition.is_not(None)
)


def store_files(count: int) -> ClauseElement:
    """Store files by row key; parameters are id_0 to id_<count - 1>."""
    keys: list[ColumnElement[str]] = [bindparam(f"id_{number}") for number in range(count)]
    return select(VECTOR_STORE_FILES.c.id, VECTOR_STORE_FILES.c.data).where(VECTOR_STORE_FILES.c.id.in_(keys))


EDITION_OF = select(VECTOR_STORE_FILES.c.edition).where(
    VECTOR_STORE_FILES.c.id == bindparam("row_id"), VECTOR_STORE_FILES.c.edition.is_not(None)
)
TEXT_OF = (
    select(CHUNKS.c.text)
    .join(VECTOR_STORE_FILES, VECTOR_STORE_FILES.c.edition == CHUNKS.c.edition)
    .where(VECTOR_STORE_FILES.c.id == bindparam("row_id"), CHUNKS.c.seq == bindparam("seq"))
)
PENDING = (
    select(VECTOR_STORE_FILES.c.id, VECTOR_STORE_FILES.c.data)
    .where(READING)
    .order_by(VECTOR_STORE_FILES.c.ord)
    .limit(bindparam("rows"))
)
COMPLETED = (
    select(VECTOR_STORE_FILES.c.id, VECTOR_STORE_FILES.c.data)
    .where(VECTOR_STORE_FILES.c.status == "completed", VECTOR_STORE_FILES.c.id > bindparam("after"))
    .order_by(VECTOR_STORE_FILES.c.id)
    .limit(bindparam("rows"))
)
HOLDING = (
    select(VECTOR_STORE_FILES.c.id, VECTOR_STORE_FILES.c.data)
    .where(
        and_(VECTOR_STORE_FILES.c.file_id == bindparam("file_id"), VECTOR_STORE_FILES.c.project == bindparam("project"))
    )
    .order_by(VECTOR_STORE_FILES.c.ord)
)
