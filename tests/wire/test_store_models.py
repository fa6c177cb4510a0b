"""The official SDK's models read what this room says of vector stores, field by field.

Two things they do not expect, and are told as the service tells them: a name of null, and the name of a batch.
"""

from typing import Any

import msgspec
import pytest
from openai.types import (
    VectorStore,
    VectorStoreDeleted,
    VectorStoreSearchResponse,
)
from openai.types.vector_stores import (
    FileContentResponse,
    VectorStoreFile,
    VectorStoreFileBatch,
    VectorStoreFileDeleted,
)
from pydantic import BaseModel

from tests.wire import samples
from threadmill.wire import response, vector_store_response
from threadmill.wire.tool_response import Json

READ: list[tuple[type[BaseModel], list[Json]]] = [
    (VectorStore, [vector_store_response.vector_store(one, 86_401) for one in samples.vector_stores() if one.name]),
    (VectorStoreFile, [vector_store_response.store_file(one) for one in samples.store_files()]),
    (VectorStoreDeleted, [response.deletion_response("vs_1", "vector_store")]),
    (VectorStoreFileDeleted, [response.deletion_response("file-1", "vector_store.file")]),
    (
        VectorStoreSearchResponse,
        [vector_store_response.search_result("file-1", "a.txt", 0.5, {"a": 1, "b": "x", "c": True}, "text")],
    ),
    (FileContentResponse, vector_store_response.content_page(["a", "b"])["data"]),
]


@pytest.mark.parametrize(("model", "said"), READ, ids=lambda one: getattr(one, "__name__", None))
def test_the_sdk_reads_it_whole(model: type[BaseModel], said: list[Json]) -> None:
    for one in said:
        plain: dict[str, Any] = msgspec.json.decode(response.to_rest_json(one))
        read = model.model_validate(plain, strict=True)
        assert read.model_dump(exclude_unset=True) == plain


def test_the_sdk_knows_a_batch_but_not_the_name_the_service_sends() -> None:
    for batch in samples.file_batches():
        said = vector_store_response.file_batch(batch)
        assert VectorStoreFileBatch.model_construct(**said).status == batch.status
        with pytest.raises(ValueError, match=r"files_batch"):
            VectorStoreFileBatch.model_validate(said)
