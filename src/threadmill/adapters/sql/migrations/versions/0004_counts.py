"""Counts of vector stores and batches as columns, so that a file can be counted without a new version of the row."""

import json

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

STATUSES = ("in_progress", "completed", "failed", "cancelled")


def upgrade() -> None:
    """Add the columns and fill them from the objects."""
    for table in ("vector_stores", "file_batches"):
        for status in STATUSES:
            op.add_column(table, sa.Column(f"files_{status}", sa.Integer, nullable=False, server_default="0"))
        _fill(table, "file_counts", {f"files_{status}": status for status in STATUSES})
    for name in ("usage_bytes", "last_active_at"):
        op.add_column("vector_stores", sa.Column(name, sa.BigInteger, nullable=False, server_default="0"))
        _fill("vector_stores", None, {name: name})


def _fill(name: str, within: str | None, columns: dict[str, str]) -> None:
    """Set each column to the field of the object, or of its part `within`, that it is named for."""
    changed: list[sa.ColumnClause[int]] = [sa.column(column) for column in columns]
    table = sa.table(name, sa.column("ord"), sa.column("data"), *changed)
    connection = op.get_bind()
    for row in connection.execute(sa.select(table.c.ord, table.c.data)).all():
        held = json.loads(row.data)
        held = held if within is None else held[within]
        values = {column: held[field] for column, field in columns.items()}
        connection.execute(sa.update(table).where(table.c.ord == row.ord).values(values))
