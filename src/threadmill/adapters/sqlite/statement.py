"""A Core statement compiled once for SQLite."""

import sqlite3
from typing import Any

from sqlalchemy import ClauseElement
from sqlalchemy.dialects import sqlite


class Statement:
    """SQL text and parameter order, compiled once from a Core statement."""

    def __init__(self, statement: ClauseElement) -> None:
        compiled = statement.compile(dialect=sqlite.dialect(paramstyle="named"))
        self.sql: str = str(compiled)
        self.constants: dict[str, Any] = {n: value for n, value in (compiled.params or {}).items() if value is not None}

    def run(self, cursor: sqlite3.Cursor, **parameters: object) -> sqlite3.Cursor:
        """Execute with the parameters by name."""
        return cursor.execute(self.sql, {**self.constants, **parameters})
