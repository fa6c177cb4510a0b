"""From a URL to a pool on a database of this version's schema, or a line that says what to do. No line has the password."""

import asyncio
from typing import Any

import asyncpg
from asyncpg import exceptions as e
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

from threadmill.adapters.postgres.database import Pool
from threadmill.adapters.postgres.failure import is_lost, reason
from threadmill.adapters.postgres.sole_use import CONNECT_SECONDS, SoleUse, take
from threadmill.adapters.postgres.url import describe
from threadmill.adapters.sql.migrate import upgrade
from threadmill.domain.error import Unavailable
from threadmill.engine.ports.troubles import Troubles

CONNECTIONS = 10
"""Of one server at most: PostgreSQL allows a hundred of all, if nobody has changed that."""

COMMAND_SECONDS = 20.0
"""A statement that takes longer has lost its server: all of ours are short."""

STATEMENTS = 1024
"""Prepared ones a connection keeps; we have some two hundred."""

OLDEST = 13
"""PostgreSQL's version since which a transaction's outcome can be asked for."""

MIGRATION_LOCK = 0x74687264
"""Held while the schema is brought up to date, so that servers that start together do it once."""

ERRORS = (e.PostgresError, e.InterfaceError, e.InternalClientError, OSError, ValueError)

URL_ADVICE = "Write postgresql://USER:PASSWORD@HOST:5432/DATABASE, with %40 for @ and %2F for / in the password."


async def open_pool(url: str) -> Pool:
    """Connect, bring the schema up to date. Raises Unavailable."""
    await prepare(url)
    try:
        return await asyncpg.create_pool(
            url,
            min_size=0,
            max_size=CONNECTIONS,
            timeout=CONNECT_SECONDS,
            command_timeout=COMMAND_SECONDS,
            statement_cache_size=STATEMENTS,
            reset=_leave,
            server_settings={"application_name": "threadmill"},
        )
    except ERRORS as error:
        raise Unavailable(_advice(url, error)) from None  # what it came from may hold the URL


async def hold_alone(url: str, troubles: Troubles) -> SoleUse:
    """Keep other servers away. Raises Unavailable."""
    try:
        held = await take(url)
    except ERRORS as error:
        raise Unavailable(_advice(url, error)) from None
    if held is None:
        raise Unavailable(
            f"Another threadmill server uses the {describe(url)}. "
            "Several on one database are not supported yet: stop it, or give this one a database of its own."
        )
    return SoleUse(url, held, troubles)


async def _leave(_: Any) -> None:
    """A connection that goes back to the pool is as it was: nothing is set or listened to on it."""


async def prepare(url: str) -> None:
    """Bring the schema up to date. Raises Unavailable, also for a database that cannot be ours."""
    engine = create_async_engine("postgresql+asyncpg://", async_creator=lambda: _connect(url))
    try:
        async with engine.begin() as connection:
            await connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})")
            await connection.run_sync(upgrade, describe(url))
    except DBAPIError as error:
        raise Unavailable(_advice(url, (error.orig and error.orig.__cause__) or error)) from None
    except ERRORS as error:
        raise Unavailable(_advice(url, error)) from None  # what it came from may hold the URL
    finally:
        await engine.dispose()


async def _connect(url: str) -> "asyncpg.Connection[asyncpg.Record]":
    connection = await asyncpg.connect(url, timeout=CONNECT_SECONDS)
    if connection.get_server_version().major < OLDEST:
        await connection.close()
        raise Unavailable(f"The {describe(url)} is older than PostgreSQL {OLDEST}. Upgrade it.")
    return connection


def _advice(url: str, error: BaseException) -> str:
    where = describe(url)
    if isinstance(error, e.InvalidCatalogNameError):
        return f"There is no {where}. Create it (createdb), or look at THREADMILL_DATABASE_URL."
    if isinstance(error, e.InvalidAuthorizationSpecificationError):
        return f"The {where} refuses the user or the password. Look at both in THREADMILL_DATABASE_URL."
    if isinstance(error, e.InsufficientPrivilegeError):
        return f"The user may not make tables in the {where} ({reason(error)}). Make the user its owner."
    if isinstance(error, ValueError | e.InterfaceError) and not is_lost(error):
        return f"THREADMILL_DATABASE_URL cannot be read as a PostgreSQL URL. {URL_ADVICE}"
    if isinstance(error, OSError | asyncio.TimeoutError):
        text = f"The {where} cannot be reached ({reason(error)})."
        return f"{text} Start it, or look at host and port in THREADMILL_DATABASE_URL."
    return f"The {where} cannot be used ({reason(error)}). Look at it, then start again."
