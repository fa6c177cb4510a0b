"""The language of rehearsals: a text of directives in, turns out. Pure; documented in docs/reference/rehearsal.md."""

import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from threadmill.adapters.models.rehearsal.schema_sample import parse_json

MAX_REPEAT = 100_000

MAX_TEXT = 4 * 1024 * 1024
"""Characters that all turns of one script may say and call with, repeats and tool outputs included."""

CALL_COST = 1024
"""Characters that a call is reckoned with besides its arguments: each becomes rows and events."""


@dataclass(frozen=True, slots=True)
class Say:
    """Text, streamed word by word, `times` over."""

    text: str
    times: int = 1


@dataclass(frozen=True, slots=True)
class Refuse:
    """A refusal, streamed word by word."""

    text: str


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call, `times` over. `arguments` is JSON text, unless `text` is set: then that is the one argument the
    tool's schema names first. `is_broken` cuts the arguments so that they are no JSON.
    """

    name: str
    arguments: str = "{}"
    text: str | None = None
    is_broken: bool = False
    times: int = 1


@dataclass(frozen=True, slots=True)
class Fail:
    """A failure at this point: rate_limit, server_error, context, cut or stall."""

    how: str


@dataclass(frozen=True, slots=True)
class Slow:
    """From here on every piece takes this many seconds."""

    seconds: float


Directive: TypeAlias = Say | Refuse | Call | Fail | Slow


@dataclass(frozen=True, slots=True)
class ScriptTurn:
    """What the model does when it is asked once. `finish` overrides why it stops."""

    directives: Sequence[Directive] = ()
    finish: str | None = None


class BadScript(Exception):
    """The script cannot be played; the message names the line and what is allowed."""


@dataclass(slots=True)
class _Draft:
    """A turn being read, and what the lines so far mean for the next directive."""

    directives: list[Directive] = field(default_factory=list[Directive])
    finish: str | None = None
    times: int = 1
    is_broken: bool = False

    def take_times(self) -> int:
        times, self.times = self.times, 1
        return times

    def take_broken(self) -> bool:
        is_broken, self.is_broken = self.is_broken, False
        return is_broken

    def turn(self) -> ScriptTurn:
        return ScriptTurn(tuple(self.directives), self.finish)


@dataclass(frozen=True, slots=True)
class _Line:
    number: int
    name: str
    value: str

    def bad(self, why: str) -> BadScript:
        return BadScript(f"Rehearsal script, line {self.number}: {why}")


_DIRECTIVES = ("say", "call", "python", "search", "refuse", "slow", "repeat", "fail", "finish", "args-broken")
_FAILURES = ("rate_limit", "server_error", "context", "cut", "stall")
_FINISHES = ("stop", "length", "content_filter")
_SEPARATOR = "---"
_DIRECTIVE = re.compile(r"([A-Za-z][A-Za-z_-]*)[ \t]*(?::[ \t]?(.*)|$)", re.DOTALL)
_DURATION = re.compile(r"(\d+(?:\.\d+)?)[ \t]*(ms|s)")


def lines_of(text: str) -> list[str]:
    """Lines as people see them: str.splitlines would also break at separators that may stand in a text."""
    return text.replace("\r\n", "\n").split("\n")


def is_script(text: str) -> bool:
    """Whether the first line that says something is a directive; everything else is conversation."""
    for line in lines_of(text):
        if line.strip() and not line.startswith("#"):
            return _known(line) is not None
    return False


def parse(text: str) -> Sequence[ScriptTurn]:
    """The turns of a script. Raises BadScript."""
    turns: list[ScriptTurn] = []
    draft = _Draft()
    for line in _lines(text):
        if line.name == _SEPARATOR:
            turns.append(draft.turn())
            draft = _Draft()
        else:
            _read(line, draft)
    turns.append(draft.turn())
    within_length(directive for turn in turns for directive in turn.directives)
    return turns


def within_length(directives: Iterable[Directive]) -> Sequence[Directive]:
    """The directives, taken one by one as long as they write at most MAX_TEXT. Raises BadScript."""
    taken: list[Directive] = []
    length = 0
    for directive in directives:
        length += _length(directive)
        if length > MAX_TEXT:
            raise too_long()
        taken.append(directive)
    return taken


def too_long() -> BadScript:
    """The script writes more than MAX_TEXT."""
    return BadScript(
        f"Rehearsal script: it writes more than {MAX_TEXT:,} characters, repeats and tool outputs included; "
        "let it repeat less."
    )


def _length(directive: Directive) -> int:
    match directive:
        case Say():
            return (len(directive.text) + 1) * directive.times
        case Refuse():
            return len(directive.text)
        case Call():
            return (len(directive.arguments) + len(directive.text or "") + CALL_COST) * directive.times
        case _:
            return 0


def _known(line: str) -> tuple[str, str] | None:
    """Directive and value of a line, if it begins with a directive. Only `args-broken` goes without a colon."""
    match = _DIRECTIVE.fullmatch(line.rstrip())
    if match is None or match[1] not in _DIRECTIVES:
        return None
    if match[2] is None and match[1] != "args-broken":
        return None
    return match[1], match[2] or ""


def _lines(text: str) -> Iterator[_Line]:
    """Directives with their continuation lines, which begin with a space or a tab; without comments and blank lines."""
    lines = lines_of(text)
    at = 0
    while at < len(lines):
        line, number = lines[at], at + 1
        at += 1
        if not line.strip() or line.startswith("#"):
            continue
        more, at = _continuation(lines, at)
        yield _directive(line, number, more)


def _continuation(lines: Sequence[str], at: int) -> tuple[str, int]:
    """The indented lines from `at`, blank ones between them kept, their common indent removed."""
    end = at
    for index in range(at, len(lines)):
        if lines[index][:1] in (" ", "\t") and lines[index].strip():
            end = index + 1
        elif lines[index].strip():
            break
    return textwrap.dedent("\n".join(lines[at:end])), end


def _directive(line: str, number: int, more: str) -> _Line:
    if line.strip() == _SEPARATOR:
        return _Line(number, _SEPARATOR, "")
    known = _known(line)
    if known is None:
        raise BadScript(
            f"Rehearsal script, line {number}: '{line.strip()[:60]}' is no directive. "
            f"Allowed are {', '.join(_DIRECTIVES)} and {_SEPARATOR}; a line that continues the one above is indented."
        )
    name, value = known
    return _Line(number, name, "\n".join(filter(None, (value, more))))


def _read(line: _Line, draft: _Draft) -> None:
    match line.name:
        case "say":
            draft.directives.append(Say(line.value, draft.take_times()))
        case "refuse":
            draft.directives.append(Refuse(line.value))
        case "call" | "python" | "search":
            draft.directives.append(_call(line, draft))
        case "slow":
            draft.directives.append(Slow(_seconds(line)))
        case "fail":
            draft.directives.append(Fail(_one_of(line, _FAILURES)))
        case _:
            _set(line, draft)


def _set(line: _Line, draft: _Draft) -> None:
    """Directives that change the turn or the next directive."""
    match line.name:
        case "repeat":
            draft.times = _times(line)
        case "finish":
            draft.finish = _one_of(line, _FINISHES)
        case _:
            draft.is_broken = True


def _call(line: _Line, draft: _Draft) -> Call:
    is_broken, times = draft.take_broken(), draft.take_times()
    if line.name == "python":
        return Call("code_interpreter", text=line.value, is_broken=is_broken, times=times)
    if line.name == "search":
        return Call("file_search", text=line.value, is_broken=is_broken, times=times)
    name, _, arguments = line.value.strip().partition(" ")
    if not name:
        raise line.bad('call needs a name, and may have arguments: call: name {"key": "value"}')
    arguments = arguments.strip() or "{}"
    if not _is_object(arguments):
        raise line.bad(f"the arguments of '{name}' are not a JSON object; for broken ones write args-broken above.")
    return Call(name, arguments, is_broken=is_broken, times=times)


def _is_object(text: str) -> bool:
    try:
        return isinstance(parse_json(text), dict)
    except ValueError:
        return False


def _seconds(line: _Line) -> float:
    match = _DURATION.fullmatch(line.value.strip())
    if match is None or (seconds := float(match[1]) / (1000 if match[2] == "ms" else 1)) > 60:
        raise line.bad("slow needs a time up to 60s, such as 50ms or 1.5s.")
    return seconds


def _times(line: _Line) -> int:
    value = line.value.strip()
    digits = value.lstrip("0") if value.isascii() and value.isdigit() else ""
    if not digits or len(digits) > len(str(MAX_REPEAT)) or int(digits) > MAX_REPEAT:
        raise line.bad(f"repeat needs a whole number from 1 to {MAX_REPEAT}.")
    return int(digits)


def _one_of(line: _Line, allowed: tuple[str, ...]) -> str:
    value = line.value.strip()
    if value not in allowed:
        raise line.bad(f"'{value}' is not allowed after {line.name}; allowed are {', '.join(allowed)}.")
    return value
