"""What PostgreSQL's errors mean: whose fault it is, whether it passes, what is told."""

import asyncpg
from asyncpg import exceptions as e

from threadmill.domain.error import DatabaseUnavailable, InvalidRequest, Unavailable

LOST = (
    OSError,
    TimeoutError,
    e.PostgresConnectionError,
    e.OperatorInterventionError,  # it is shut down, or starts
    e.InsufficientResourcesError,  # its disk is full, it has no connection left
    e.PostgresSystemError,
    e.InvalidAuthorizationSpecificationError,
    e.InvalidCatalogNameError,
    e.ReadOnlySQLTransactionError,  # a standby that is not the primary yet, or not any more
    e.InternalClientError,
)
"""What is about the server or the way to it, and may pass."""


def is_lost(error: BaseException) -> bool:
    """Whether another connection, later, may do."""
    if isinstance(error, LOST):
        return True
    # asyncpg's own, of a connection that went while nobody looked; its other ones are mistakes of ours.
    return isinstance(error, asyncpg.InterfaceError) and "clos" in str(error)


def reason(error: BaseException) -> str:
    """In PostgreSQL's words or the system's, without the rows: those are in an error's detail."""
    if isinstance(error, TimeoutError):
        return "it does not answer"
    return (str(error) or type(error).__name__).splitlines()[0].rstrip(".")


def failure(error: Exception) -> Exception:
    """What a caller is told."""
    if is_lost(error):
        return DatabaseUnavailable(f"The database cannot be used right now: {reason(error)}.")
    if isinstance(error, e.CharacterNotInRepertoireError | e.UntranslatableCharacterError):
        return InvalidRequest("A text holds a NUL character, which cannot be stored.", code="invalid_value")
    if isinstance(error, e.UndefinedTableError | e.UndefinedColumnError | e.DataCorruptedError):
        return Unavailable(f"The database cannot be used: {reason(error)}.")
    return error
