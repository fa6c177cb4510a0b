"""Bodies of vector stores: what they mean, every limit at its edge, and the texts of refusals (behaviour.md 7.2 to 7.5)."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.edge import Edge
from threadmill.domain.chunking import StaticChunking
from threadmill.domain.error import InvalidRequest
from threadmill.domain.filter import Comparator, Comparison, Compound, LogicalOperator
from threadmill.domain.ids import FileId
from threadmill.domain.new_store import NewStoreFile, NewVectorStore, StoreSearch
from threadmill.domain.page import Order, PageQuery
from threadmill.domain.ranking import HybridWeights
from threadmill.domain.tool import ToolResources
from threadmill.domain.vector_store import ExpiresAfter, VectorStoreFileStatus
from threadmill.wire.request.body import Body, parse
from threadmill.wire.request.run_thread_bodies import (
    CreateAssistant,
    CreateThread,
    CreateThreadAndRun,
    ModifyAssistant,
    ModifyThread,
)
from threadmill.wire.request.search import SearchStore
from threadmill.wire.request.vector_stores import (
    CreateBatch,
    CreateStore,
    CreateStoreFile,
    ModifyStore,
    ModifyStoreFile,
    store_files_query,
)

LEAST: dict[type[Body], dict[str, Any]] = {
    CreateStoreFile: {"file_id": "file-1"},
    ModifyStoreFile: {"attributes": {}},
    SearchStore: {"query": "q"},
    CreateAssistant: {"model": "m"},
    CreateThreadAndRun: {"assistant_id": "asst_1"},
}
BODIES = [CreateStore, ModifyStore, CreateStoreFile, ModifyStoreFile, CreateBatch, SearchStore]


def raw(kind: type[Body], **said: Any) -> bytes:
    return json.dumps({**LEAST.get(kind, {}), **said}).encode()


def refusal(kind: type[Body], **said: Any) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        parse(kind, raw(kind, **said))
    return caught.value


def static(size: int, overlap: int) -> dict[str, Any]:
    return {"type": "static", "static": {"max_chunk_size_tokens": size, "chunk_overlap_tokens": overlap}}


def days(count: object) -> dict[str, Any]:
    return {"anchor": "last_active_at", "days": count}


def helper(*stores: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"file_search": {"vector_stores": list(stores), **more}}


def eq(value: object, kind: str = "eq") -> dict[str, Any]:
    return {"type": kind, "key": "k", "value": value}


def hybrid(embedding: float, text: float) -> dict[str, Any]:
    return {"hybrid_search": {"embedding_weight": embedding, "text_weight": text}}


IDS = ["file-1"]
STORES = "tool_resources.file_search.vector_stores"
ENDS = [
    ({str(n): n for n in range(16)}, {str(n): n for n in range(17)}, "", "object_above_max_properties"),
    ({"k" * 64: 1}, {"k" * 65: 1}, "." + "k" * 65, "property_name_above_max_length"),
    ({"k": "v" * 512}, {"k": "v" * 513}, ".k", "string_above_max_length"),
    ({"k": True}, {"k": None}, ".k", "invalid_type"),
    ({"k": 1.5}, {"k": ["a"]}, ".k", "invalid_type"),
    ({"k": 2**53 - 1}, {"k": 2**53}, ".k", "integer_above_max_value"),
    ({"k": 1 - 2**53}, {"k": -(2**53)}, ".k", "integer_below_min_value"),
]


NEVER: dict[str, dict[str, Any]] = {"none": {"type": "or", "filters": []}, "static": {"type": "auto", "static": {}}}
"""Values with something empty, whose type a checker cannot see in place."""

EDGES: list[tuple[type[Body], str, Any, Any, str, str]] = [
    (CreateStore, "file_ids", IDS * 500, IDS * 501, "file_ids", "array_above_max_length"),
    (CreateStore, "file_ids", [], [1], "file_ids[0]", "invalid_type"),
    (CreateStore, "expires_after", days(1), days(0), "expires_after.days", "integer_below_min_value"),
    (CreateStore, "expires_after", days(365), days(366), "expires_after.days", "integer_above_max_value"),
    (ModifyStore, "expires_after", days(365), days(366), "expires_after.days", "integer_above_max_value"),
    (CreateStore, "expires_after", days(1), days("1"), "expires_after.days", "invalid_type"),
    (CreateStore, "expires_after", days(1), {"days": 1}, "expires_after.anchor", "missing_required_parameter"),
    (CreateStore, "expires_after", days(1), {**days(1), "anchor": "created_at"}, "expires_after.anchor", "invalid_value"),
    (CreateStore, "metadata", {"k": ""}, {"k": 1}, "metadata.k", "invalid_type"),
    (CreateStore, "description", "d", 1, "description", "invalid_type"),
    *(
        (kind, "chunking_strategy", taken, refused, f"chunking_strategy{end}", code)
        for kind in (CreateStore, CreateStoreFile)
        for taken, refused, end, code in (
            (static(100, 50), static(99, 0), ".static.max_chunk_size_tokens", "integer_below_min_value"),
            (static(4096, 2048), static(4097, 0), ".static.max_chunk_size_tokens", "integer_above_max_value"),
            (static(101, 50), static(101, 51), ".static.chunk_overlap_tokens", "integer_above_max_value"),
            (static(100, 0), static(100, -1), ".static.chunk_overlap_tokens", "integer_below_min_value"),
            ({"type": "auto"}, {"type": "other"}, ".type", "invalid_value"),
            ({"type": "auto"}, NEVER["static"], ".static", "unknown_parameter"),
            ({"type": "auto"}, {"type": "static"}, ".static", "missing_required_parameter"),
        )
    ),
    *(
        (kind, "attributes", taken, refused, f"attributes{end}", code)
        for kind in (CreateStoreFile, ModifyStoreFile)
        for taken, refused, end, code in ENDS
    ),
    (CreateBatch, "file_ids", IDS, [], "file_ids", "empty_array"),
    (CreateBatch, "file_ids", IDS * 2000, IDS * 2001, "file_ids", "array_above_max_length"),
    (CreateBatch, "files", [{"file_id": "a"}], [], "files", "empty_array"),
    (CreateBatch, "files", [{"file_id": "a"}] * 2000, [{"file_id": "a"}] * 2001, "files", "array_above_max_length"),
    (CreateBatch, "files", [{"file_id": "a"}], [{}], "files[0].file_id", "missing_required_parameter"),
    (
        CreateBatch,
        "files",
        [{"file_id": "a", "attributes": {"k": 1}}],
        [{"file_id": "a", "attributes": {"k": {}}}],
        "files[0].attributes.k",
        "invalid_type",
    ),
    (SearchStore, "query", "q", "", "query", "empty_string"),
    (SearchStore, "query", ["q"], [], "query", "empty_array"),
    (SearchStore, "query", ["q"], ["q", ""], "query[1]", "empty_string"),
    (SearchStore, "query", ["q"], 1, "query", "invalid_type"),
    (SearchStore, "max_num_results", 1, 0, "max_num_results", "integer_below_min_value"),
    (SearchStore, "max_num_results", 50, 51, "max_num_results", "integer_above_max_value"),
    (SearchStore, "rewrite_query", True, "yes", "rewrite_query", "invalid_type"),
    *(
        (SearchStore, "ranking_options", taken, refused, f"ranking_options.{end}", code)
        for taken, refused, end, code in (
            ({"score_threshold": 1}, {"score_threshold": 1.01}, "score_threshold", "decimal_above_max_value"),
            ({"score_threshold": 0}, {"score_threshold": -0.01}, "score_threshold", "decimal_below_min_value"),
            ({"ranker": "none"}, {"ranker": "default_2024_08_21"}, "ranker", "invalid_value"),
            ({"ranker": "default-2024-11-15"}, {"ranker": ""}, "ranker", "invalid_value"),
            (hybrid(0, 0.1), hybrid(0, 0), "hybrid_search", "invalid_value"),
            (hybrid(1, 0), hybrid(1, -1), "hybrid_search.text_weight", "decimal_below_min_value"),
            (
                hybrid(1, 0),
                {"hybrid_search": {"text_weight": 1}},
                "hybrid_search.embedding_weight",
                "missing_required_parameter",
            ),
        )
    ),
    *(
        (SearchStore, "filters", taken, refused, f"filters{end}", code)
        for taken, refused, end, code in (
            (eq("a"), eq(None), ".value", "missing_required_parameter"),
            (eq(True), eq(["a"]), ".value", "invalid_type"),
            (eq(1), eq({}), ".value", "invalid_type"),
            (eq(["a", 1], "in"), eq("a", "in"), ".value", "invalid_type"),
            (eq([], "nin"), eq(["a", True], "nin"), ".value[1]", "invalid_type"),
            (eq("a"), {"type": "eq", "value": "a"}, ".key", "missing_required_parameter"),
            (eq("a"), {"key": "k", "value": "a"}, ".type", "missing_required_parameter"),
            (eq("a"), eq("a", "like"), ".type", "invalid_value"),
            (eq("a"), [eq("a")], "", "invalid_type"),
            (
                {"type": "and", "filters": [eq(1), {"type": "or", "filters": [eq(2)]}]},
                {"type": "and", "filters": [eq(1), {"type": "or", "filters": [{**eq(2), "x": 1}]}]},
                ".filters[1].filters[0].x",
                "unknown_parameter",
            ),
            (NEVER["none"], {"type": "or"}, ".filters", "missing_required_parameter"),
        )
    ),
    *(
        (kind, "tool_resources", helper(taken), helper(refused), f"{STORES}{end}", code)
        for kind in (CreateAssistant, CreateThread)
        for taken, refused, end, code in (
            ({"file_ids": IDS * 10_000}, {"file_ids": IDS * 10_001}, "[0].file_ids", "array_above_max_length"),
            (
                {"chunking_strategy": static(200, 100)},
                {"chunking_strategy": static(200, 101)},
                "[0].chunking_strategy.static.chunk_overlap_tokens",
                "integer_above_max_value",
            ),
            ({"metadata": {"k": "v"}}, {"metadata": {"k": 1}}, "[0].metadata.k", "invalid_type"),
            ({"expires_after": days(7)}, {"expires_after": days(0)}, "[0].expires_after.days", "integer_below_min_value"),
            ({}, {"name": "n"}, "[0].name", "unknown_parameter"),
        )
    ),
    *(
        (kind, "tool_resources", helper({}), helper({}, {}), STORES, "array_above_max_length")
        for kind in (CreateAssistant, CreateThread)
    ),
]  # fmt: skip


@pytest.mark.parametrize("edge", [Edge(*row) for row in EDGES], ids=lambda one: f"{one.param[-40:]} {one.code}")
def test_a_limit_holds_at_its_edge(edge: Edge) -> None:
    parse(edge.kind, raw(edge.kind, **{edge.field: edge.taken}))
    told = refusal(edge.kind, **{edge.field: edge.refused})
    assert (told.param, told.code) == (edge.param, edge.code)
    assert "¦" not in told.message


TEXTS: list[tuple[type[Body], dict[str, Any], str]] = [
    (
        CreateBatch,
        {"file_ids": []},
        "Invalid 'file_ids': empty array. Expected an array with minimum length 1, but got an empty array instead.",
    ),
    (
        CreateBatch,
        {"file_ids": IDS, "files": [{"file_id": "a"}]},
        "Mutually exclusive parameters: 'file_ids', 'files'. Ensure you are only providing one of: 'file_ids' or 'files'.",
    ),
    (CreateBatch, {}, "Missing required parameter: 'file_ids'."),
    (
        CreateStore,
        {"expires_after": days(366)},
        "Invalid 'expires_after.days': integer above maximum value. Expected a value <= 365, but got 366 instead.",
    ),
    (
        CreateStore,
        {"chunking_strategy": {"type": "other"}},
        "Invalid value: 'other'. Supported values are: 'auto' and 'static'.",
    ),
    (
        CreateStoreFile,
        {"attributes": {"k": None}},
        "Invalid type for 'attributes.k': expected one of a string, number, or boolean, but got null instead.",
    ),
    (ModifyStore, {"description": "d"}, "Unknown parameter: 'description'."),
    (
        SearchStore,
        {"filters": eq("a", "like")},
        "Invalid value: 'like'. Supported values are: 'eq', 'ne', 'gt', 'gte', 'lt', 'lte', 'in', 'nin', 'and', and 'or'.",
    ),
    (
        SearchStore,
        {"filters": eq("a", "in")},
        "Invalid type for 'filters.value': expected an array, but got a string instead.",
    ),
    (
        SearchStore,
        {"ranking_options": {"ranker": "best"}},
        "Invalid value: 'best'. Supported values are: 'none', 'auto', and 'default-2024-11-15'.",
    ),
    (
        SearchStore,
        {"max_num_results": 51},
        "Invalid 'max_num_results': integer above maximum value. Expected a value <= 50, but got 51 instead.",
    ),
]


@pytest.mark.parametrize(("kind", "said", "text"), TEXTS, ids=lambda one: one if isinstance(one, str) else None)
def test_a_refusal_has_the_services_text(kind: type[Body], said: dict[str, Any], text: str) -> None:
    assert refusal(kind, **said).message == text


FILE = FileId("file-1")


def test_a_store_is_made_with_the_services_defaults() -> None:
    assert parse(CreateStore, b"", allow_empty=True).to_domain() == NewVectorStore()
    assert parse(CreateStore, raw(CreateStore, name=None, file_ids=None)).to_domain() == NewVectorStore()


def test_a_store_is_made_as_it_is_asked_for() -> None:
    said = raw(
        CreateStore,
        file_ids=["file-1", "file-2"],
        name="n",
        description="d",
        expires_after=days(3),
        chunking_strategy=static(1200, 250),
        metadata={"k": "v"},
    )
    files = tuple(NewStoreFile(FileId(file), {}, StaticChunking(1200, 250)) for file in ("file-1", "file-2"))
    assert parse(CreateStore, said).to_domain() == NewVectorStore("n", "d", ExpiresAfter(3), files, {"k": "v"})


def test_a_null_takes_a_name_or_an_expiry_away_but_never_metadata() -> None:
    patch = parse(ModifyStore, raw(ModifyStore, name=None, expires_after=None, metadata=None)).to_domain()
    assert (patch.fields, patch.values) == ({"name", "expires_after"}, NewVectorStore())
    patch = parse(ModifyStore, raw(ModifyStore, expires_after=days(2), metadata={})).to_domain()
    assert (patch.fields, patch.values) == (
        {"expires_after", "metadata"},
        NewVectorStore(expires_after=ExpiresAfter(2)),
    )
    assert parse(ModifyStore, b"", allow_empty=True).to_domain().fields == frozenset()


def test_a_file_is_cut_as_auto_says_unless_told_otherwise_and_keeps_its_attributes_as_given() -> None:
    attributes = {"year": 2024, "share": 0.5, "done": True, "author": "me"}
    new = parse(CreateStoreFile, raw(CreateStoreFile, attributes=attributes)).to_domain()
    assert new == NewStoreFile(FILE, attributes)
    assert [type(value) for value in new.attributes.values()] == [int, float, bool, str]
    for said in (None, {"type": "auto"}):
        assert parse(CreateStoreFile, raw(CreateStoreFile, chunking_strategy=said)).to_domain() == NewStoreFile(FILE)


def test_attributes_are_replaced_and_null_is_none_of_them() -> None:
    assert parse(ModifyStoreFile, b'{"attributes":{"k":1}}').to_domain() == {"k": 1}
    assert parse(ModifyStoreFile, b'{"attributes":null}').to_domain() == {}
    with pytest.raises(InvalidRequest, match="Missing required parameter: 'attributes'"):
        parse(ModifyStoreFile, b"{}")


def test_what_a_batch_says_of_all_counts_for_file_ids_and_not_for_files() -> None:
    everywhere: dict[str, Any] = {"attributes": {"k": 1}, "chunking_strategy": static(200, 0)}
    one = parse(CreateBatch, raw(CreateBatch, file_ids=["file-1", "file-2"], **everywhere)).to_domain()
    assert one == tuple(NewStoreFile(FileId(file), {"k": 1}, StaticChunking(200, 0)) for file in ("file-1", "file-2"))
    other = {"file_id": "file-2", "attributes": {"k": 2}, "chunking_strategy": static(300, 0)}
    files = parse(CreateBatch, raw(CreateBatch, files=[{"file_id": "file-1"}, other], **everywhere)).to_domain()
    assert files == (NewStoreFile(FILE), NewStoreFile(FileId("file-2"), {"k": 2}, StaticChunking(300, 0)))


def test_a_search_has_the_services_defaults() -> None:
    assert parse(SearchStore, raw(SearchStore)).to_domain() == StoreSearch(("q",))
    nulls = dict.fromkeys(("rewrite_query", "max_num_results", "filters", "ranking_options"))
    assert parse(SearchStore, raw(SearchStore, **nulls)).to_domain() == StoreSearch(("q",))


def test_a_search_asks_for_what_it_says() -> None:
    said = raw(
        SearchStore,
        query=["a", "b"],
        rewrite_query=True,
        max_num_results=3,
        filters={"type": "and", "filters": [eq(2024, "gte"), {"type": "or", "filters": [eq(["a", 1], "in")]}]},
        ranking_options={"ranker": "none", "score_threshold": 0.5, **hybrid(2, 1)},
    )
    either = Compound(LogicalOperator.OR, (Comparison(Comparator.IN, "k", ("a", 1)),))
    wanted = Compound(LogicalOperator.AND, (Comparison(Comparator.GTE, "k", 2024), either))
    assert parse(SearchStore, said).to_domain() == StoreSearch(
        ("a", "b"), wanted, 3, 0.5, HybridWeights(2.0, 1.0), rerank=False
    )


@pytest.mark.parametrize("ranker", ["auto", "default-2024-11-15"])
def test_every_ranker_but_none_reranks(ranker: str) -> None:
    assert parse(SearchStore, raw(SearchStore, ranking_options={"ranker": ranker})).to_domain().rerank


def test_an_assistant_and_a_thread_may_have_a_store_made_for_them() -> None:
    resources = helper({"file_ids": IDS, "metadata": {"k": "v"}, "expires_after": days(2)})
    wanted = NewVectorStore(expires_after=ExpiresAfter(2), files=(NewStoreFile(FILE),), metadata={"k": "v"})
    assistant = parse(CreateAssistant, raw(CreateAssistant, tool_resources=resources)).to_domain()
    thread = parse(CreateThread, raw(CreateThread, tool_resources=resources)).to_domain()
    both = parse(CreateThreadAndRun, raw(CreateThreadAndRun, thread={"tool_resources": resources})).to_domain()[0]
    for new in (assistant, thread, both):
        assert (new.new_store, new.tool_resources) == (wanted, ToolResources(vector_store_ids=()))


def test_no_store_to_be_made_is_no_store() -> None:
    nothing: dict[str, Any] = {"file_search": {}}
    for resources in (helper(), helper(vector_store_ids=["vs_1"]), nothing, None):
        assert parse(CreateThread, raw(CreateThread, tool_resources=resources)).to_domain().new_store is None


@pytest.mark.parametrize("ids", [["vs_1"], []])
@pytest.mark.parametrize("kind", [CreateAssistant, CreateThread])
def test_a_store_is_either_named_or_made(kind: type[Body], ids: list[str]) -> None:
    told = refusal(kind, tool_resources=helper({}, vector_store_ids=ids))
    first, second = (f"tool_resources.file_search.{name}" for name in ("vector_store_ids", "vector_stores"))
    assert told.message == (
        f"Mutually exclusive parameters: '{first}', '{second}'. "
        f"Ensure you are only providing one of: '{first}' or '{second}'."
    )
    assert told.code == "mutually_exclusive_parameters"


@pytest.mark.parametrize("kind", [ModifyAssistant, ModifyThread, CreateThreadAndRun])
def test_no_store_is_made_for_what_exists_or_for_one_run(kind: type[Body]) -> None:
    told = refusal(kind, tool_resources=helper({}))
    assert (told.param, told.code) == (STORES, "unknown_parameter")


def test_files_of_a_store_are_listed_by_status() -> None:
    assert store_files_query({}) == (PageQuery(), None)
    query, status = store_files_query({"filter": "failed", "order": "asc", "limit": "100"})
    assert (query, status) == (PageQuery(100, Order.ASC), VectorStoreFileStatus.FAILED)
    with pytest.raises(InvalidRequest) as caught:
        store_files_query({"filter": "done"})
    assert caught.value.message == (
        "Invalid value: 'done'. Supported values are: 'in_progress', 'completed', 'failed', and 'cancelled'."
    )
    assert (caught.value.param, caught.value.code) == ("filter", "invalid_value")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["type", "key", "value", "filters", "static", "days"]), inner, max_size=3)
    ),
)
FIELDS = sorted({name for body in BODIES for name in body.model_fields})


@given(st.sampled_from(BODIES), st.dictionaries(st.sampled_from(FIELDS), JSON))
def test_any_json_is_understood_or_refused_never_a_crash(kind: type[Body], said: dict[str, Any]) -> None:
    try:
        body = parse(kind, raw(kind, **said))
    except InvalidRequest as error:
        assert error.message
    else:
        getattr(body, "to_domain")()  # noqa: B009 - each of these bodies has one, their base does not
