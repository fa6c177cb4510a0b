"""What runs inherit is stored once: long instructions and tools are rows of their own, named by what they say.

Runs that say the same share them. A run's row names its parts in columns; the last run that does takes them along.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from threadmill.adapters.sql.codec import decode_fields, decode_json, encode, encode_json
from threadmill.domain.run import Run
from threadmill.domain.tool import FunctionTool

LEAST_CHARACTERS = 200
"""Of texts below it are stored with the run: a row of their own would take as much."""

KEY_BYTES = 16


@dataclass(frozen=True, slots=True)
class SplitRun:
    """A run's `data`, the columns that name its parts, and the parts by key."""

    data: bytes
    columns: dict[str, Any]
    parts: Mapping[bytes, bytes] = field(default_factory=dict[bytes, bytes])


def split(run: Run) -> SplitRun:
    """The run as it is stored."""
    left_out: list[str] = []
    columns: dict[str, bytes | None] = {"instructions_key": None, "tools_key": None}
    parts: dict[bytes, bytes] = {}
    for column, names, size in (
        ("instructions_key", ("instructions",), len(run.instructions or "")),
        ("tools_key", ("tools", "response_format"), _size_of_tools(run)),
    ):
        if size >= LEAST_CHARACTERS:
            part = encode_json({name: getattr(run, name) for name in names})
            key = columns[column] = blake2b(part, digest_size=KEY_BYTES).digest()
            parts[key] = part
            left_out.extend(names)
    return SplitRun(encode(run, frozenset(left_out)), columns, parts)


def _size_of_tools(run: Run) -> int:
    size = len(run.response_format.json_schema or "")
    for tool in run.tools:
        if isinstance(tool, FunctionTool):
            size += len(tool.name) + len(tool.description or "") + len(tool.parameters)
    return size


def join(data: bytes, *parts: bytes | None) -> Run:
    """The run of its `data` and of the parts its columns name."""
    value: dict[str, Any] = decode_json(data)
    for part in parts:
        if part is not None:
            value |= decode_json(part)
    return decode_fields(Run, value)
