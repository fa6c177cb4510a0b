"""The tools a model is offered: models know functions only, so the server's own tools come as functions."""

from dataclasses import replace

from threadmill.domain.run import Run
from threadmill.domain.tool import CodeInterpreterTool, FileSearchTool, FunctionTool, NamedToolChoice, ToolChoice

CODE_DESCRIPTION = (
    "Runs Python code in a stateful sandbox and gives back what it printed, the value of its last expression, or the "
    "error. Variables stay between calls. There is no internet. Files lie in /mnt/data; a file saved there is kept, and "
    "the user can download it where you link it as [name](sandbox:/mnt/data/name). Figures drawn with matplotlib and "
    "saved pictures are shown to the user by themselves. numpy, pandas, scipy, matplotlib, pillow and openpyxl are there."
)
CODE_PARAMETERS = (
    '{"type":"object","properties":{"code":{"type":"string","description":"Python source code"}},'
    '"required":["code"],"additionalProperties":false}'
)
SEARCH_DESCRIPTION = (
    "Searches the files that were given for this conversation, by meaning and by words, and gives back the passages that "
    "fit best, each under a marker such as 【4:0†name】. Ask several queries at once, each in other words or about another "
    "part of the question. Where your answer uses a passage, write its marker behind the sentence, exactly as it stands."
)
SEARCH_PARAMETERS = (
    '{"type":"object","properties":{"queries":{"type":"array","items":{"type":"string"},"minItems":1,'
    '"description":"What to look for"}},"required":["queries"],"additionalProperties":false}'
)


def as_functions(run: Run) -> tuple[FunctionTool, ...]:
    """What the model may call, in the order the run has its tools."""
    tools: list[FunctionTool] = []
    for tool in run.tools:
        if isinstance(tool, FunctionTool):
            tools.append(tool)
        elif isinstance(tool, CodeInterpreterTool):
            tools.append(FunctionTool(function_name(run, tool.type), CODE_DESCRIPTION, CODE_PARAMETERS))
        else:
            tools.append(FunctionTool(function_name(run, tool.type), SEARCH_DESCRIPTION, SEARCH_PARAMETERS))
    return tuple(tools)


def function_name(run: Run, tool_type: str) -> str:
    """The function name a server tool is offered under: its type, unless the caller has a function of that name."""
    taken = {tool.name for tool in run.tools if isinstance(tool, FunctionTool)}
    name = tool_type
    while name in taken:
        name = f"{name}_tool"
    return name


def has_code_interpreter(run: Run) -> bool:
    """Whether the run may execute code."""
    return any(isinstance(tool, CodeInterpreterTool) for tool in run.tools)


def is_code_interpreter_call(run: Run, name: str) -> bool:
    """Whether a call of this name is code to be executed here."""
    return has_code_interpreter(run) and name == function_name(run, "code_interpreter")


def search_tool(run: Run) -> FileSearchTool | None:
    """How the run may search its vector stores, if it may."""
    return next((tool for tool in run.tools if isinstance(tool, FileSearchTool)), None)


def is_file_search_call(run: Run, name: str) -> bool:
    """Whether a call of this name, in a run that may search, is a search to be made here."""
    return name == function_name(run, "file_search")


def function_choice(run: Run) -> ToolChoice:
    """The tool choice in the model's terms: every named tool is a function."""
    named = run.tool_choice.named
    if named is None or named.function is not None:
        return run.tool_choice
    return replace(run.tool_choice, named=NamedToolChoice("function", function_name(run, named.type)))
