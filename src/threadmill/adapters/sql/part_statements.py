"""Statements of the parts that runs share: see `shared_parts.py`."""

from sqlalchemy import bindparam, delete, exists, insert, select, union

from threadmill.adapters.sql.tables import RUNS, SHARED_PARTS

INSERT_PART = insert(SHARED_PARTS).values(key=bindparam("key"), data=bindparam("data"))
PART_EXISTS = select(SHARED_PARTS.c.key).where(SHARED_PARTS.c.key == bindparam("key"))
PARTS_OF_THREAD = union(
    *(
        select(column).where(RUNS.c.thread_id == bindparam("thread_id"), column.is_not(None))
        for column in (RUNS.c.instructions_key, RUNS.c.tools_key)
    )
)
DELETE_UNUSED_PART = delete(SHARED_PARTS).where(
    SHARED_PARTS.c.key == bindparam("part"),
    *(
        ~exists().where(column == bindparam("part"), column.is_not(None))
        for column in (RUNS.c.instructions_key, RUNS.c.tools_key)
    ),
)
