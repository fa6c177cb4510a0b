"""Vector stores, their files and batches, and the chunks files are cut into."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

ORD = sa.BigInteger().with_variant(sa.Integer, "sqlite")
READING = sa.text("status = 'in_progress'")


def _object_columns() -> list[sa.Column[object]]:
    return [
        sa.Column("ord", ORD, primary_key=True, autoincrement=True),
        sa.Column("id", sa.String, nullable=False, unique=True),
        sa.Column("project", sa.String, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
    ]


def _vector_store_id() -> sa.Column[object]:
    key = sa.ForeignKey("vector_stores.id", ondelete="CASCADE")
    return sa.Column("vector_store_id", sa.String, key, nullable=False)


def upgrade() -> None:
    """Create the tables."""
    op.create_table("vector_stores", *_object_columns())
    op.create_index("vector_stores_page", "vector_stores", ["project", "created_at", "ord"])
    op.create_table(
        "vector_store_files",
        *_object_columns(),
        _vector_store_id(),
        sa.Column("file_id", sa.String, nullable=False),
        sa.Column("status", sa.String, nullable=False),
        sa.Column("batch_id", sa.String),
        sa.Column("edition", sa.String),
    )
    op.create_index("vector_store_files_page", "vector_store_files", ["vector_store_id", "created_at", "ord"])
    op.create_index("vector_store_files_batch", "vector_store_files", ["batch_id"])
    op.create_index("vector_store_files_file", "vector_store_files", ["file_id"])
    op.create_index("vector_store_files_edition", "vector_store_files", ["edition"])
    op.create_index(
        "vector_store_files_reading", "vector_store_files", ["ord"], sqlite_where=READING, postgresql_where=READING
    )
    op.create_table("file_batches", *_object_columns(), _vector_store_id())
    op.create_index("file_batches_store", "file_batches", ["vector_store_id"])
    op.create_table(
        "editions",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("chunks", sa.Integer, nullable=False),
        sa.Column("usage_bytes", sa.BigInteger, nullable=False),
        sa.Column("is_sealed", sa.Boolean, nullable=False),
    )
    op.create_table(
        "chunks",
        sa.Column("edition", sa.String, sa.ForeignKey("editions.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("seq", sa.Integer, primary_key=True),
        sa.Column("text", sa.String, nullable=False),
        sa.Column("vector", sa.LargeBinary),
    )
