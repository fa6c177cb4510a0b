"""What several bodies share: metadata, numbers, tools, response format, tool choice."""

from typing import Annotated, Any, Literal, cast

from pydantic import Field, StrictStr, model_validator
from pydantic.functional_validators import BeforeValidator

from threadmill.domain.error import InvalidRequest
from threadmill.domain.ranking import HybridWeights, check_weights
from threadmill.domain.strict_schema import strict_problem
from threadmill.domain.tool import (
    CodeInterpreterTool,
    FileSearchTool,
    FunctionTool,
    NamedToolChoice,
    RankingOptions,
    ResponseFormat,
    ResponseFormatType,
    Tool,
    ToolChoice,
    ToolChoiceMode,
)
from threadmill.wire.request import validation_error
from threadmill.wire.request.body import Body, to_json
from threadmill.wire.request.union import BY_JSON_TYPE, BY_TYPE, OBJECT, STRING, tag

MAX_METADATA_PAIRS, MAX_METADATA_KEY, MAX_METADATA_VALUE = 16, 64, 512

MAX_INTEGER = 2**53 - 1
"""No count is larger: what every JSON reader and both databases can hold."""


def _check_metadata(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    pairs = cast("dict[str, Any]", value)
    if len(pairs) > MAX_METADATA_PAIRS:
        raise validation_error.deferred_error(
            lambda at: validation_error.too_many_properties(at, MAX_METADATA_PAIRS, len(pairs))
        )
    for key, item in pairs.items():
        if not (len(key) <= MAX_METADATA_KEY and isinstance(item, str) and len(item) <= MAX_METADATA_VALUE):
            raise validation_error.deferred_error(lambda at, key=key, item=item: _bad_pair(at, key, item))
    return pairs


def _bad_pair(at: str, key: str, item: object) -> InvalidRequest:
    if len(key) > MAX_METADATA_KEY:
        return validation_error.long_property_name(at, key, MAX_METADATA_KEY)
    if not isinstance(item, str):
        return validation_error.wrong_type(f"{at}.{key}", "a string", item)
    return validation_error.too_long(f"{at}.{key}", MAX_METADATA_VALUE, len(item))


Metadata = Annotated[dict[str, str], BeforeValidator(_check_metadata)]
Name = Annotated[StrictStr, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
Told = Annotated[str, Field(max_length=16_384)]
"""What a model is told of a function or a schema; no service's own bound is higher."""
ReasoningEffort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
Temperature = Annotated[float, Field(ge=0, le=2)]
TopP = Annotated[float, Field(ge=0, le=1)]
Score = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1, le=MAX_INTEGER)]


class Function(Body):
    """A function tool's definition."""

    name: Name
    description: Told | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None

    @model_validator(mode="after")
    def _can_be_strict(self) -> "Function":
        problem = strict_problem(self.parameters) if self.strict and self.parameters is not None else None
        if problem is not None:
            text, code = f"Invalid schema for function '{self.name}': {problem}", "invalid_function_parameters"
            raise validation_error.deferred_error(lambda at: InvalidRequest(text, param=f"{at}.parameters", code=code))
        return self


class FunctionToolBody(Body):
    """`{"type":"function"}`."""

    type: Literal["function"]
    function: Function

    def to_domain(self) -> FunctionTool:
        """Defaults as echoed (behaviour.md 6)."""
        made, parameters = self.function, self.function.parameters
        schema = '{"type":"object","properties":{}}' if parameters is None else to_json(parameters)
        return FunctionTool(made.name, made.description, schema, made.strict or False)


class CodeInterpreterBody(Body):
    """`{"type":"code_interpreter"}`."""

    type: Literal["code_interpreter"]

    def to_domain(self) -> CodeInterpreterTool:
        """As is."""
        return CodeInterpreterTool()


class HybridBody(Body):
    """`hybrid_search` of ranking options."""

    embedding_weight: float
    text_weight: float

    @model_validator(mode="after")
    def _something_counts(self) -> "HybridBody":
        validation_error.apply_domain_check(check_weights, self.to_domain())
        return self

    def to_domain(self) -> HybridWeights:
        """As given."""
        return HybridWeights(self.embedding_weight, self.text_weight)


class RankingBody(Body):
    """How file_search ranks."""

    score_threshold: Score
    ranker: Literal["auto", "default_2024_08_21"] | None = None
    hybrid_search: HybridBody | None = None


class FileSearchOptions(Body):
    """`file_search` of a tool."""

    max_num_results: Annotated[int, Field(ge=1, le=50)] | None = None
    ranking_options: RankingBody | None = None


class FileSearchBody(Body):
    """`{"type":"file_search"}`."""

    type: Literal["file_search"]
    file_search: FileSearchOptions | None = None

    def to_domain(self) -> FileSearchTool:
        """Defaults as echoed (behaviour.md 6)."""
        options = self.file_search or FileSearchOptions()
        given = options.ranking_options
        if given is None:
            return FileSearchTool(max_num_results=options.max_num_results)
        hybrid = None if given.hybrid_search is None else to_json(given.hybrid_search.model_dump())
        ranking = RankingOptions(given.ranker or "default_2024_08_21", given.score_threshold, hybrid)
        return FileSearchTool(ranking, options.max_num_results)


ToolBody = Annotated[
    Annotated[CodeInterpreterBody, tag("code_interpreter")]
    | Annotated[FileSearchBody, tag("file_search")]
    | Annotated[FunctionToolBody, tag("function")],
    BY_TYPE,
]


def tools_of(bodies: list[ToolBody] | None) -> tuple[Tool, ...]:
    """The tools in order."""
    return tuple(body.to_domain() for body in bodies or ())


class JsonSchemaBody(Body):
    """`json_schema` of a response format."""

    name: Name
    description: Told | None = None
    schema_: Annotated[dict[str, Any] | None, Field(alias="schema")] = None
    strict: bool | None = None

    @model_validator(mode="after")
    def _can_be_strict(self) -> "JsonSchemaBody":
        problem = strict_problem(self.schema_) if self.strict and self.schema_ is not None else None
        if problem is not None:
            text = f"Invalid schema for response_format '{self.name}': {problem}"
            raise validation_error.deferred_error(
                lambda at: InvalidRequest(text, param=at.removesuffix(".json_schema"))
            )
        return self


class ResponseFormatBody(Body):
    """The object forms of `response_format`."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchemaBody | None = None

    @model_validator(mode="after")
    def _schema_goes_with_its_type(self) -> "ResponseFormatBody":
        wanted = self.type == "json_schema"
        if wanted is not (self.json_schema is not None):
            build = validation_error.missing if wanted else validation_error.unknown
            raise validation_error.deferred_error(lambda at: build(f"{at}.json_schema"))
        return self

    def to_domain(self) -> ResponseFormat:
        """The schema as the caller wrote it, nulls left out."""
        if self.json_schema is None:
            return ResponseFormat(ResponseFormatType(self.type))
        schema = self.json_schema.model_dump(by_alias=True, exclude_none=True, exclude_unset=True)
        return ResponseFormat(ResponseFormatType.JSON_SCHEMA, to_json(schema))


ResponseFormatField = Annotated[
    Annotated[Literal["auto"], STRING] | Annotated[ResponseFormatBody, OBJECT],
    BY_JSON_TYPE,
]


def format_of(body: str | ResponseFormatBody | None) -> ResponseFormat | None:
    """None when nothing was said."""
    if body is None or isinstance(body, ResponseFormatBody):
        return None if body is None else body.to_domain()
    return ResponseFormat()


class ChosenFunction(Body):
    """The function a tool choice names."""

    name: Name


class ToolChoiceBody(Body):
    """The object forms of `tool_choice`."""

    type: Literal["function", "code_interpreter", "file_search"]
    function: ChosenFunction | None = None

    @model_validator(mode="after")
    def _a_function_is_named(self) -> "ToolChoiceBody":
        if self.type == "function" and self.function is None:
            raise validation_error.deferred_error(lambda at: validation_error.missing(f"{at}.function"))
        return self

    def to_domain(self) -> ToolChoice:
        """A function beside another type says nothing (the schema lets it stand)."""
        name = None if self.type != "function" or self.function is None else self.function.name
        return ToolChoice(None, NamedToolChoice(self.type, name))


ToolChoiceField = Annotated[
    Annotated[Literal["none", "auto", "required"], STRING] | Annotated[ToolChoiceBody, OBJECT],
    BY_JSON_TYPE,
]


def choice_of(body: str | ToolChoiceBody | None) -> ToolChoice:
    """Default `auto`."""
    if body is None:
        return ToolChoice()
    return body.to_domain() if isinstance(body, ToolChoiceBody) else ToolChoice(ToolChoiceMode(body))
