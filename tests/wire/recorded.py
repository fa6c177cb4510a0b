"""What the service really sent: `recorded.json`, and our domain values that say the same."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias, cast

from threadmill.domain.assistant import Assistant
from threadmill.domain.delta import AnnotationDelta, ArgumentsDelta, CodeInputDelta, Delta, TextDelta, ToolCallStarted
from threadmill.domain.event import Event, EventName
from threadmill.domain.ids import (
    AssistantId,
    CallId,
    FileId,
    MessageId,
    ProjectId,
    RunId,
    RunStepId,
    ThreadId,
    VectorStoreId,
)
from threadmill.domain.message import (
    Annotation,
    ContentPart,
    Message,
    MessageRole,
    MessageStatus,
    TextPart,
)
from threadmill.domain.outcome import Usage
from threadmill.domain.run import Run, RunStatus
from threadmill.domain.run_step import RunStep, RunStepStatus, RunStepType
from threadmill.domain.thread import Thread
from threadmill.domain.tool import (
    CodeInterpreterCall,
    CodeInterpreterTool,
    CodeOutput,
    FileSearchCall,
    FileSearchTool,
    FunctionCall,
    FunctionTool,
    RankingOptions,
    SearchResult,
    Tool,
    ToolCall,
    ToolResources,
)

Json: TypeAlias = dict[str, Any]
PROJECT = ProjectId("default")


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and its answer: a body, or events."""

    recording: str
    method: str
    path: str
    request: Json | None
    status: int
    body: Json | None = None
    events: tuple[tuple[str, Any], ...] = ()


@cache
def exchanges() -> Sequence[Exchange]:
    """All of them."""
    document = json.loads(Path(__file__).with_name("recorded.json").read_text())
    return [_exchange(one) for one in document["exchanges"]]


def _exchange(said: Json) -> Exchange:
    events = tuple((name, data) for name, data in said.get("events", ()))
    return Exchange(
        said["recording"], said["method"], said["path"], said["request"], said["status"], said.get("body"), events
    )


def objects(kind: str) -> list[Json]:
    """Every recorded REST object of that kind, also those inside lists."""
    found: list[Json] = []
    for exchange in exchanges():
        body = exchange.body or {}
        found += [one for one in [body, *body.get("data", ())] if one.get("object") == kind]
    return found


def streams() -> list[Exchange]:
    """The exchanges that were answered with events."""
    return [exchange for exchange in exchanges() if exchange.events]


def compact(value: object) -> str:
    """A JSON text without spaces, key order kept."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def assistant(said: Json) -> Assistant:
    """The assistant the service showed."""
    return Assistant(
        id=AssistantId(said["id"]),
        project=PROJECT,
        created_at=said["created_at"],
        model=said["model"],
        name=said["name"],
        instructions=said["instructions"],
        tools=tools(said["tools"]),
        tool_resources=resources(said["tool_resources"]),
        metadata=said["metadata"],
    )


def thread(said: Json) -> Thread:
    """The thread; no code_interpreter files count as nothing said, as `fetched` shows them."""
    given = resources(said["tool_resources"])
    said_nothing = given == ToolResources(file_ids=())
    return Thread(
        id=ThreadId(said["id"]),
        project=PROJECT,
        created_at=said["created_at"],
        metadata=said["metadata"],
        tool_resources=ToolResources() if said_nothing else given,
    )


def resources(said: Json) -> ToolResources:
    """`tool_resources`."""
    files, stores = said.get("code_interpreter"), said.get("file_search")
    return ToolResources(
        None if files is None else tuple(map(FileId, files["file_ids"])),
        None if stores is None else tuple(map(VectorStoreId, stores["vector_store_ids"])),
    )


def tools(said: Sequence[Json]) -> tuple[Tool, ...]:
    """`tools`."""
    return tuple(_tool(one) for one in said)


def _tool(said: Json) -> Tool:
    match said["type"]:
        case "function":
            given = said["function"]
            return FunctionTool(given["name"], given["description"], compact(given["parameters"]), given["strict"])
        case "code_interpreter":
            return CodeInterpreterTool()
        case _:
            return FileSearchTool(_ranking(said["file_search"]["ranking_options"]))


def _ranking(said: Json) -> RankingOptions:
    return RankingOptions(said["ranker"], said["score_threshold"])


def message(said: Json) -> Message:
    """The message, as REST or an event showed it."""
    return Message(
        id=MessageId(said["id"]),
        project=PROJECT,
        thread_id=ThreadId(said["thread_id"]),
        created_at=said["created_at"],
        role=MessageRole(said["role"]),
        content=tuple(_part(one) for one in said["content"]),
        status=MessageStatus(said.get("status", "completed")),
        assistant_id=said["assistant_id"],
        run_id=said["run_id"],
        completed_at=said.get("completed_at"),
        metadata=said["metadata"],
    )


def _part(said: Json) -> ContentPart:
    text = said["text"]
    return TextPart(text["value"], tuple(_annotation(one) for one in text["annotations"]))


def _annotation(said: Json) -> Annotation:
    file_id = FileId(said[said["type"]]["file_id"])
    return Annotation(said["type"], said["text"], said["start_index"], said["end_index"], file_id)


def run(said: Json) -> Run:
    """The run."""
    action = said["required_action"]
    calls: list[Json] = [] if action is None else action["submit_tool_outputs"]["tool_calls"]
    return Run(
        id=RunId(said["id"]),
        project=PROJECT,
        thread_id=ThreadId(said["thread_id"]),
        assistant_id=AssistantId(said["assistant_id"]),
        created_at=said["created_at"],
        model=said["model"],
        status=RunStatus(said["status"]),
        instructions=said["instructions"],
        tools=tools(said["tools"]),
        metadata=said["metadata"],
        expires_at=said["expires_at"],
        started_at=said["started_at"],
        completed_at=said["completed_at"],
        required_action=tuple(
            FunctionCall(CallId(one["id"]), one["function"]["name"], one["function"]["arguments"]) for one in calls
        ),
        # Counted up while the run goes on, and not shown before its end.
        usage=_usage(said["usage"]) or Usage(5, 7, 3, 2),
    )


def _usage(said: Json | None) -> Usage | None:
    if said is None:
        return None
    cached = said["prompt_token_details"]["cached_tokens"]
    reasoning = said["completion_tokens_details"]["reasoning_tokens"]
    return Usage(said["prompt_tokens"], said["completion_tokens"], cached, reasoning)


def step(said: Json) -> RunStep:
    """The run step."""
    details = said["step_details"]
    written = details.get("message_creation", {}).get("message_id")
    return RunStep(
        id=RunStepId(said["id"]),
        project=PROJECT,
        thread_id=ThreadId(said["thread_id"]),
        run_id=RunId(said["run_id"]),
        assistant_id=AssistantId(said["assistant_id"]),
        created_at=said["created_at"],
        type=RunStepType(said["type"]),
        status=RunStepStatus(said["status"]),
        expires_at=said["expires_at"],
        completed_at=said["completed_at"],
        message_id=written,
        tool_calls=tuple(_call(one) for one in details.get("tool_calls", ())),
        usage=_usage(said["usage"]),
    )


def _call(said: Json) -> ToolCall:
    call_id = CallId(said["id"])
    match said["type"]:
        case "function":
            given = said["function"]
            return FunctionCall(call_id, given["name"], given["arguments"], given["output"])
        case "code_interpreter":
            ran = said["code_interpreter"]
            return CodeInterpreterCall(call_id, ran["input"], tuple(_output(one) for one in ran["outputs"]))
        case _:
            found = said["file_search"]
            results = tuple(_result(one) for one in found["results"])
            return FileSearchCall(call_id, _ranking(found["ranking_options"]), results)


def _output(said: Json) -> CodeOutput:
    return CodeOutput(logs=said.get("logs"), image=said.get("image", {}).get("file_id"))


def _result(said: Json) -> SearchResult:
    texts = tuple(one["text"] for one in said["content"])
    return SearchResult(FileId(said["file_id"]), said["file_name"], said["score"], texts, compact(said["attributes"]))


def event(name: str, said: Json) -> Event | Delta:
    """The event or delta."""
    match said["object"]:
        case "thread":
            return Event(EventName(name), thread(said))
        case "thread.run":
            return Event(EventName(name), run(said))
        case "thread.run.step":
            return Event(EventName(name), step(said))
        case "thread.message":
            return Event(EventName(name), message(said))
        case "thread.message.delta":
            return _text_delta(said)
        case _:
            return _call_delta(said)


def _text_delta(said: Json) -> Delta:
    part = said["delta"]["content"][0]
    open_message = bare_message(said["id"])
    for one in part["text"].get("annotations", ()):
        place = one["start_index"], one["end_index"]
        annotation = Annotation(one["type"], one["text"], *place, FileId(one[one["type"]]["file_id"]))
        return AnnotationDelta(open_message, part["index"], one["index"], annotation)
    return TextDelta(open_message, part["index"], (part["text"]["value"],), first="annotations" in part["text"])


def _call_delta(said: Json) -> Delta:
    call = cast("Json", said["delta"]["step_details"]["tool_calls"][0])
    open_step, index = bare_step(said["id"]), call["index"]
    if "id" in call:
        return ToolCallStarted(open_step, index, _call(call))
    if call["type"] == "function":
        return ArgumentsDelta(open_step, index, (call["function"]["arguments"],))
    return CodeInputDelta(open_step, index, (call["code_interpreter"]["input"],))


def bare_message(message_id: str) -> Message:
    """An open message about which only the id matters."""
    return Message(MessageId(message_id), PROJECT, ThreadId("thread_1"), 1, MessageRole.ASSISTANT, ())


def bare_step(step_id: str) -> RunStep:
    """An open step about which only the id matters."""
    ids = ThreadId("thread_1"), RunId("run_1"), AssistantId("asst_1")
    return RunStep(RunStepId(step_id), PROJECT, *ids, 1, RunStepType.TOOL_CALLS)
