"""The rehearsal's little script language: lines `directive: value`, blocks (turns) parted by `---`. Pure."""

import json
import re
from dataclasses import dataclass, replace
from enum import StrEnum

from threadmill.domain.outcome import ErrorCode
from threadmill.engine.ports.model import FinishReason, ModelError

_LINE = re.compile(r"^(say|call|python|search|slow|repeat|fail|refuse|finish):(?:\s(.*))?$")
_DURATION = re.compile(r"^(\d+(?:\.\d+)?)(ms|s)$")
MAX_REPEAT = 100_000


class Failure(StrEnum):
    """How a turn can be told to fail."""

    RATE_LIMIT = "rate_limit"
    SERVER_ERROR = "server_error"
    CONTEXT = "context"
    CUT = "cut"
    STALL = "stall"


@dataclass(frozen=True, slots=True)
class Block:
    """One turn: what is said, called, refused; how it ends; `pause` seconds before each piece."""

    text: str = ""
    calls: tuple[tuple[str, str], ...] = ()
    refusal: str = ""
    pause: float = 0.0
    repeat: int = 1
    failure: Failure | None = None
    finish: FinishReason | None = None


def parse(text: str) -> tuple[Block, ...]:
    """The script's blocks; () if no line of `text` is a directive. Raises ModelError naming the line that is wrong."""
    if not any(_LINE.match(line.strip()) for line in text.splitlines()):
        return ()
    blocks: list[Block] = []
    block = Block()
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() == "---":
            blocks.append(block)
            block = Block()
        elif found := _LINE.match(line.strip()):
            block = _add(block, found[1], (found[2] or "").strip(), number)
        elif line.strip() and block.text:
            block = replace(block, text=f"{block.text}\n{line.strip()}")
    return (*blocks, block)


def _add(block: Block, directive: str, value: str, number: int) -> Block:
    match directive:
        case "say":
            return replace(block, text=f"{block.text}\n{value}" if block.text else value)
        case "refuse":
            return replace(block, refusal=value)
        case "call" | "python" | "search":
            return replace(block, calls=(*block.calls, _call(directive, value, number)))
        case "slow":
            return replace(block, pause=_seconds(value, number))
        case "repeat":
            if not value.isdecimal() or not 1 <= int(value) <= MAX_REPEAT:
                raise _wrong(number, f"repeat wants a number from 1 to {MAX_REPEAT}")
            return replace(block, repeat=int(value))
        case "fail":
            return replace(block, failure=Failure(_one_of(value, [kind.value for kind in Failure], number)))
        case _:
            return replace(block, finish=FinishReason(_one_of(value, ["length", "content_filter", "stop"], number)))


def _call(directive: str, value: str, number: int) -> tuple[str, str]:
    if directive != "call":
        key = "code" if directive == "python" else "queries"
        name = "code_interpreter" if directive == "python" else "file_search"
        return name, json.dumps({key: value if directive == "python" else [value]})
    name, _, arguments = value.partition(" ")
    if not name:
        raise _wrong(number, 'call wants a function\'s name and its arguments: call: name {"key": "value"}')
    return name, arguments.strip()


def _seconds(value: str, number: int) -> float:
    found = _DURATION.match(value)
    if found is None:
        raise _wrong(number, "slow wants a duration such as 50ms or 1s")
    return float(found[1]) / (1000 if found[2] == "ms" else 1)


def _one_of(value: str, allowed: list[str], number: int) -> str:
    if value not in allowed:
        raise _wrong(number, f"'{value}' is not one of {', '.join(allowed)}")
    return value


def _wrong(number: int, text: str) -> ModelError:
    return ModelError(ErrorCode.INVALID_PROMPT, f"Rehearsal script, line {number}: {text}.")
