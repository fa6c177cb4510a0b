"""Bodies that between them say every parameter of the spec with every closed value, and what their echo must be."""

import json
from collections.abc import Mapping
from typing import Any, cast

from threadmill.wire.deviations import ADDED_PARAMETERS

Body = dict[str, Any]

CODE: Body = {"type": "code_interpreter"}
SEARCH: Body = {"type": "file_search"}
SCHEMA: Body = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
FUNCTION: Body = {
    "type": "function",
    "function": {"name": "weather", "description": "Tells it.", "parameters": SCHEMA, "strict": True},
}
FORMATS: list[Any] = [
    "auto",
    {"type": "text"},
    {"type": "json_object"},
    {
        "type": "json_schema",
        "json_schema": {"name": "answer", "description": "What it is.", "schema": SCHEMA, "strict": True},
    },
]
EFFORTS = ["none", "minimal", "low", "medium", "high", "xhigh", "max"]
TEXT, PICTURE, STORE = "file-text", "file-picture", "vs-store"
"""Stand for files and a store that `with_files` puts in their places."""

RESOURCES: Body = {"code_interpreter": {"file_ids": [TEXT]}, "file_search": {"vector_store_ids": [STORE]}}


def searching(ranker: str) -> Body:
    ranking = {"ranker": ranker, "score_threshold": 0.5}
    return {"type": "file_search", "file_search": {"max_num_results": 7, "ranking_options": ranking}}


SHARED: list[Body] = [
    {"instructions": "Be brief.", "metadata": {"k": "v"}, "temperature": 0.5, "top_p": 0.25, "model": "rehearsal"},
    {"tools": [CODE, searching("auto"), FUNCTION]},
    {"tools": [SEARCH, searching("default_2024_08_21")]},
    *({"response_format": said} for said in FORMATS),
]
"""What assistants and runs both take."""

ASSISTANTS: list[Body] = [
    *SHARED,
    {"name": "Ann", "description": "Helps.", "tool_resources": RESOURCES},
    *({"reasoning_effort": said} for said in EFFORTS),
]
CHOICES: list[Any] = [
    "none",
    "auto",
    "required",
    CODE,
    SEARCH,
    {"type": "function", "function": {"name": "weather"}},
]
RUNS: list[Body] = [
    *SHARED,
    {"max_prompt_tokens": 300, "max_completion_tokens": 256, "parallel_tool_calls": False, "stream": False},
    {"truncation_strategy": {"type": "auto"}},
    {"truncation_strategy": {"type": "last_messages", "last_messages": 3}},
    *({"tools": [CODE, SEARCH, FUNCTION], "tool_choice": said} for said in CHOICES),
    *({row.name: json.loads(row.example)} for row in ADDED_PARAMETERS if row.object == "RunObject"),
]
"""What both ways to create a run take."""


def image(kind: str, detail: str) -> Body:
    place = {"file_id": PICTURE} if kind == "image_file" else {"url": "https://pictures.test/a.png"}
    return {"type": kind, kind: {**place, "detail": detail}}


DETAILS = ("auto", "low", "high")
MESSAGES: list[Body] = [
    {"role": "user", "content": "a string", "metadata": {"k": "v"}},
    {"role": "assistant", "content": [{"type": "text", "text": "a part"}]},
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "see"},
            *(image("image_url", detail) for detail in DETAILS),
            *(image("image_file", detail) for detail in DETAILS),
        ],
        "attachments": [{"file_id": TEXT, "tools": [CODE, SEARCH]}],
    },
]


def with_files(said: Any, files: Mapping[str, str]) -> Any:
    """A body with real files in the places of TEXT and PICTURE."""
    if isinstance(said, dict):
        return {name: with_files(value, files) for name, value in cast("Body", said).items()}
    if isinstance(said, list):
        return [with_files(value, files) for value in cast("list[Any]", said)]
    return files.get(said, said) if isinstance(said, str) else said


def as_answered(message: Body) -> Body:
    """A message as it comes back: a string is one text part, and a text has annotations."""
    content: Any = message["content"]
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else cast("list[Body]", content)
    told: list[Body] = [
        {"type": "text", "text": {"value": part["text"], "annotations": []}} if part["type"] == "text" else part
        for part in parts
    ]
    return {**message, "content": told}


def differences(said: Any, told: Any, at: str = "") -> list[str]:
    """Where an answer does not hold what was said. It may hold more."""
    if isinstance(said, dict) and isinstance(told, dict):
        pairs, found = cast("Body", said), cast("Body", told)
        return [lack for name in pairs for lack in differences(pairs[name], found.get(name), f"{at}.{name}")]
    if isinstance(said, list) and isinstance(told, list):
        items, got = cast("list[Any]", said), cast("list[Any]", told)
        if len(items) == len(got):
            return [lack for n, item in enumerate(items) for lack in differences(item, got[n], f"{at}[{n}]")]
    return [] if said == told else [f"{at}: said {said!r}, told {told!r}"]
