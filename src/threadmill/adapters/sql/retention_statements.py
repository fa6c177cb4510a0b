"""Statements of the Retention port."""

from sqlalchemy import BindParameter, and_, bindparam, delete, exists, func, or_, select, union_all

from threadmill.adapters.sql.tables import MESSAGES, RUN_EVENTS, RUNS, THREADS
from threadmill.domain.run import TERMINAL

_OVER = or_(*(RUNS.c.status == status.value for status in sorted(TERMINAL)))
_BEFORE: BindParameter[int] = bindparam("before")

_IDLE = and_(
    THREADS.c.created_at < _BEFORE,
    ~exists().where(MESSAGES.c.thread_id == THREADS.c.id, MESSAGES.c.created_at >= _BEFORE),
    ~exists().where(RUNS.c.thread_id == THREADS.c.id, or_(RUNS.c.created_at >= _BEFORE, ~_OVER)),
)

RUNS_LOOKED_AT = (
    select(
        RUNS.c.ord,
        RUNS.c.id,
        and_(RUNS.c.created_at < _BEFORE, _OVER, exists().where(RUN_EVENTS.c.run_id == RUNS.c.id)).label("is_due"),
    )
    .where(RUNS.c.ord > bindparam("place"))
    .order_by(RUNS.c.ord)
    .limit(bindparam("rows"))
)
DELETE_EVENTS = delete(RUN_EVENTS).where(RUN_EVENTS.c.run_id == bindparam("run_id"))
THREADS_LOOKED_AT = (
    select(
        THREADS.c.ord,
        THREADS.c.id,
        THREADS.c.data,
        _IDLE.label("is_due"),
    )
    .where(THREADS.c.ord > bindparam("place"))
    .order_by(THREADS.c.ord)
    .limit(bindparam("rows"))
)
IS_IDLE = select(THREADS.c.ord).where(THREADS.c.id == bindparam("thread_id"), _IDLE)
DELETE_THREAD = delete(THREADS).where(THREADS.c.id == bindparam("thread_id"))
MESSAGES_OF = select(MESSAGES.c.ord).where(MESSAGES.c.thread_id == bindparam("thread_id")).limit(bindparam("rows"))
IS_LARGE = union_all(
    select(func.count()).select_from(MESSAGES_OF.subquery()),
    select(func.count()).select_from(
        select(RUNS.c.ord).where(RUNS.c.thread_id == bindparam("thread_id")).limit(bindparam("rows")).subquery()
    ),
)
"""How many there are, counted no further than `rows`."""

DELETE_MESSAGE = delete(MESSAGES).where(MESSAGES.c.ord == bindparam("place"))
ENDED_RUNS_OF = (
    select(RUNS.c.ord, RUNS.c.instructions_key, RUNS.c.tools_key)
    .where(RUNS.c.thread_id == bindparam("thread_id"), _OVER)
    .limit(bindparam("rows"))
)
DELETE_RUN = delete(RUNS).where(RUNS.c.ord == bindparam("place"))
