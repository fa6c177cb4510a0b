"""The schema. Each object is one row: columns to find and guard it by, and `data`, the object as JSON.

`ord` is the order of insertion: lists sort by (created_at, ord), so rows of one second page correctly (behaviour.md 8.4).
Alembic's migrations build the same; a test compares.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    text,
)

METADATA = MetaData()

_ORD = BigInteger().with_variant(Integer, "sqlite")

ACTIVE = text("status IN ('queued', 'in_progress', 'requires_action', 'cancelling')")
"""Which runs are active, in the very words of the partial indexes: queries say the same, or they are not used."""


def _object_columns() -> list[Column[object]]:
    return [
        Column("ord", _ORD, primary_key=True, autoincrement=True),
        Column("id", String, nullable=False, unique=True),
        Column("project", String, nullable=False),
        Column("created_at", BigInteger, nullable=False),
        Column("version", Integer, nullable=False),
        Column("data", LargeBinary, nullable=False),
    ]


def _thread_id() -> Column[object]:
    return Column("thread_id", String, ForeignKey("threads.id", ondelete="CASCADE"), nullable=False)


ASSISTANTS = Table("assistants", METADATA, *_object_columns(), Index("assistants_page", "project", "created_at", "ord"))
THREADS = Table("threads", METADATA, *_object_columns(), Index("threads_page", "project", "created_at", "ord"))
SHARED_PARTS = Table(
    "shared_parts",
    METADATA,
    Column("key", LargeBinary, primary_key=True),
    Column("data", LargeBinary, nullable=False),
)
"""Instructions and tools, once for all runs that have the same: see `shared_parts.py`."""


def _part_key(name: str) -> Column[object]:
    # Not set to null when the part goes: the key is what keeps it.
    return Column(name, LargeBinary, ForeignKey("shared_parts.key"))


def _part_index(name: str) -> Index:
    given = text(f"{name} IS NOT NULL")
    return Index(f"runs_{name}", name, sqlite_where=given, postgresql_where=given)


RUNS = Table(
    "runs",
    METADATA,
    *_object_columns(),
    _thread_id(),
    Column("status", String, nullable=False),
    Column("expires_at", BigInteger),
    Column("lease_until", BigInteger),
    Column("epoch", Integer, nullable=False),
    Column("model", String),
    _part_key("instructions_key"),
    _part_key("tools_key"),
    _part_index("instructions_key"),
    _part_index("tools_key"),
    Index("runs_page", "thread_id", "created_at", "ord"),
    # One active run per thread, whatever the code does (ADR-0004).
    Index("runs_one_active", "thread_id", unique=True, sqlite_where=ACTIVE, postgresql_where=ACTIVE),
    # With the model: runs that wait for a crowded one are passed over without being read.
    Index("runs_active", "status", "ord", "model", sqlite_where=ACTIVE, postgresql_where=ACTIVE),
)
MESSAGES = Table(
    "messages",
    METADATA,
    *_object_columns(),
    _thread_id(),
    Column("run_id", String),
    Index("messages_page", "thread_id", "created_at", "ord"),
    Index("messages_run", "run_id", "created_at", "ord"),
)
RUN_STEPS = Table(
    "run_steps",
    METADATA,
    *_object_columns(),
    _thread_id(),
    Column("run_id", String, ForeignKey("runs.id", ondelete="CASCADE"), nullable=False),
    Index("run_steps_page", "run_id", "created_at", "ord"),
    Index("run_steps_thread", "thread_id"),
)
FILES = Table(
    "files",
    METADATA,
    *_object_columns(),
    Column("purpose", String, nullable=False),
    Column("blob", String, nullable=False),
    Column("expires_at", BigInteger),
    Column("thread_id", String),
    Index("files_page", "project", "created_at", "ord"),
    Index("files_blob", "blob"),
    Index(
        "files_expire",
        "expires_at",
        sqlite_where=text("expires_at IS NOT NULL"),
        postgresql_where=text("expires_at IS NOT NULL"),
    ),
    # Files code_interpreter made in a thread.
    Index(
        "files_thread",
        "thread_id",
        sqlite_where=text("thread_id IS NOT NULL"),
        postgresql_where=text("thread_id IS NOT NULL"),
    ),
)
FILE_LINKS = Table(
    "file_links",
    METADATA,
    Column("file_id", String, primary_key=True),
    Column("object_id", String, primary_key=True),
    Index("file_links_object", "object_id"),
    sqlite_with_rowid=False,
)
"""Which assistants and threads name a file in their tool resources: what a deleted file must be taken from."""


def _vector_store_id() -> Column[object]:
    return Column("vector_store_id", String, ForeignKey("vector_stores.id", ondelete="CASCADE"), nullable=False)


READING = text("status = 'in_progress'")
"""Files still to be read, in the very words of the partial index."""


def _counts() -> list[Column[object]]:
    """What files add to without a new version of the row; the values in `data` are those of the row's last change."""
    names = ("files_in_progress", "files_completed", "files_failed", "files_cancelled")
    return [Column(name, Integer, nullable=False, server_default="0") for name in names]


VECTOR_STORES = Table(
    "vector_stores",
    METADATA,
    *_object_columns(),
    *_counts(),
    Column("usage_bytes", BigInteger, nullable=False, server_default="0"),
    Column("last_active_at", BigInteger, nullable=False, server_default="0"),
    Index("vector_stores_page", "project", "created_at", "ord"),
)
VECTOR_STORE_FILES = Table(
    "vector_store_files",
    METADATA,
    *_object_columns(),
    _vector_store_id(),
    Column("file_id", String, nullable=False),
    Column("status", String, nullable=False),
    Column("batch_id", String),
    Column("edition", String),
    Index("vector_store_files_page", "vector_store_id", "created_at", "ord"),
    Index("vector_store_files_batch", "batch_id"),
    Index("vector_store_files_file", "file_id"),
    Index("vector_store_files_edition", "edition"),
    Index("vector_store_files_reading", "ord", sqlite_where=READING, postgresql_where=READING),
)
FILE_BATCHES = Table(
    "file_batches",
    METADATA,
    *_object_columns(),
    _vector_store_id(),
    *_counts(),
    Index("file_batches_store", "vector_store_id"),
)
UPLOADS = Table(
    "uploads",
    METADATA,
    *_object_columns(),
    Column("status", String, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Index("uploads_page", "project", "status", "created_at", "ord"),
    Index("uploads_due", "due_at"),
)
UPLOAD_PARTS = Table(
    "upload_parts",
    METADATA,
    *_object_columns(),
    Column("upload_id", String, ForeignKey("uploads.id", ondelete="CASCADE"), nullable=False),
    Column("blob", String, nullable=False),
    Index("upload_parts_page", "upload_id", "created_at", "ord"),
    Index("upload_parts_blob", "blob"),
)
EDITIONS = Table(
    "editions",
    METADATA,
    Column("id", String, primary_key=True),
    Column("chunks", Integer, nullable=False),
    Column("usage_bytes", BigInteger, nullable=False),
    Column("is_sealed", Boolean, nullable=False),
    Column("notes", LargeBinary),
)
"""What was cut and embedded once, for however many stores."""

CHUNKS = Table(
    "chunks",
    METADATA,
    Column("edition", String, ForeignKey("editions.id", ondelete="CASCADE"), primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("text", String, nullable=False),
    Column("vector", LargeBinary),
)

RUN_EVENTS = Table(
    "run_events",
    METADATA,
    Column("run_id", String, ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("name", String, nullable=False),
    Column("data", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)
