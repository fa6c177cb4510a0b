"""Bodies and queries of vector stores, their files and file batches (behaviour.md 7.2 to 7.4)."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, TypeAlias, cast

from pydantic import BeforeValidator, Field, model_validator

from threadmill.domain.chunking import StaticChunking, check_chunking
from threadmill.domain.filter import Attributes, check_attributes
from threadmill.domain.ids import FileId
from threadmill.domain.new_store import NewStoreFile, NewVectorStore, VectorStorePatch
from threadmill.domain.page import PageQuery
from threadmill.domain.vector_store import (
    MAX_BATCH_FILES,
    MAX_STORE_FILES,
    ExpiresAfter,
    VectorStoreFileStatus,
    check_expiry,
)
from threadmill.wire.request import shared_fields, validation_error
from threadmill.wire.request.body import Body
from threadmill.wire.request.item_limit import ItemLimit
from threadmill.wire.request.query import page_query
from threadmill.wire.request.union import BY_TYPE, tag

MAX_CREATE_FILES = 500
"""File ids a create-store request may name; a batch may name more."""

StoreName = Annotated[str, Field(max_length=256)]
"""As long as an assistant's; a description too has the assistant's 512 characters. The schema has no bound."""

Pairs: TypeAlias = dict[str, Any]


def _attributes(value: object) -> object:
    return (
        validation_error.apply_domain_check(_check_attributes, cast("Pairs", value))
        if isinstance(value, dict)
        else value
    )


def _check_attributes(pairs: Pairs, at: str) -> Pairs:
    for key, item in pairs.items():
        if not isinstance(item, str | float | int):
            raise validation_error.wrong_type(f"{at}.{key}", "one of a string, number, or boolean", item)
        if isinstance(item, int) and abs(item) > shared_fields.MAX_INTEGER:
            limit = shared_fields.MAX_INTEGER if item > 0 else -shared_fields.MAX_INTEGER
            raise validation_error.out_of_range(f"{at}.{key}", item, limit, above=item > 0)
    check_attributes(pairs, at)
    return pairs


AttributesField = Annotated[dict[str, Any], BeforeValidator(_attributes)]
"""Numbers stay as they were given, whole or not."""


class ExpiryBody(Body):
    """`expires_after`."""

    anchor: Literal["last_active_at"]
    days: int

    @model_validator(mode="after")
    def _is_bounded(self) -> "ExpiryBody":
        validation_error.apply_domain_check(check_expiry, self.to_domain())
        return self

    def to_domain(self) -> ExpiresAfter:
        """As given."""
        return ExpiresAfter(self.days)


class AutoChunkingBody(Body):
    """`{"type":"auto"}`."""

    type: Literal["auto"]

    def to_domain(self) -> StaticChunking:
        """Echoed as what it means (behaviour.md 7.3)."""
        return StaticChunking()


class StaticBody(Body):
    """`static` of a chunking strategy."""

    max_chunk_size_tokens: int
    chunk_overlap_tokens: int


class StaticChunkingBody(Body):
    """`{"type":"static","static":…}`."""

    type: Literal["static"]
    static: StaticBody

    @model_validator(mode="after")
    def _is_bounded(self) -> "StaticChunkingBody":
        validation_error.apply_domain_check(check_chunking, self.to_domain())
        return self

    def to_domain(self) -> StaticChunking:
        """As given."""
        return StaticChunking(self.static.max_chunk_size_tokens, self.static.chunk_overlap_tokens)


ChunkingField = Annotated[
    Annotated[AutoChunkingBody, tag("auto")] | Annotated[StaticChunkingBody, tag("static")],
    BY_TYPE,
]


def _files(
    file_ids: list[str] | None,
    chunking: AutoChunkingBody | StaticChunkingBody | None,
    attributes: Attributes | None = None,
) -> tuple[NewStoreFile, ...]:
    """The files, each cut and marked the same way."""
    strategy = StaticChunking() if chunking is None else chunking.to_domain()
    return tuple(NewStoreFile(FileId(file), attributes or {}, strategy) for file in file_ids or ())


class NewStoreBody(Body):
    """A store to be made for an assistant or a thread: an item of `tool_resources.file_search.vector_stores`."""

    file_ids: Annotated[list[str], ItemLimit(MAX_STORE_FILES)] | None = None
    chunking_strategy: ChunkingField | None = None
    metadata: shared_fields.Metadata | None = None
    expires_after: ExpiryBody | None = None

    def to_domain(self) -> NewVectorStore:
        """Defaults filled in. How long a thread's store lives when nothing is said, the engine knows."""
        return NewVectorStore(
            expires_after=self.expires_after and self.expires_after.to_domain(),
            files=_files(self.file_ids, self.chunking_strategy),
            metadata=self.metadata or {},
        )


class CreateStore(Body):
    """POST /vector_stores."""

    file_ids: Annotated[list[str], ItemLimit(MAX_CREATE_FILES)] | None = None
    name: StoreName | None = None
    description: Annotated[str, Field(max_length=512)] | None = None
    expires_after: ExpiryBody | None = None
    chunking_strategy: ChunkingField | None = None
    metadata: shared_fields.Metadata | None = None

    def to_domain(self) -> NewVectorStore:
        """Defaults filled in."""
        return NewVectorStore(
            name=self.name,
            description=self.description,
            expires_after=self.expires_after and self.expires_after.to_domain(),
            files=_files(self.file_ids, self.chunking_strategy),
            metadata=self.metadata or {},
        )


class ModifyStore(Body):
    """POST /vector_stores/{id}."""

    NULLABLE: ClassVar[frozenset[str]] = frozenset({"name", "expires_after"})

    name: StoreName | None = None
    expires_after: ExpiryBody | None = None
    metadata: shared_fields.Metadata | None = None

    def to_domain(self) -> VectorStorePatch:
        """What was spoken of; a null takes a name or an expiry away."""
        expiry = self.expires_after and self.expires_after.to_domain()
        values = NewVectorStore(name=self.name, expires_after=expiry, metadata=self.metadata or {})
        return VectorStorePatch(frozenset(self.model_fields_set), values)


class CreateStoreFile(Body):
    """POST /vector_stores/{id}/files, and `files` of a batch."""

    file_id: str
    chunking_strategy: ChunkingField | None = None
    attributes: AttributesField | None = None

    def to_domain(self) -> NewStoreFile:
        """Defaults filled in."""
        return _files([self.file_id], self.chunking_strategy, self.attributes)[0]


class ModifyStoreFile(Body):
    """POST /vector_stores/{id}/files/{file_id}."""

    NULLABLE: ClassVar[frozenset[str]] = frozenset({"attributes"})

    attributes: AttributesField | None

    def to_domain(self) -> Attributes:
        """All of them; null is none."""
        return self.attributes or {}


BatchSize = ItemLimit(MAX_BATCH_FILES, least=1)


class CreateBatch(Body):
    """POST /vector_stores/{id}/file_batches."""

    file_ids: Annotated[list[str], BatchSize] | None = None
    files: Annotated[list[CreateStoreFile], BatchSize] | None = None
    chunking_strategy: ChunkingField | None = None
    attributes: AttributesField | None = None

    @model_validator(mode="after")
    def _says_its_files_one_way(self) -> "CreateBatch":
        if self.file_ids is not None and self.files is not None:
            raise validation_error.deferred_error(lambda _: validation_error.exclusive("file_ids", "files"))
        if self.file_ids is None and self.files is None:
            raise validation_error.deferred_error(lambda _: validation_error.missing("file_ids"))
        return self

    def to_domain(self) -> tuple[NewStoreFile, ...]:
        """In order. What is said of all files counts for `file_ids` only; `files` speak for themselves."""
        if self.files is not None:
            return tuple(file.to_domain() for file in self.files)
        return _files(self.file_ids, self.chunking_strategy, self.attributes)


STATUSES = tuple(VectorStoreFileStatus(one) for one in ("in_progress", "completed", "failed", "cancelled"))
"""In the schema's order."""


def store_files_query(query: Mapping[str, str]) -> tuple[PageQuery, VectorStoreFileStatus | None]:
    """The page, and the status asked for. Raises InvalidRequest."""
    status = query.get("filter")
    if status and status not in STATUSES:
        raise validation_error.bad_value(status, STATUSES, "filter")
    return page_query(query), VectorStoreFileStatus(status) if status else None
