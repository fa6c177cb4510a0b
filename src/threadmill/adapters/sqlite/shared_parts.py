"""The parts that runs share, in the SQLite file."""

import sqlite3
from collections.abc import Mapping, Sequence

from threadmill.adapters.sql import part_statements as s
from threadmill.adapters.sqlite.statement import Statement

_INSERT_PART = Statement(s.INSERT_PART)
_PART_EXISTS = Statement(s.PART_EXISTS)
_PARTS_OF_THREAD = Statement(s.PARTS_OF_THREAD)
_DELETE_UNUSED_PART = Statement(s.DELETE_UNUSED_PART)


def insert_parts(cursor: sqlite3.Cursor, parts: Mapping[bytes, bytes]) -> None:
    """Those that are not there yet."""
    for key, data in parts.items():
        if _PART_EXISTS.run(cursor, key=key).fetchone() is None:
            _INSERT_PART.run(cursor, key=key, data=data)


def collect_parts(cursor: sqlite3.Cursor, thread_id: str) -> Sequence[bytes]:
    """Keys of the parts a thread's runs name."""
    return [key for (key,) in _PARTS_OF_THREAD.run(cursor, thread_id=thread_id).fetchall()]


def delete_unused(cursor: sqlite3.Cursor, keys: Sequence[bytes]) -> None:
    """Those of `keys` that no run names any more."""
    for key in keys:
        _DELETE_UNUSED_PART.run(cursor, part=key)
