"""Every limit at its exact edge, and the texts clients match (behaviour.md 8.3)."""

import json
from typing import Any, NamedTuple

import pytest

from tests.wire.edge import Edge
from threadmill.domain.error import InvalidRequest
from threadmill.wire.request.body import Body, parse
from threadmill.wire.request.run_thread_bodies import (
    CreateAssistant,
    CreateMessage,
    CreateRun,
    CreateThread,
    CreateThreadAndRun,
    ModifyMetadata,
    SubmitToolOutputs,
)
from threadmill.wire.request.search import SearchStore
from threadmill.wire.request.vector_stores import CreateStore, ModifyStore

CODE = {"type": "code_interpreter"}
LEAST: dict[type[Body], dict[str, Any]] = {
    CreateAssistant: {"model": "m"},
    CreateRun: {"assistant_id": "asst_1"},
    CreateThreadAndRun: {"assistant_id": "asst_1"},
    CreateMessage: {"role": "user", "content": "hi"},
    SearchStore: {"query": "q"},
    SubmitToolOutputs: {"tool_outputs": []},
}
"""What each body needs at least."""


def ask(kind: type[Body], **said: Any) -> Body:
    return parse(kind, json.dumps({**LEAST.get(kind, {}), **said}).encode())


class Told(NamedTuple):
    """What a refusal says; `message` up to where the value is repeated."""

    message: str
    param: str | None
    code: str | None


def refusal(kind: type[Body], **said: Any) -> Told:
    with pytest.raises(InvalidRequest) as caught:
        ask(kind, **said)
    return Told(caught.value.message, caught.value.param, caught.value.code)


def function(name: str) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name}}


def schema(name: str) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": name}}


def search(**options: Any) -> list[dict[str, Any]]:
    return [{"type": "file_search", "file_search": options}]


def tool_files(count: int) -> dict[str, Any]:
    return {"code_interpreter": {"file_ids": ["file-1"] * count}}


def stores(count: int) -> dict[str, Any]:
    return {"file_search": {"vector_store_ids": ["vs_1"] * count}}


def last(count: int) -> dict[str, Any]:
    return {"type": "last_messages", "last_messages": count}


EDGES: list[tuple[type[Body], str, Any, Any, str, str]] = [
    (CreateAssistant, "name", "x" * 256, "x" * 257, "name", "string_above_max_length"),
    (CreateAssistant, "description", "x" * 512, "x" * 513, "description", "string_above_max_length"),
    (CreateAssistant, "instructions", "x" * 256_000, "x" * 256_001, "instructions", "string_above_max_length"),
    (CreateAssistant, "tools", [CODE] * 128, [CODE] * 129, "tools", "array_above_max_length"),
    (CreateAssistant, "temperature", 2, 2.01, "temperature", "decimal_above_max_value"),
    (CreateAssistant, "temperature", 0, -0.01, "temperature", "decimal_below_min_value"),
    (CreateAssistant, "top_p", 1.0, 1.01, "top_p", "decimal_above_max_value"),
    (CreateAssistant, "top_p", 0, -1, "top_p", "decimal_below_min_value"),
    (CreateAssistant, "model", "m", "", "model", "empty_string"),
    (
        CreateAssistant,
        "metadata",
        {str(n): "" for n in range(16)},
        {str(n): "" for n in range(17)},
        "metadata",
        "object_above_max_properties",
    ),
    (
        CreateAssistant,
        "metadata",
        {"k" * 64: ""},
        {"k" * 65: ""},
        f"metadata.{'k' * 65}",
        "property_name_above_max_length",
    ),
    (CreateAssistant, "metadata", {"k": "v" * 512}, {"k": "v" * 513}, "metadata.k", "string_above_max_length"),
    (CreateAssistant, "metadata", {"k": ""}, {"k": True}, "metadata.k", "invalid_type"),
    (
        CreateAssistant,
        "tool_resources",
        tool_files(20),
        tool_files(21),
        "tool_resources.code_interpreter.file_ids",
        "array_above_max_length",
    ),
    (
        CreateAssistant,
        "tool_resources",
        stores(1),
        stores(2),
        "tool_resources.file_search.vector_store_ids",
        "array_above_max_length",
    ),
    (CreateAssistant, "tools", [function("a" * 64)], [function("a" * 65)], "tools[0].function.name", "invalid_value"),
    (CreateAssistant, "tools", [function("aZ0_-")], [CODE, function("a b")], "tools[1].function.name", "invalid_value"),
    (
        CreateAssistant,
        "tools",
        search(max_num_results=50),
        search(max_num_results=51),
        "tools[0].file_search.max_num_results",
        "integer_above_max_value",
    ),
    (
        CreateAssistant,
        "tools",
        search(max_num_results=1),
        search(max_num_results=0),
        "tools[0].file_search.max_num_results",
        "integer_below_min_value",
    ),
    (
        CreateAssistant,
        "response_format",
        schema("a" * 64),
        schema("a" * 65),
        "response_format.json_schema.name",
        "invalid_value",
    ),
    (CreateAssistant, "reasoning_effort", "max", "most", "reasoning_effort", "invalid_value"),
    (CreateRun, "tools", [CODE] * 20, [CODE] * 21, "tools", "array_above_max_length"),
    (CreateRun, "max_prompt_tokens", 16, 0, "max_prompt_tokens", "integer_below_min_value"),
    (CreateRun, "max_completion_tokens", 1, 0, "max_completion_tokens", "integer_below_min_value"),
    (CreateRun, "max_completion_tokens", 2**53 - 1, 2**53, "max_completion_tokens", "integer_above_max_value"),
    (
        CreateRun,
        "truncation_strategy",
        last(1),
        last(0),
        "truncation_strategy.last_messages",
        "integer_below_min_value",
    ),
    (
        CreateRun,
        "additional_instructions",
        "x" * 256_000,
        "x" * 256_001,
        "additional_instructions",
        "string_above_max_length",
    ),
    (CreateMessage, "content", "x" * 256_000, "x" * 256_001, "content", "string_above_max_length"),
    (CreateMessage, "content", " ", "", "content", "invalid_value"),
    (CreateMessage, "content", [{"type": "text", "text": "a"}], [], "content", "invalid_value"),
    (
        CreateMessage,
        "content",
        [{"type": "text", "text": "a"}],
        [{"type": "text", "text": ""}],
        "content",
        "invalid_value",
    ),
]


@pytest.mark.parametrize("edge", [Edge(*row) for row in EDGES], ids=lambda one: f"{one.param[:40]} {one.code}")
def test_a_limit_holds_at_its_edge(edge: Edge) -> None:
    ask(edge.kind, **{edge.field: edge.taken})
    assert refusal(edge.kind, **{edge.field: edge.refused})[1:] == (edge.param, edge.code)


TEXTS: list[tuple[type[Body], dict[str, Any], Told]] = [
    (
        CreateMessage,
        {"role": "human"},
        Told("Invalid value: 'human'. Supported values are: 'user' and 'assistant'.", "role", "invalid_value"),
    ),
    (
        CreateRun,
        {"assistant_id": None},
        Told("Missing required parameter: 'assistant_id'.", "assistant_id", "missing_required_parameter"),
    ),
    (
        CreateRun,
        {"assistant_id": "undefined"},
        Told(
            "Invalid 'assistant_id': 'undefined'. Expected an ID that begins with 'asst'.",
            "assistant_id",
            "invalid_value",
        ),
    ),
    (
        ModifyMetadata,
        {"metadata": {"modified": True}},
        Told(
            "Invalid type for 'metadata.modified': expected a string, but got a boolean instead.",
            "metadata.modified",
            "invalid_type",
        ),
    ),
    (
        ModifyMetadata,
        {"metadata": {str(n): "" for n in range(17)}},
        Told(
            "Invalid 'metadata': too many properties. Expected an object with at most 16 properties, "
            "but got an object with 17 properties instead.",
            "metadata",
            "object_above_max_properties",
        ),
    ),
    (
        ModifyMetadata,
        {"metadata": {"k": "v" * 513}},
        Told(
            "Invalid 'metadata.k': string too long. Expected a string with maximum length 512, "
            "but got a string with length 513 instead.",
            "metadata.k",
            "string_above_max_length",
        ),
    ),
    (
        ModifyMetadata,
        {"metadata": {"k" * 65: "v"}},
        Told(
            f"Invalid property name in 'metadata': '{'k' * 65}' is too long. Expected a string with maximum length 64, "
            "but got a string with length 65 instead.",
            f"metadata.{'k' * 65}",
            "property_name_above_max_length",
        ),
    ),
    (ModifyMetadata, {"foo": None}, Told("Unknown parameter: 'foo'.", "foo", "unknown_parameter")),
    (
        CreateThreadAndRun,
        {"additional_instructions": "x"},
        Told("Unknown parameter: 'additional_instructions'.", "additional_instructions", "unknown_parameter"),
    ),
    (
        CreateAssistant,
        {"temperature": 2.1},
        Told(
            "Invalid 'temperature': decimal above maximum value. Expected a value <= 2, but got 2.1 instead.",
            "temperature",
            "decimal_above_max_value",
        ),
    ),
    (
        CreateMessage,
        {"content": 5},
        Told(
            "Invalid type for 'content': expected one of a string or array of objects, but got an integer instead.",
            "content",
            "invalid_type",
        ),
    ),
    (CreateMessage, {"content": ""}, Told("Message content must be non-empty.", "content", "invalid_value")),
]


@pytest.mark.parametrize(("kind", "said", "told"), TEXTS, ids=lambda one: getattr(one, "code", None))
def test_a_refusal_has_the_services_text(kind: type[Body], said: dict[str, Any], told: Told) -> None:
    assert refusal(kind, **said) == told


def image(url: str, **more: str) -> list[dict[str, Any]]:
    return [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": url, **more}}]


PLACES: list[tuple[type[Body], dict[str, Any], str]] = [
    (CreateThread, {"messages": [{"role": "x", "content": "a"}]}, "messages[0].role"),
    (CreateThread, {"messages": [{"role": None, "content": "a"}]}, "messages[0].role"),
    (CreateThread, {"messages": [{"role": "user", "content": ""}]}, "messages[0].content"),
    (CreateThread, {"messages": [{"role": "user", "content": "a", "metadata": {"k": 1}}]}, "messages[0].metadata.k"),
    (CreateThread, {"messages": [{"role": "user", "content": image("x")}]}, "messages[0].content[1].image_url.url"),
    (
        CreateThreadAndRun,
        {"thread": {"messages": [{"role": "user", "content": [{}]}]}},
        "thread.messages[0].content[0].type",
    ),
    (CreateThreadAndRun, {"thread": {"metadata": {"k": 1}}}, "thread.metadata.k"),
    (CreateRun, {"additional_messages": [LEAST[CreateMessage], {"role": "user"}]}, "additional_messages[1].content"),
    (CreateMessage, {"content": image("https://a", detail="x")}, "content[1].image_url.detail"),
    (CreateMessage, {"content": [{"type": "image_file", "image_file": {}}]}, "content[0].image_file.file_id"),
    (CreateMessage, {"content": [{"type": "video"}]}, "content[0].type"),
    (CreateMessage, {"content": ["a"]}, "content[0]"),
    (CreateMessage, {"attachments": [{"tools": [{"type": "function"}]}]}, "attachments[0].tools[0].type"),
    (CreateAssistant, {"tools": [{"type": 5}]}, "tools[0].type"),
    (CreateAssistant, {"tools": [{"type": "function", "function": {}}]}, "tools[0].function.name"),
    (CreateAssistant, {"tools": [{"type": "function"}]}, "tools[0].function"),
    (CreateAssistant, {"tools": [{**CODE, "x": 1}]}, "tools[0].x"),
    (CreateAssistant, {"tools": search(ranking_options={})}, "tools[0].file_search.ranking_options.score_threshold"),
    (CreateAssistant, {"response_format": "json"}, "response_format"),
    (CreateAssistant, {"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
    (CreateAssistant, {"response_format": {**schema("a"), "type": "text"}}, "response_format.json_schema"),
    (CreateRun, {"tool_choice": "always"}, "tool_choice"),
    (CreateRun, {"tool_choice": ["auto"]}, "tool_choice"),
    (CreateRun, {"tool_choice": {"type": "function"}}, "tool_choice.function"),
    (CreateRun, {"truncation_strategy": {"type": "last_messages"}}, "truncation_strategy.last_messages"),
    (CreateRun, {"stream": "yes"}, "stream"),
    (CreateRun, {"max_prompt_tokens": 256.5}, "max_prompt_tokens"),
    (CreateRun, {"temperature": 10**300 * 10**100}, "temperature"),
    (SubmitToolOutputs, {"tool_outputs": [{"tool_call_id": 1}]}, "tool_outputs[0].tool_call_id"),
    (SubmitToolOutputs, {"tool_outputs": [{"output": {}}]}, "tool_outputs[0].output"),
]


@pytest.mark.parametrize(("kind", "said", "param"), PLACES, ids=lambda one: one if isinstance(one, str) else None)
def test_a_refusal_names_the_place(kind: type[Body], said: dict[str, Any], param: str) -> None:
    told = refusal(kind, **said)
    assert told.param == param
    assert "\x1f" not in told.message
    assert "¦" not in told.message


def test_of_several_mistakes_the_first_is_told_and_unknown_parameters_last() -> None:
    assert refusal(CreateAssistant, foo=1, name=5, top_p=7).param == "name"


@pytest.mark.parametrize(
    ("kind", "param", "item", "most"),
    [
        (CreateThread, "messages", {}, 10_000),
        (CreateRun, "additional_messages", {}, 10_000),
        (CreateMessage, "content", {}, 256),
        (CreateMessage, "attachments", {"tools": 1}, 500),
        (SubmitToolOutputs, "tool_outputs", [], 512),
        (CreateAssistant, "tools", {}, 128),
        (SearchStore, "query", 1, 32),
    ],
)
def test_the_number_of_items_is_told_before_any_item_is_looked_at(
    kind: type[Body], param: str, item: Any, most: int
) -> None:
    text = f"array too long. Expected an array with maximum length {most}, but got an array with length {most + 1}"
    told = refusal(kind, **{param: [item] * (most + 1)})
    assert (told.param, told.code) == (param, "array_above_max_length")
    assert text in told.message
    assert "array too long" not in refusal(kind, **{param: [item] * most}).message


def leaf(comparator: str = "eq", value: object = 1) -> dict[str, Any]:
    return {"type": comparator, "key": "k", "value": value}


def test_a_search_is_bounded_in_questions_filters_values_and_weights() -> None:
    told = refusal(SearchStore, query="x" * 8_193)
    assert (told.param, told.code) == ("query", "string_above_max_length")
    ask(SearchStore, query="x" * 8_192, filters={"type": "and", "filters": [leaf()] * 255})
    wide = {"type": "and", "filters": [{"type": "or", "filters": [leaf()] * 16}] * 16}
    for filters in (wide, {"type": "and", "filters": [leaf()] * 256}):
        told = refusal(SearchStore, query="x", filters=filters)
        assert (told.param, told.code) == ("filters", "array_above_max_length")
    ask(SearchStore, query="x", filters=leaf("in", [1] * 1_000))
    told = refusal(SearchStore, query="x", filters=leaf("in", [1] * 1_001))
    assert (told.param, told.code) == ("filters.value", "array_above_max_length")
    weights = {"embedding_weight": 1e308, "text_weight": 1e308}
    told = refusal(SearchStore, query="x", ranking_options={"hybrid_search": weights})
    assert (told.param, told.code) == (
        "ranking_options.hybrid_search.embedding_weight",
        "decimal_above_max_value",
    )


def test_a_functions_description_has_a_length() -> None:
    for most in (16_384, 16_385):
        tool = {"type": "function", "function": {"name": "f", "description": "x" * most}}
        if most == 16_384:
            ask(CreateAssistant, model="m", tools=[tool])
        else:
            told = refusal(CreateAssistant, model="m", tools=[tool])
            assert (told.param, told.code) == ("tools[0].function.description", "string_above_max_length")


@pytest.mark.parametrize(
    ("kind", "param", "most"),
    [
        (CreateStore, "name", 256),
        (CreateStore, "description", 512),
        (ModifyStore, "name", 256),
        (CreateAssistant, "model", 256),
    ],
)
def test_names_and_descriptions_have_a_length(kind: type[Body], param: str, most: int) -> None:
    ask(kind, **{param: "x" * most})
    told = refusal(kind, **{param: "x" * (most + 1)})
    assert (told.param, told.code) == (param, "string_above_max_length")
