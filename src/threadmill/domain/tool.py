"""Tool definitions, tool calls and tool outputs (behaviour.md 2.3 and 6).

JSON Schemas of functions and filters are the caller's own documents: they are carried as JSON text, never looked into.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, TypeAlias

from threadmill.domain.ids import CallId, FileId, VectorStoreId

Json: TypeAlias = str
"""A JSON document as compact text, key order kept."""


@dataclass(frozen=True, slots=True)
class FunctionTool:
    """A function the client executes. `parameters` is its JSON Schema."""

    name: str
    description: str | None = None
    parameters: Json = '{"type":"object","properties":{}}'
    strict: bool | None = False
    type: Literal["function"] = "function"


@dataclass(frozen=True, slots=True)
class CodeInterpreterTool:
    """Model-written Python, executed by this server."""

    type: Literal["code_interpreter"] = "code_interpreter"


@dataclass(frozen=True, slots=True)
class RankingOptions:
    """How file_search ranks: `score_threshold` 0..1; `hybrid_search` is the caller's JSON or absent."""

    ranker: str = "default_2024_08_21"
    score_threshold: float = 0.0
    hybrid_search: Json | None = None


@dataclass(frozen=True, slots=True)
class FileSearchTool:
    """Search in vector stores, executed by this server."""

    ranking_options: RankingOptions = field(default_factory=RankingOptions)
    max_num_results: int | None = None
    type: Literal["file_search"] = "file_search"


Tool: TypeAlias = FunctionTool | CodeInterpreterTool | FileSearchTool


@dataclass(frozen=True, slots=True)
class ToolResources:
    """Files and stores at the tools' disposal. None: nothing was said about that tool; (): said to be empty."""

    file_ids: tuple[FileId, ...] | None = None
    vector_store_ids: tuple[VectorStoreId, ...] | None = None


class ToolChoiceMode(StrEnum):
    """The string forms of `tool_choice`."""

    NONE = "none"
    AUTO = "auto"
    REQUIRED = "required"


@dataclass(frozen=True, slots=True)
class NamedToolChoice:
    """The object forms of `tool_choice`; `function` is set exactly when `type` is "function"."""

    type: str
    function: str | None = None


@dataclass(frozen=True, slots=True)
class ToolChoice:
    """Exactly one of the two is set."""

    mode: ToolChoiceMode | None = ToolChoiceMode.AUTO
    named: NamedToolChoice | None = None


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """A call of the client's function; `output` is null until the client has submitted it."""

    id: CallId
    name: str
    arguments: str
    output: str | None = None
    type: Literal["function"] = "function"


@dataclass(frozen=True, slots=True)
class CodeOutput:
    """One output of a code_interpreter call: `logs` text or an `image` file, exactly one of them."""

    logs: str | None = None
    image: FileId | None = None


@dataclass(frozen=True, slots=True)
class CodeInterpreterCall:
    """Code the model wrote and what it gave. `note` is what the model alone was told besides; the wire has no place."""

    id: CallId
    input: str
    outputs: tuple[CodeOutput, ...] = ()
    note: str = ""
    type: Literal["code_interpreter"] = "code_interpreter"


@dataclass(frozen=True, slots=True)
class SearchResult:
    """One hit of file_search: `score` 0..1, `content` the chunks' texts, `attributes` the file's JSON."""

    file_id: FileId
    file_name: str
    score: float
    content: tuple[str, ...] = ()
    attributes: Json = "{}"


@dataclass(frozen=True, slots=True)
class FileSearchCall:
    """A search the model asked for and its hits.

    The wire has no place for what follows `results`: what was asked for, what the model alone was told besides, and the
    number of the search in the markers that cite it.
    """

    id: CallId
    ranking_options: RankingOptions
    results: tuple[SearchResult, ...] = ()
    queries: tuple[str, ...] = ()
    note: str = ""
    number: int = 4
    type: Literal["file_search"] = "file_search"


ToolCall: TypeAlias = FunctionCall | CodeInterpreterCall | FileSearchCall


@dataclass(frozen=True, slots=True)
class ToolOutput:
    """What the client submits for one function call."""

    tool_call_id: CallId
    output: str


class ResponseFormatType(StrEnum):
    """Kinds of `response_format`; AUTO is the bare string on the wire."""

    AUTO = "auto"
    TEXT = "text"
    JSON_OBJECT = "json_object"
    JSON_SCHEMA = "json_schema"


@dataclass(frozen=True, slots=True)
class ResponseFormat:
    """`json_schema` holds the caller's object `{name, description, schema, strict}` and is set for JSON_SCHEMA only."""

    type: ResponseFormatType = ResponseFormatType.AUTO
    json_schema: Json | None = None
