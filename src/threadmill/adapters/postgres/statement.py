"""A Core statement compiled once for PostgreSQL."""

from typing import Any

from sqlalchemy import ClauseElement, Insert
from sqlalchemy.dialects.postgresql import asyncpg

_DIALECT = asyncpg.dialect()


class Statement:
    """SQL text with numbered parameters, and the names they go by."""

    def __init__(self, statement: ClauseElement) -> None:
        # Inline: nobody reads the `ord` an insert would give back.
        compiled = (statement.inline() if isinstance(statement, Insert) else statement).compile(dialect=_DIALECT)
        self.sql: str = str(compiled)
        self._names: list[str] = list(getattr(compiled, "positiontup", None) or ())
        self._constants: dict[str, Any] = dict(compiled.params or {})

    def arguments(self, parameters: dict[str, Any]) -> list[Any]:
        """The values in the order of their numbers."""
        return [parameters[name] if name in parameters else self._constants[name] for name in self._names]
