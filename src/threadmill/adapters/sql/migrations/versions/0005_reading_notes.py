"""How a file was read, beside its chunks."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Editions from before have none."""
    op.add_column("editions", sa.Column("notes", sa.LargeBinary))
