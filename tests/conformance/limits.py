"""Every limit of the spec and behaviour.md, at its edge: the last value taken, the first refused, and the whole refusal.

The tests ask for each over HTTP, the conformance page prints the table.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from threadmill.wire.deviations import ADDED_PARAMETERS, AddedParameter

ASSISTANTS = ("POST /assistants", "POST /assistants/{assistant_id}")
RUN, THREAD_AND_RUN = "POST /threads/{thread_id}/runs", "POST /threads/runs"
RUNS = (RUN, THREAD_AND_RUN)
THREAD, MESSAGE = "POST /threads", "POST /threads/{thread_id}/messages"
FILE = "POST /files"
UPLOAD = "POST /uploads"
LISTS = (
    "GET /assistants",
    "GET /threads",
    "GET /threads/{thread_id}/messages",
    "GET /threads/{thread_id}/runs",
    "GET /threads/{thread_id}/runs/{run_id}/steps",
    "GET /vector_stores",
    "GET /vector_stores/{vector_store_id}/files",
    "GET /vector_stores/{vector_store_id}/file_batches/{batch_id}/files",
)
FILES = "GET /files"
STORE, ONE_STORE = "POST /vector_stores", "POST /vector_stores/{vector_store_id}"
STORE_FILE, BATCH, SEARCH = f"{ONE_STORE}/files", f"{ONE_STORE}/file_batches", f"{ONE_STORE}/search"
ONE_STORE_FILE = f"{STORE_FILE}/{{file_id}}"

CODE = {"type": "code_interpreter"}
WORD = {"type": "text", "text": "x"}


class Limit(NamedTuple):
    """One limit of one place in some operations.

    `place` is the spec's name for it, `bound` the spec's keyword for the limit, or what the limit is of. `text` and
    `param` may hold `{param}`: the place as a refusal names it.
    """

    operations: Sequence[str]
    place: str
    bound: str
    taken: Any
    refused: Any
    code: str
    text: str
    param: str = "{param}"


def _long(operations: Sequence[str], place: str, limit: int, bound: str = "maxLength") -> Limit:
    text = (
        f"Invalid '{{param}}': string too long. Expected a string with maximum length {limit}, "
        f"but got a string with length {limit + 1} instead."
    )
    return Limit(operations, place, bound, "x" * limit, "x" * (limit + 1), "string_above_max_length", text)


def _many(operations: Sequence[str], place: str, limit: int, item: Any) -> Limit:
    text = (
        f"Invalid '{{param}}': array too long. Expected an array with maximum length {limit}, "
        f"but got an array with length {limit + 1} instead."
    )
    return Limit(operations, place, "maxItems", [item] * limit, [item] * (limit + 1), "array_above_max_length", text)


def _most(operations: Sequence[str], place: str, limit: int, step: float = 1) -> Limit:
    kind, refused = _kind(step), limit + step
    text = f"Invalid '{{param}}': {kind} above maximum value. Expected a value <= {limit}, but got {refused} instead."
    return Limit(operations, place, "maximum", limit, refused, f"{kind}_above_max_value", text)


def _least(operations: Sequence[str], place: str, limit: int, step: float = 1) -> Limit:
    kind, refused = _kind(step), limit - step
    text = f"Invalid '{{param}}': {kind} below minimum value. Expected a value >= {limit}, but got {refused} instead."
    return Limit(operations, place, "minimum", limit, refused, f"{kind}_below_min_value", text)


def _kind(step: float) -> str:
    return "decimal" if isinstance(step, float) else "integer"


def _name(operations: Sequence[str], place: str, refused: str) -> Limit:
    text = "Invalid '{param}': string does not match pattern. Expected a string that matches the pattern '^[a-zA-Z0-9_-]{1,64}$'."
    text = text.replace("{1,64}", "{{1,64}}")
    return Limit(operations, place, "name", "aZ0_-".ljust(64, "x"), refused, "invalid_value", text)


def _empty(operations: Sequence[str], place: str, taken: Any, refused: Any, bound: str) -> Limit:
    return Limit(operations, place, bound, taken, refused, "invalid_value", "Message content must be non-empty.")


_SAID = (
    ((MESSAGE,), ""),
    ((THREAD,), "messages[]."),
    ((THREAD_AND_RUN,), "thread.messages[]."),
    ((RUN,), "additional_messages[]."),
)
"""Where a message may be said."""

_METADATA = (
    (
        (
            *ASSISTANTS,
            THREAD,
            "POST /threads/{thread_id}",
            MESSAGE,
            "POST /threads/{thread_id}/messages/{message_id}",
            *RUNS,
            "POST /threads/{thread_id}/runs/{run_id}",
            STORE,
            ONE_STORE,
        ),
        "",
    ),
    ((THREAD,), "messages[]."),
    ((THREAD_AND_RUN,), "thread."),
    ((THREAD_AND_RUN,), "thread.messages[]."),
    ((RUN,), "additional_messages[]."),
    (("POST /assistants", THREAD), "tool_resources.file_search.vector_stores[]."),
    ((THREAD_AND_RUN,), "thread.tool_resources.file_search.vector_stores[]."),
)

_ATTRIBUTES = ((STORE_FILE, ONE_STORE_FILE, BATCH), ""), ((BATCH,), "files[].")

_CHUNKS = (
    ((STORE, STORE_FILE, BATCH), ""),
    ((BATCH,), "files[]."),
    (("POST /assistants", THREAD), "tool_resources.file_search.vector_stores[]."),
    ((THREAD_AND_RUN,), "thread.tool_resources.file_search.vector_stores[]."),
)


def _attributes(operations: Sequence[str], at: str) -> Sequence[Limit]:
    """Pairs as metadata has, their limits under the schema's words."""
    pairs, key, value = _metadata(operations, at)
    place = f"{at}attributes"
    return (
        pairs._replace(place=place, bound="maxProperties"),
        key._replace(place=place),
        value._replace(
            place=f"{place}.*",
            bound="maxLength",
            taken="v" * 512,
            refused="v" * 513,
            text=value.text.replace("{param}.k", "{param}"),
            param="{param}",
        ),
    )


def _chunks(operations: Sequence[str], at: str) -> Sequence[Limit]:
    size = f"{at}chunking_strategy.static.max_chunk_size_tokens"
    return (
        _least(operations, size, 100),
        _most(operations, size, 4_096),
        _least(operations, f"{at}chunking_strategy.static.chunk_overlap_tokens", 0),
        _most(operations, f"{at}chunking_strategy.static.chunk_overlap_tokens", 400),
    )


def _metadata(operations: Sequence[str], at: str) -> Sequence[Limit]:
    place, long_key = f"{at}metadata", "k" * 65
    pairs = {str(number): "" for number in range(16)}
    return (
        Limit(
            operations,
            place,
            "pairs",
            pairs,
            {**pairs, "16": ""},
            "object_above_max_properties",
            "Invalid '{param}': too many properties. Expected an object with at most 16 properties, "
            "but got an object with 17 properties instead.",
        ),
        Limit(
            operations,
            place,
            "key",
            {"k" * 64: ""},
            {long_key: ""},
            "property_name_above_max_length",
            f"Invalid property name in '{{param}}': '{long_key}' is too long. Expected a string with maximum length 64, "
            "but got a string with length 65 instead.",
            f"{{param}}.{long_key}",
        ),
        Limit(
            operations,
            place,
            "value",
            {"k": "v" * 512},
            {"k": "v" * 513},
            "string_above_max_length",
            "Invalid '{param}.k': string too long. Expected a string with maximum length 512, "
            "but got a string with length 513 instead.",
            "{param}.k",
        ),
    )


def _message(operations: Sequence[str], at: str) -> Sequence[Limit]:
    place, huge = f"{at}content", _long(operations, f"{at}content", 256_000)
    return (
        _empty(operations, place, [WORD], [], "minItems"),
        _empty(operations, place, "x", "", "text"),
        _empty(operations, place, [WORD], [{**WORD, "text": ""}], "text"),
        huge,
        huge._replace(
            taken=[{**WORD, "text": "x" * 128_000}] * 2, refused=[WORD, *([{**WORD, "text": "x" * 128_000}] * 2)]
        ),
    )


def _resources(operations: Sequence[str], at: str) -> Sequence[Limit]:
    return (
        _many(operations, f"{at}tool_resources.code_interpreter.file_ids", 20, "FILE"),
        _many(operations, f"{at}tool_resources.file_search.vector_store_ids", 1, "STORE"),
    )


def _new_stores(operations: Sequence[str], at: str) -> Limit:
    return _many(operations, f"{at}tool_resources.file_search.vector_stores", 1, {})


def _few(operations: Sequence[str], place: str, item: Any) -> Limit:
    text = "Invalid '{param}': empty array. Expected an array with minimum length 1, but got an empty array instead."
    return Limit(operations, place, "minItems", [item], [], "empty_array", text)


def _silent(operations: Sequence[str], place: str, taken: Any, refused: Any, bound: str) -> Limit:
    text = "Invalid '{param}': empty string. Expected a string with minimum length 1, but got an empty string instead."
    return Limit(operations, place, bound, taken, refused, "empty_string", text)


_OF_BODY = {"CreateRunRequest": RUN, "CreateThreadAndRunRequest": THREAD_AND_RUN}


def _added(row: AddedParameter) -> Iterator[Limit]:
    """A parameter of ours at both ends of what its own schema says."""
    schema: dict[str, Any] = json.loads(row.schema)
    operations = [_OF_BODY[body] for body in row.bodies]
    if "minimum" in schema:
        yield _least(operations, row.name, schema["minimum"])
    if "maximum" in schema:
        yield _most(operations, row.name, schema["maximum"])


LIMITS: tuple[Limit, ...] = (
    *(limit for row in ADDED_PARAMETERS for limit in _added(row)),
    _long(ASSISTANTS, "name", 256),
    _long(ASSISTANTS, "description", 512),
    _long((*ASSISTANTS, *RUNS), "instructions", 256_000),
    _long((RUN,), "additional_instructions", 256_000),
    _many(ASSISTANTS, "tools", 128, CODE),
    _many(RUNS, "tools", 20, CODE),
    _name((*ASSISTANTS, *RUNS), "tools[].function.name", "x" * 65),
    _name((*ASSISTANTS, *RUNS), "tools[].function.name", ""),
    _name((*ASSISTANTS, *RUNS), "tools[].function.name", "get weather"),
    _name((*ASSISTANTS, *RUNS), "response_format.json_schema.name", "x" * 65),
    _least((*ASSISTANTS, *RUNS), "tools[].file_search.max_num_results", 1),
    _most((*ASSISTANTS, *RUNS), "tools[].file_search.max_num_results", 50),
    _least((*ASSISTANTS, *RUNS), "tools[].file_search.ranking_options.score_threshold", 0, 0.01),
    _most((*ASSISTANTS, *RUNS), "tools[].file_search.ranking_options.score_threshold", 1, 0.01),
    _least((*ASSISTANTS, *RUNS), "temperature", 0, 0.01),
    _most((*ASSISTANTS, *RUNS), "temperature", 2, 0.01),
    _least((*ASSISTANTS, *RUNS), "top_p", 0, 0.01),
    _most((*ASSISTANTS, *RUNS), "top_p", 1, 0.01),
    _least(RUNS, "max_prompt_tokens", 1),
    _least(RUNS, "max_completion_tokens", 1),
    _least(RUNS, "truncation_strategy.last_messages", 1),
    *_resources((*ASSISTANTS, THREAD, "POST /threads/{thread_id}", THREAD_AND_RUN), ""),
    *_resources((THREAD_AND_RUN,), "thread."),
    *(limit for operations, at in _SAID for limit in _message(operations, at)),
    *(limit for operations, at in _METADATA for limit in _metadata(operations, at)),
    _new_stores(("POST /assistants", THREAD), ""),
    _new_stores((THREAD_AND_RUN,), "thread."),
    _many((STORE,), "file_ids", 500, "FILE"),
    _many((BATCH,), "file_ids", 2_000, "FILE"),
    _many((BATCH,), "files", 2_000, {"file_id": "FILE"}),
    _few((BATCH,), "file_ids", "FILE"),
    _few((BATCH,), "files", {"file_id": "FILE"}),
    _least((STORE, ONE_STORE), "expires_after.days", 1),
    _most((STORE, ONE_STORE), "expires_after.days", 365),
    *(limit for operations, at in _CHUNKS for limit in _chunks(operations, at)),
    *(limit for operations, at in _ATTRIBUTES for limit in _attributes(operations, at)),
    _silent((SEARCH,), "query", "x", "", "text"),
    _silent((SEARCH,), "query[]", ["x"], [""], "minItems"),
    _least((SEARCH,), "max_num_results", 1),
    _most((SEARCH,), "max_num_results", 50),
    _least((SEARCH,), "ranking_options.score_threshold", 0, 0.01),
    _most((SEARCH,), "ranking_options.score_threshold", 1, 0.01),
    _least((FILE, UPLOAD), "expires_after.seconds", 3_600),
    _most((FILE, UPLOAD), "expires_after.seconds", 2_592_000),
    _least((*LISTS, FILES), "limit", 1),
    _most(LISTS, "limit", 100),
    _most((FILES,), "limit", 10_000),
)

_BESIDE: dict[str, dict[str, Any]] = {
    "messages": {"role": "user"},
    "additional_messages": {"role": "user"},
    "tools.function": {"type": "function"},
    "tools.file_search": {"type": "file_search"},
    "ranking_options": {"score_threshold": 0},
    "response_format": {"type": "json_schema"},
    "truncation_strategy": {"type": "last_messages"},
    "tool_choice": {"type": "function"},
    "function": {"name": "weather"},
    "json_schema": {"name": "answer"},
    "tools.surprise": {"type": "code_interpreter"},
    "content.surprise": {"type": "text", "text": "x"},
    "content.text": {"type": "text"},
    "content.image_url": {"type": "image_url"},
    "content.image_file": {"type": "image_file"},
    "expires_after": {"anchor": "last_active_at", "days": 1},
    "chunking_strategy": {"type": "static"},
    "static": {"max_chunk_size_tokens": 800, "chunk_overlap_tokens": 0},
    "files": {"file_id": "FILE"},
    "filters.type": {"key": "k", "value": "v"},
    "filters.key": {"type": "eq", "value": "v"},
    "filters.value": {"type": "eq", "key": "k"},
    "filters.filters": {"type": "and"},
    "filters.surprise": {"type": "eq", "key": "k", "value": "v"},
    "chunking_strategy.surprise": {"type": "auto"},
    "image_url": {"url": "https://pictures.test/a.png"},
    "image_file": {"file_id": "FILE"},
}
"""What else must stand beside the place, by the field it stands in (and its own name)."""


def document(place: str, value: Any) -> dict[str, Any]:
    """The smallest body that has a value at a place."""
    first, _, rest = place.partition(".")
    name = first.removesuffix("[]")
    if not rest:
        return {"k" if name == "*" else name: value}
    inner = document(rest, value)
    below = rest.partition(".")[0].removesuffix("[]")
    beside = {**_BESIDE.get(name, {}), **_BESIDE.get(f"{name}.{below}", {})}
    if name.endswith("messages"):
        beside |= {"content": "x"}
    inner = {**beside, **inner}
    return {name: [inner] if first.endswith("[]") else inner}


def param_of(limit: Limit, operation: str) -> str:
    """The place as a refusal names it."""
    if operation == FILE:
        return "expires_after[seconds]"
    return limit.place.replace("[]", "[0]").replace(".*", ".k")
