"""The first schema: objects as JSON with their guards beside them, and the run logs.

Written out and never changed: what `tables.py` says later comes in a later revision.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

ACTIVE = sa.text("status IN ('queued', 'in_progress', 'requires_action', 'cancelling')")
ORD = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def _object_columns() -> list[sa.Column[object]]:
    return [
        sa.Column("ord", ORD, primary_key=True, autoincrement=True),
        sa.Column("id", sa.String, nullable=False, unique=True),
        sa.Column("project", sa.String, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
    ]


def _thread_id() -> sa.Column[object]:
    return sa.Column("thread_id", sa.String, sa.ForeignKey("threads.id", ondelete="CASCADE"), nullable=False)


def _run_id() -> sa.ForeignKey:
    return sa.ForeignKey("runs.id", ondelete="CASCADE")


def upgrade() -> None:
    """Create everything."""
    for name in ("assistants", "threads"):
        op.create_table(name, *_object_columns())
        op.create_index(f"{name}_page", name, ["project", "created_at", "ord"])
    op.create_table(
        "runs",
        *_object_columns(),
        _thread_id(),
        sa.Column("status", sa.String, nullable=False),
        sa.Column("expires_at", sa.BigInteger),
        sa.Column("lease_until", sa.BigInteger),
        sa.Column("epoch", sa.Integer, nullable=False),
    )
    op.create_index("runs_page", "runs", ["thread_id", "created_at", "ord"])
    op.create_index("runs_one_active", "runs", ["thread_id"], unique=True, sqlite_where=ACTIVE, postgresql_where=ACTIVE)
    op.create_index("runs_active", "runs", ["status", "ord"], sqlite_where=ACTIVE, postgresql_where=ACTIVE)
    op.create_table("messages", *_object_columns(), _thread_id(), sa.Column("run_id", sa.String))
    op.create_index("messages_page", "messages", ["thread_id", "created_at", "ord"])
    op.create_index("messages_run", "messages", ["run_id", "created_at", "ord"])
    op.create_table(
        "run_steps", *_object_columns(), _thread_id(), sa.Column("run_id", sa.String, _run_id(), nullable=False)
    )
    op.create_index("run_steps_page", "run_steps", ["run_id", "created_at", "ord"])
    op.create_index("run_steps_thread", "run_steps", ["thread_id"])
    op.create_table(
        "run_events",
        sa.Column("run_id", sa.String, _run_id(), primary_key=True),
        sa.Column("seq", sa.Integer, primary_key=True),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sqlite_with_rowid=False,
    )
