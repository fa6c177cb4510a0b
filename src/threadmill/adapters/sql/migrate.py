"""Brings a database to this version's schema with Alembic; applied at start and by `threadmill migrate`."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, create_engine
from sqlalchemy.exc import DatabaseError

from threadmill.domain.error import Unavailable

MIGRATIONS = Path(__file__).parent / "migrations"


def known_revisions() -> list[str]:
    """Every schema this version knows, the newest last."""
    return [one.revision for one in ScriptDirectory(str(MIGRATIONS)).walk_revisions()][::-1]


def migrate(url: str) -> None:
    """Upgrade the database at SQLAlchemy `url` to the newest schema; does nothing when it is there.

    Raises Unavailable when the file is no database, or was written by a newer version of this server.
    """
    engine = create_engine(url)
    try:
        with engine.begin() as connection:
            upgrade(connection, f"database {engine.url.database}")
    except DatabaseError as error:
        text = (
            f"The database cannot be opened: {error.orig}. If it is another program's file, choose another --data-dir."
        )
        raise Unavailable(text) from error
    finally:
        engine.dispose()


def upgrade(connection: Connection, where: str) -> None:
    """Upgrade inside the connection's transaction. Raises Unavailable if the schema is a newer version's."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        text = f"The {where} was written by a newer version of threadmill ({error})."
        raise Unavailable(f"{text} Upgrade threadmill, or choose another database (--data-dir).") from error
