"""The schema a migrated file has is the schema the code believes in."""

from pathlib import Path

from sqlalchemy import create_engine, inspect

from threadmill.adapters.sql.migrate import migrate
from threadmill.adapters.sql.tables import METADATA


def shape(url: str) -> dict[str, object]:
    engine = create_engine(url)
    try:
        found = inspect(engine)
        return {
            name: (
                [(c["name"], str(c["type"]), c["nullable"]) for c in found.get_columns(name)],
                sorted((i["name"], tuple(i["column_names"]), i["unique"]) for i in found.get_indexes(name)),  # pyright: ignore[reportArgumentType] - names are strings
                [(tuple(k["constrained_columns"]), k["referred_table"]) for k in found.get_foreign_keys(name)],
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
