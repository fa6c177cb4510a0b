"""Alembic's entry: runs the revisions on the connection `migrate` hands over."""

from alembic import context

from threadmill.adapters.sql.tables import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA)
with context.begin_transaction():
    context.run_migrations()
