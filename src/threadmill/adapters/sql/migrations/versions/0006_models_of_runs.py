"""The model of a run as a column, so that runs of a crowded upstream are passed over where they wait."""

import json

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

ACTIVE = sa.text("status IN ('queued', 'in_progress', 'requires_action', 'cancelling')")


def upgrade() -> None:
    """Filled for the active ones: nobody asks for the model of one that is over."""
    op.add_column("runs", sa.Column("model", sa.String))
    op.drop_index("runs_active", "runs")
    op.create_index("runs_active", "runs", ["status", "ord", "model"], sqlite_where=ACTIVE, postgresql_where=ACTIVE)
    runs = sa.table("runs", sa.column("ord"), sa.column("data"), sa.column("model"))
    connection = op.get_bind()
    for row in connection.execute(sa.select(runs.c.ord, runs.c.data).where(ACTIVE)).all():
        connection.execute(sa.update(runs).where(runs.c.ord == row.ord).values(model=_model(row.data)))


def _model(data: bytes) -> str | None:
    """None of a row that cannot be read."""
    try:
        return json.loads(data)["model"]
    except (ValueError, KeyError, TypeError):
        return None
