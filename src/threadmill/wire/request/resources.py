"""`tool_resources` of assistants, threads and runs: files and stores to use, and a store to be made."""

from typing import Annotated

from pydantic import model_validator

from threadmill.domain.ids import FileId, VectorStoreId
from threadmill.domain.new_store import NewVectorStore
from threadmill.domain.tool import ToolResources
from threadmill.wire.request import validation_error
from threadmill.wire.request.body import Body
from threadmill.wire.request.item_limit import ItemLimit
from threadmill.wire.request.vector_stores import NewStoreBody


class CodeInterpreterResources(Body):
    """Files of the code_interpreter."""

    file_ids: Annotated[list[str], ItemLimit(20)] | None = None


StoreIds = Annotated[list[str], ItemLimit(1)]


class FileSearchResources(Body):
    """The store of file_search."""

    vector_store_ids: StoreIds | None = None


class NewFileSearchResources(Body):
    """The store of file_search, or one to be made with what owns it."""

    vector_store_ids: StoreIds | None = None
    vector_stores: Annotated[list[NewStoreBody], ItemLimit(1)] | None = None

    @model_validator(mode="after")
    def _names_a_store_or_makes_one(self) -> "NewFileSearchResources":
        if self.vector_store_ids is not None and self.vector_stores:
            raise validation_error.deferred_error(
                lambda at: validation_error.exclusive(f"{at}.vector_store_ids", f"{at}.vector_stores")
            )
        return self


class ToolResourcesBody(Body):
    """`tool_resources` of what exists, or of a run."""

    code_interpreter: CodeInterpreterResources | None = None
    file_search: FileSearchResources | None = None


class NewToolResourcesBody(Body):
    """`tool_resources` of a new assistant or thread."""

    code_interpreter: CodeInterpreterResources | None = None
    file_search: NewFileSearchResources | None = None


def resources_of(body: ToolResourcesBody | NewToolResourcesBody | None) -> ToolResources:
    """What was said of each tool; a store to be made is not among it."""
    if body is None:
        return ToolResources()
    files = None if body.code_interpreter is None else body.code_interpreter.file_ids or []
    stores = None if body.file_search is None else body.file_search.vector_store_ids or []
    return ToolResources(
        None if files is None else tuple(FileId(file) for file in files),
        None if stores is None else tuple(VectorStoreId(store) for store in stores),
    )


def new_store_of(body: NewToolResourcesBody | None) -> NewVectorStore | None:
    """The store to be made."""
    if body is None or body.file_search is None or not body.file_search.vector_stores:
        return None
    return body.file_search.vector_stores[0].to_domain()
