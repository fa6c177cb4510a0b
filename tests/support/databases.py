"""Databases whose schema is there already: a copy takes a millisecond, Alembic's way to it fifty. That way has tests of its own."""

import shutil
import tempfile
from functools import cache
from pathlib import Path

from threadmill.adapters.sql.migrate import migrate


@cache
def _template() -> "tempfile.TemporaryDirectory[str]":
    """Of all tests of this process."""
    made = tempfile.TemporaryDirectory(prefix="threadmill-template-")
    file = Path(made.name, "threadmill.db")
    file.touch(0o600)
    migrate(f"sqlite:///{file}")
    return made


def prepared(path: Path) -> Path:
    """`path` with an empty database, unless there is one."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(f"{_template().name}/threadmill.db", path)
    return path
