"""Tools, tool resources, tool calls and the formats asked of the model -> JSON (behaviour.md 2.3 and 6)."""

from typing import Any, TypeAlias, assert_never

import msgspec

from threadmill.domain.tool import (
    CodeInterpreterCall,
    CodeInterpreterTool,
    CodeOutput,
    FileSearchCall,
    FileSearchTool,
    FunctionCall,
    FunctionTool,
    RankingOptions,
    ResponseFormat,
    ResponseFormatType,
    SearchResult,
    Tool,
    ToolCall,
    ToolChoice,
    ToolChoiceMode,
    ToolResources,
)

Json: TypeAlias = dict[str, Any]
"""One response object; it does not leave this room but as bytes."""

NO_CODE_FILES: Json = {"code_interpreter": {"file_ids": []}}


def _raw(text: str) -> msgspec.Raw:
    return msgspec.Raw(text.encode())


def tool_resources(value: ToolResources) -> Json:
    """What was said of each tool, file_search first as in both recordings that have the two."""
    shown: Json = {}
    if value.vector_store_ids is not None:
        shown["file_search"] = {"vector_store_ids": value.vector_store_ids}
    if value.file_ids is not None:
        shown["code_interpreter"] = {"file_ids": value.file_ids}
    return shown


def tool(value: Tool) -> Json:
    """A tool with the service's defaults."""
    match value:
        case FunctionTool():
            return {"type": "function", "function": _function(value)}
        case CodeInterpreterTool():
            return {"type": "code_interpreter"}
        case FileSearchTool(ranking, max_num_results):
            hybrid = None if ranking.hybrid_search is None else _raw(ranking.hybrid_search)
            options: Json = {} if max_num_results is None else {"max_num_results": max_num_results}
            options["ranking_options"] = {**_ranking(ranking), "hybrid_search": hybrid}
            return {"type": "file_search", "file_search": options}
        case _:
            assert_never(value)


def _function(value: FunctionTool) -> Json:
    # The schema knows no null here, so a description nobody gave is left out.
    described: Json = {} if value.description is None else {"description": value.description}
    return {"name": value.name, **described, "parameters": _raw(value.parameters), "strict": value.strict}


def _ranking(value: RankingOptions) -> Json:
    return {"ranker": value.ranker, "score_threshold": value.score_threshold}


def response_format(value: ResponseFormat) -> Json | str:
    """`auto` is a bare string."""
    if value.type is ResponseFormatType.AUTO:
        return "auto"
    if value.json_schema is None:
        return {"type": value.type}
    return {"type": value.type, "json_schema": _raw(value.json_schema)}


def tool_choice(value: ToolChoice) -> Json | str:
    """A string or the object given."""
    if value.named is None:
        return value.mode or ToolChoiceMode.AUTO
    if value.named.function is None:
        return {"type": value.named.type}
    return {"type": value.named.type, "function": {"name": value.named.function}}


def tool_call(call: ToolCall, *, include_content: bool = False) -> Json:
    """A tool call inside a step (behaviour.md 2.3). Search results' texts are shown only when asked for."""
    match call:
        case FunctionCall(call_id, name, arguments, output):
            function = {"name": name, "arguments": arguments, "output": output}
            return {"id": call_id, "type": "function", "function": function}
        case CodeInterpreterCall(call_id, code, outputs):
            ran = {"input": code, "outputs": [code_output(one) for one in outputs]}
            return {"id": call_id, "type": "code_interpreter", "code_interpreter": ran}
        case FileSearchCall(call_id, ranking, results):
            shown = [_search_result(one, include_content=include_content) for one in results]
            found = {"ranking_options": _ranking(ranking), "results": shown}
            return {"id": call_id, "type": "file_search", "file_search": found}
        case _:
            assert_never(call)


def code_output(value: CodeOutput) -> Json:
    """An output of a code_interpreter call."""
    if value.logs is None:
        return {"type": "image", "image": {"file_id": value.image}}
    return {"type": "logs", "logs": value.logs}


def _search_result(value: SearchResult, *, include_content: bool) -> Json:
    shown: Json = {
        "file_id": value.file_id,
        "file_name": value.file_name,
        "score": value.score,
        "attributes": _raw(value.attributes),
    }
    if include_content:
        shown["content"] = [{"type": "text", "text": text} for text in value.content]
    return shown
