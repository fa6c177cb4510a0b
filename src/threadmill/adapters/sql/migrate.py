"""Brings a database to this version's schema with Alembic; applied at start and by `threadmill migrate`."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import create_engine
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
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    try:
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except CommandError as error:
        where = engine.url.database
        text = f"The database {where} was written by a newer version of threadmill ({error})."
        text = f"{text} Upgrade threadmill, or choose another --data-dir."
        raise Unavailable(text) from error
    except DatabaseError as error:
        text = (
            f"The database cannot be opened: {error.orig}. If it is another program's file, choose another --data-dir."
        )
        raise Unavailable(text) from error
    finally:
        engine.dispose()
