"""The schema a migrated file has is the schema the code believes in."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, inspect

from threadmill.adapters.sql.migrate import MIGRATIONS, migrate
from threadmill.adapters.sql.tables import METADATA


def shape(url: str) -> dict[str, object]:
    engine = create_engine(url)
    try:
        found = inspect(engine)
        return {
            name: (
                [(c["name"], str(c["type"]), c["nullable"]) for c in found.get_columns(name)],
                sorted((i["name"], tuple(i["column_names"]), i["unique"]) for i in found.get_indexes(name)),  # pyright: ignore[reportArgumentType] - names are strings
                sorted((tuple(k["constrained_columns"]), k["referred_table"]) for k in found.get_foreign_keys(name)),
            )
            for name in sorted(found.get_table_names())
            if name != "alembic_version"
        }
    finally:
        engine.dispose()


def test_a_migrated_database_equals_the_tables_in_code(tmp_path: Path) -> None:
    migrated, fresh = f"sqlite:///{tmp_path}/migrated.db", f"sqlite:///{tmp_path}/fresh.db"
    migrate(migrated)
    migrate(migrated)  # a second time does nothing
    engine = create_engine(fresh)
    METADATA.create_all(engine)
    engine.dispose()
    assert shape(migrated) == shape(fresh)


def upgrade(path: Path, revision: str) -> None:
    engine = create_engine(f"sqlite:///{path}")
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    try:
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, revision)
    finally:
        engine.dispose()


def test_counts_that_were_kept_in_the_objects_are_columns_after_it(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    counts = {"in_progress": 1, "completed": 2, "failed": 3, "cancelled": 4}
    store = json.dumps({"file_counts": counts, "usage_bytes": 5, "last_active_at": 6}).encode()
    batch = json.dumps({"file_counts": counts}).encode()
    upgrade(path, "0003")
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("INSERT INTO vector_stores VALUES (1, 'vs_1', 'p', 1, 1, ?)", (store,))
        database.execute("INSERT INTO file_batches VALUES (1, 'vsfb_1', 'p', 1, 1, ?, 'vs_1')", (batch,))
    upgrade(path, "0004")
    names = "files_in_progress, files_completed, files_failed, files_cancelled"
    with closing(sqlite3.connect(path)) as database:
        found = database.execute(f"SELECT {names}, usage_bytes, last_active_at FROM vector_stores").fetchall()
        assert found == [(1, 2, 3, 4, 5, 6)]
        assert database.execute(f"SELECT {names} FROM file_batches").fetchall() == [(1, 2, 3, 4)]


def test_active_runs_know_their_model_after_it(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    upgrade(path, "0005")
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("INSERT INTO threads VALUES (1, 'thread_1', 'p', 1, 1, '{}')")
        for number, (status, data) in enumerate(
            [("queued", b'{"model": "a"}'), ("completed", b'{"model": "b"}'), ("failed", b"{}"), ("expired", b"[")]
        ):
            values = (number, f"run_{number}", data, status)
            database.execute("INSERT INTO runs VALUES (?, ?, 'p', 1, 1, ?, 'thread_1', ?, 1, 1, 1)", values)
        database.execute("INSERT INTO threads VALUES (2, 'thread_2', 'p', 1, 1, '{}')")
        damaged = (9, "run_9", b"{", "in_progress")
        database.execute("INSERT INTO runs VALUES (?, ?, 'p', 1, 1, ?, 'thread_2', ?, 1, 1, 1)", damaged)
    upgrade(path, "0006")
    with closing(sqlite3.connect(path)) as database:
        found = dict(database.execute("SELECT id, model FROM runs").fetchall())
    assert found == {"run_0": "a", "run_1": None, "run_2": None, "run_3": None, "run_9": None}
