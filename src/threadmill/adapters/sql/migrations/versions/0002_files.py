"""Files, and which assistants and threads name them."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

ORD = sa.BigInteger().with_variant(sa.Integer, "sqlite")
EXPIRES = sa.text("expires_at IS NOT NULL")
MADE = sa.text("thread_id IS NOT NULL")


def upgrade() -> None:
    """Create both tables."""
    op.create_table(
        "files",
        sa.Column("ord", ORD, primary_key=True, autoincrement=True),
        sa.Column("id", sa.String, nullable=False, unique=True),
        sa.Column("project", sa.String, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sa.Column("purpose", sa.String, nullable=False),
        sa.Column("blob", sa.String, nullable=False),
        sa.Column("expires_at", sa.BigInteger),
        sa.Column("thread_id", sa.String),
    )
    op.create_index("files_page", "files", ["project", "created_at", "ord"])
    op.create_index("files_blob", "files", ["blob"])
    op.create_index("files_expire", "files", ["expires_at"], sqlite_where=EXPIRES, postgresql_where=EXPIRES)
    op.create_index("files_thread", "files", ["thread_id"], sqlite_where=MADE, postgresql_where=MADE)
    op.create_table(
        "file_links",
        sa.Column("file_id", sa.String, primary_key=True),
        sa.Column("object_id", sa.String, primary_key=True),
        sqlite_with_rowid=False,
    )
    op.create_index("file_links_object", "file_links", ["object_id"])
