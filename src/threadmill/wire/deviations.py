"""Where answers leave the pinned schema: the ONE list, read by the schema checker and the conformance page.

The wire rule (design.md): send the union of what the schema requires and what the service really sent.
"""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """How an answer and the schema differ."""

    ADDED = "added"
    """A field the schema does not know, sent where the service sent it."""
    WIDENED = "wider"
    """A value the schema does not allow for a field it knows."""
    OMITTED_BY_SERVICE = "left out"
    """A field the schema requires and the service left out; this server sends it, behind the recorded ones."""


@dataclass(frozen=True, slots=True)
class Deviation:
    """One place. `object` is a schema of the spec, `field` a property of it, dots leading deeper.

    `schema` is the JSON Schema of what is sent there, empty for what is left out; `reason` a section of behaviour.md.
    """

    object: str
    field: str
    kind: Kind
    description: str
    reason: str
    schema: str = ""


@dataclass(frozen=True, slots=True)
class AddedOperation:
    """An operation of this server that the spec does not have.

    `response_schema` is that of its 200, empty where that is a stream of events; `query` names its parameters.
    """

    method: str
    path: str
    operation_id: str
    description: str
    response_schema: str
    query: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AddedParameter:
    """A parameter the spec does not know, echoed on `object` where it was given.

    `bodies` are the schemas of the requests that take it, `schema` is its JSON Schema with every limit that is kept,
    `description` what the command line and the conformance page tell of it, `example` a value in its JSON form.
    """

    name: str
    bodies: tuple[str, ...]
    object: str
    schema: str
    description: str
    example: str


@dataclass(frozen=True, slots=True)
class OtherContent:
    """An operation whose 200 is not the JSON the spec says it is."""

    operation: str
    content_type: str
    description: str
    reason: str


_NULL_OR_TEXT = '{"type":["string","null"]}'
_LISTS = (
    "ListAssistantsResponse",
    "ListMessagesResponse",
    "ListRunsResponse",
    "ListRunStepsResponse",
    "ListFilesResponse",
    "ListVectorStoresResponse",
    "ListVectorStoreFilesResponse",
)
_USAGES = ("RunCompletionUsage", "RunStepCompletionUsage")
_MESSAGE_STATUS = ("status", "incomplete_details", "incomplete_at", "completed_at")
_DETAIL = (
    '{"type":"object","required":["message","code"],"additionalProperties":false,'
    '"properties":{"message":{"type":"string"},"code":{"type":"null"}}}'
)
_RESOURCES = (
    '{"type":"object","additionalProperties":false,"properties":{'
    '"code_interpreter":{"type":"object","required":["file_ids"],"additionalProperties":false,'
    '"properties":{"file_ids":{"type":"array","maxItems":0}}}}}'
)


def _counts(name: str) -> str:
    return (
        f'{{"type":"object","required":["{name}"],"additionalProperties":false,'
        f'"properties":{{"{name}":{{"type":"integer"}}}}}}'
    )


ADDED_PARAMETERS: tuple[AddedParameter, ...] = (
    AddedParameter(
        "seed",
        ("CreateRunRequest", "CreateThreadAndRunRequest"),
        "RunObject",
        '{"type":"integer","minimum":-9223372036854775808,"maximum":9223372036854775807}',
        "Asks the model to answer alike each time: passed on to the upstream as it is.",
        "7",
    ),
)

DEVIATIONS: tuple[Deviation, ...] = (
    *(
        Deviation(row.object, row.name, Kind.ADDED, "as it was asked for, and only then", "ours", row.schema)
        for row in ADDED_PARAMETERS
    ),
    Deviation("ErrorResponse", "detail", Kind.ADDED, "errors of /files are said twice", "0.12", _DETAIL),
    *(
        Deviation(usage, field, Kind.ADDED, what, "0.2", _counts(count))
        for usage in _USAGES
        for field, count, what in (
            ("prompt_token_details", "cached_tokens", "part of prompt_tokens; spelt as the service does"),
            ("completion_tokens_details", "reasoning_tokens", "part of completion_tokens"),
        )
    ),
    Deviation("AssistantObject", "reasoning_effort", Kind.ADDED, "the effort asked for, or null", "0.3", _NULL_OR_TEXT),
    Deviation("RunObject", "reasoning_effort", Kind.ADDED, "the effort asked for, or null", "0.3", _NULL_OR_TEXT),
    Deviation("RunObject", "tool_resources", Kind.ADDED, "{} over REST, no files in events", "0.3", _RESOURCES),
    Deviation(
        "RunStepObject",
        "expires_at",
        Kind.ADDED,
        "the run's, null once fetched after it ended",
        "0.4",
        '{"type":["integer","null"]}',
    ),
    Deviation("RunStepObject", "expired_at", Kind.OMITTED_BY_SERVICE, "comes last", "0.4"),
    Deviation("RunStepObject", "metadata", Kind.OMITTED_BY_SERVICE, "comes last, always {}", "0.4"),
    *(
        Deviation("MessageObject", field, Kind.OMITTED_BY_SERVICE, "comes last over REST; events have it", "0.1")
        for field in _MESSAGE_STATUS
    ),
    Deviation(
        "MessageObject",
        "file_ids",
        Kind.ADDED,
        "in the answer to modify, where attachments stand elsewhere",
        "0.5",
        '{"type":"array","maxItems":0}',
    ),
    Deviation("MessageObject", "attachments", Kind.OMITTED_BY_SERVICE, "comes last in the answer to modify", "0.5"),
    Deviation("RunObject", "instructions", Kind.WIDENED, "null when the assistant has none", "0.6", '{"type":"null"}'),
    Deviation(
        "RunStepDetailsToolCallsFileSearchResultObject",
        "attributes",
        Kind.ADDED,
        "the file's attributes",
        "0.8",
        '{"type":"object"}',
    ),
    Deviation(
        "FileSearchRankingOptions",
        "hybrid_search",
        Kind.ADDED,
        "the weights asked for, or null",
        "0.9",
        '{"type":["object","null"]}',
    ),
    *(
        Deviation("RunObject", field, Kind.WIDENED, "less than 256 is taken and echoed", "0.13", '{"type":"integer"}')
        for field in ("max_prompt_tokens", "max_completion_tokens")
    ),
    Deviation(
        "RunObject",
        "tools",
        Kind.WIDENED,
        "an assistant's tools are inherited whole, up to 128; a run's own are at most 20",
        "1.8",
        '{"type":"array","maxItems":128,"items":{"$ref":"#/components/schemas/AssistantObject/properties/tools/items"}}',
    ),
    *(
        Deviation("OpenAIFile", field, Kind.WIDENED, "null when there is nothing to tell", "7.1", '{"type":"null"}')
        for field in ("expires_at", "status_details")
    ),
    Deviation("OpenAIFile", "purpose", Kind.WIDENED, "what may be uploaded", "7.1", '{"const":"evals"}'),
    Deviation("VectorStoreObject", "description", Kind.ADDED, "what it is for, or null", "0.11", _NULL_OR_TEXT),
    *(
        Deviation("VectorStoreObject", field, Kind.WIDENED, "null when nothing was said", "7.2", '{"type":"null"}')
        for field in ("name", "expires_after")
    ),
    Deviation(
        "VectorStoreFileObject",
        "usage_bytes",
        Kind.OMITTED_BY_SERVICE,
        "was left out in 2025 where files were listed through their batch; sent always",
        "7.4",
    ),
    Deviation(
        "VectorStoreFileBatchObject",
        "object",
        Kind.WIDENED,
        "its name in the service's answers",
        "0.10",
        '{"const":"vector_store.file_batch"}',
    ),
    Deviation(
        "ErrorEvent",
        "data",
        Kind.WIDENED,
        "wrapped in {error}, the shape that makes both official clients raise",
        "3.5",
        '{"$ref":"#/components/schemas/ErrorResponse"}',
    ),
    *(
        Deviation(name, end, Kind.WIDENED, "null in an empty list", "8.4", '{"type":"null"}')
        for name in _LISTS
        for end in ("first_id", "last_id")
    ),
)

_SPAN = (
    '{"type":"object","required":["name","kind","start_time","end_time","attributes","spans"],"additionalProperties":false,'
    '"properties":{"name":{"type":"string"},"kind":{"enum":[KINDS]},"start_time":{"type":"number"},'
    '"end_time":{"type":["number","null"]},"attributes":{"type":"object"},"spans":{"type":"array","items":ITEMS}}}'
)
_TRACE = (
    '{"type":"object","required":["object","run_id","thread_id","is_whole","span"],"additionalProperties":false,'
    '"properties":{"object":{"const":"thread.run.trace"},"run_id":{"type":"string"},"thread_id":{"type":"string"},'
    '"is_whole":{"type":"boolean"},"span":'
    + _SPAN.replace("KINDS", '"run"').replace(
        "ITEMS", _SPAN.replace("KINDS", '"queue","model","tool"').replace("ITEMS", "false")
    )
    + "}}"
)

ADDED_OPERATIONS: tuple[AddedOperation, ...] = (
    AddedOperation(
        "GET",
        "/threads",
        "listThreads",
        "the project's threads, paged as every list",
        '{"type":"object","required":["object","data","first_id","last_id","has_more"],"additionalProperties":false,'
        '"properties":{"object":{"const":"list"},"has_more":{"type":"boolean"},'
        '"first_id":{"type":["string","null"]},"last_id":{"type":["string","null"]},'
        '"data":{"type":"array","items":{"$ref":"#/components/schemas/ThreadObject"}}}}',
        ("limit", "order", "after", "before"),
    ),
    AddedOperation(
        "GET",
        "/threads/{thread_id}/runs/{run_id}/events",
        "listRunEvents",
        "the run's events as SSE, live or over, behind `Last-Event-ID` or `after`",
        "",
        ("after", "include[]"),
    ),
    AddedOperation(
        "GET",
        "/threads/{thread_id}/runs/{run_id}/trace",
        "getRunTrace",
        "the run's record: queue, model calls, tool calls; their times, tokens, attempts and errors",
        _TRACE,
        (),
    ),
)

OTHER_CONTENT: tuple[OtherContent, ...] = (
    OtherContent(
        "GET /files/{file_id}/content",
        "application/octet-stream",
        "the file's own bytes, where the schema says a JSON string",
        "7.1",
    ),
)
