"""Instructions and tools of runs in a table of their own. Runs and logs of before stay as they are, and are read."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Create the table and the columns that name its rows."""
    op.create_table(
        "shared_parts",
        sa.Column("key", sa.LargeBinary, primary_key=True),
        sa.Column("data", sa.LargeBinary, nullable=False),
    )
    for name in ("instructions_key", "tools_key"):
        given = sa.text(f"{name} IS NOT NULL")
        # Written out for SQLite, where Alembic would build the whole table anew for a foreign key.
        if op.get_bind().dialect.name == "sqlite":
            op.execute(f"ALTER TABLE runs ADD COLUMN {name} BLOB REFERENCES shared_parts (key)")
        else:
            op.add_column("runs", sa.Column(name, sa.LargeBinary, sa.ForeignKey("shared_parts.key")))
        op.create_index(f"runs_{name}", "runs", [name], sqlite_where=given, postgresql_where=given)
