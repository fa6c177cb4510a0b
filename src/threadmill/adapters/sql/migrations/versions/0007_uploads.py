"""Uploads and their parts."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

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


def upgrade() -> None:
    """Create both tables."""
    op.create_table(
        "uploads",
        *_object_columns(),
        sa.Column("status", sa.String, nullable=False),
        sa.Column("due_at", sa.BigInteger, nullable=False),
    )
    op.create_index("uploads_page", "uploads", ["project", "status", "created_at", "ord"])
    op.create_index("uploads_due", "uploads", ["due_at"])
    op.create_table(
        "upload_parts",
        *_object_columns(),
        sa.Column("upload_id", sa.String, sa.ForeignKey("uploads.id", ondelete="CASCADE"), nullable=False),
        sa.Column("blob", sa.String, nullable=False),
    )
    op.create_index("upload_parts_page", "upload_parts", ["upload_id", "created_at", "ord"])
    op.create_index("upload_parts_blob", "upload_parts", ["blob"])
