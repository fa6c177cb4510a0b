"""What several bodies share: metadata, tools, tool resources, response format."""

from typing import Annotated, Any, Literal, cast

from pydantic import Field, StrictStr, field_validator, model_validator
from pydantic.functional_validators import BeforeValidator

from threadmill.domain.error import Invalid
from threadmill.domain.ids import FileId, VectorStoreId
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
    ToolResources,
)
from threadmill.wire.request.body import Body, to_json
from threadmill.wire.request.problem import name_of

MAX_PAIRS, MAX_KEY, MAX_VALUE = 16, 64, 512


def check_metadata(value: Any) -> Any:
    """Metadata's limits with the service's texts (behaviour.md 8.3)."""
    if not isinstance(value, dict):
        return value
    pairs = cast("dict[str, Any]", value)
    if len(pairs) > MAX_PAIRS:
        text = f"Invalid 'metadata': too many properties. Expected an object with at most {MAX_PAIRS} properties, but got an object with {len(pairs)} properties instead."
        raise Invalid(text, param="metadata", code="object_above_max_properties")
    for key, item in pairs.items():
        _check_pair(key, item)
    return pairs


def _check_pair(key: str, item: object) -> None:
    param = f"metadata.{key}"
    if len(key) > MAX_KEY:
        text = f"Invalid property name in 'metadata': '{key}' is too long. Expected a string with maximum length {MAX_KEY}, but got a string with length {len(key)} instead."
        raise Invalid(text, param=param, code="property_name_above_max_length")
    if not isinstance(item, str):
        text = f"Invalid type for '{param}': expected a string, but got {name_of(item)} instead."
        raise Invalid(text, param=param, code="invalid_type")
    if len(item) > MAX_VALUE:
        text = f"Invalid '{param}': string too long. Expected a string with maximum length {MAX_VALUE}, but got a string with length {len(item)} instead."
        raise Invalid(text, param=param, code="string_above_max_length")


Metadata = Annotated[dict[str, str], BeforeValidator(check_metadata)]
Name = Annotated[StrictStr, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
ReasoningEffort = Literal["none", "minimal", "low", "medium", "high", "xhigh"]


def _number(value: Any) -> Any:
    """Strict but for whole numbers: `1` is a fine temperature, `"1"` and `true` are not."""
    return float(value) if type(value) is int else value


Temperature = Annotated[float, BeforeValidator(_number), Field(ge=0, le=2)]
TopP = Annotated[float, BeforeValidator(_number), Field(ge=0, le=1)]
Score = Annotated[float, BeforeValidator(_number), Field(ge=0, le=1)]


class Function(Body):
    """A function tool's definition."""

    name: Name
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


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


class RankingBody(Body):
    """How file_search ranks."""

    score_threshold: Score
    ranker: Literal["auto", "default_2024_08_21"] | None = None
    hybrid_search: dict[str, Any] | None = None


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
        hybrid = None if given.hybrid_search is None else to_json(given.hybrid_search)
        ranking = RankingOptions(given.ranker or "default_2024_08_21", given.score_threshold, hybrid)
        return FileSearchTool(ranking, options.max_num_results)


ToolBody = Annotated[FunctionToolBody | CodeInterpreterBody | FileSearchBody, Field(discriminator="type")]


def tools_of(bodies: list[FunctionToolBody | CodeInterpreterBody | FileSearchBody] | None) -> tuple[Tool, ...]:
    """The tools in order."""
    return tuple(body.to_domain() for body in bodies or ())


class CodeInterpreterResources(Body):
    """Files of the code_interpreter."""

    file_ids: Annotated[list[str], Field(max_length=20)] | None = None


class FileSearchResources(Body):
    """Stores of file_search."""

    vector_store_ids: Annotated[list[str], Field(max_length=1)] | None = None
    vector_stores: Annotated[list[Any], Field(max_length=1)] | None = None

    @field_validator("vector_stores")
    @classmethod
    def _not_yet(cls, value: list[Any] | None) -> list[Any] | None:
        if value:
            text = "This server does not make vector stores yet: 'tool_resources.file_search.vector_stores' is not supported."
            raise Invalid(text, param="tool_resources.file_search.vector_stores", code="unsupported_parameter")
        return value


class ToolResourcesBody(Body):
    """`tool_resources`."""

    code_interpreter: CodeInterpreterResources | None = None
    file_search: FileSearchResources | None = None

    def to_domain(self) -> ToolResources:
        """What was said of each tool."""
        files = None if self.code_interpreter is None else self.code_interpreter.file_ids or []
        stores = None if self.file_search is None else self.file_search.vector_store_ids or []
        return ToolResources(
            None if files is None else tuple(FileId(file) for file in files),
            None if stores is None else tuple(VectorStoreId(store) for store in stores),
        )


def resources_of(body: ToolResourcesBody | None) -> ToolResources:
    """Nothing said, or what was said."""
    return ToolResources() if body is None else body.to_domain()


class JsonSchemaBody(Body):
    """`json_schema` of a response format."""

    name: Name
    description: str | None = None
    schema_: Annotated[dict[str, Any] | None, Field(alias="schema")] = None
    strict: bool | None = None


class ResponseFormatBody(Body):
    """The object forms of `response_format`."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchemaBody | None = None

    @model_validator(mode="after")
    def _schema_goes_with_its_type(self) -> "ResponseFormatBody":
        if self.type == "json_schema" and self.json_schema is None:
            param = "response_format.json_schema"
            raise Invalid(f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter")
        if self.type != "json_schema" and self.json_schema is not None:
            param = "response_format.json_schema"
            raise Invalid(f"Unknown parameter: '{param}'.", param=param, code="unknown_parameter")
        return self

    def to_domain(self) -> ResponseFormat:
        """The schema as the caller wrote it, nulls left out."""
        if self.json_schema is None:
            return ResponseFormat(ResponseFormatType(self.type))
        schema = self.json_schema.model_dump(by_alias=True, exclude_none=True, exclude_unset=True)
        return ResponseFormat(ResponseFormatType.JSON_SCHEMA, to_json(schema))


ResponseFormatField = Literal["auto"] | ResponseFormatBody


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
    def _function_goes_with_its_type(self) -> "ToolChoiceBody":
        if self.type == "function" and self.function is None:
            param = "tool_choice.function"
            raise Invalid(f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter")
        return self


ToolChoiceField = Literal["none", "auto", "required"] | ToolChoiceBody


def choice_of(body: str | ToolChoiceBody | None) -> ToolChoice:
    """Default `auto`."""
    match body:
        case None:
            return ToolChoice()
        case ToolChoiceBody():
            name = None if body.function is None else body.function.name
            return ToolChoice(None, NamedToolChoice(body.type, name))
        case _:
            return ToolChoice(ToolChoiceMode(body))
