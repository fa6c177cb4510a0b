"""Step 2b of a replay: what the model must say in each turn of a run, so that the server does what was recorded. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from tools.replay.evidence import NEVER, TERMINAL, Part, RunEvidence, Said
from tools.replay.recording import JsonObject, as_number, as_object

UNRECORDED = "(The recording does not show what the model said here.)"


class WriteKind(StrEnum):
    """What one piece of an upstream's answer is."""

    TEXT = "text"
    REFUSAL = "refusal"
    CALL = "call"
    """Opens a call: id and name."""
    ARGUMENTS = "arguments"


@dataclass(frozen=True, slots=True)
class Write:
    """One piece, kept back until the exchange `at` is played. `call` says whose id or arguments these are."""

    kind: WriteKind
    text: str
    at: int
    call: Said | None = None
    index: int = 0


@dataclass(frozen=True, slots=True)
class Failure:
    """The upstream fails with this; `last_error` of the run as recorded."""

    code: str
    message: str
    at: int


@dataclass(frozen=True, slots=True)
class Turn:
    """One model call. It ends with `finish` at exchange `at`, or with `failure`, or never (`finish` is empty)."""

    writes: tuple[Write, ...] = ()
    finish: str = ""
    at: int = NEVER
    failure: Failure | None = None
    usage: JsonObject = field(default_factory=dict[str, "int"])

    @property
    def waits_for_client(self) -> bool:
        """Whether function calls end it: the client answers them."""
        return any(write.call is not None and write.call.type == "function" for write in self.writes)


def turns_of(run: RunEvidence) -> list[Turn]:
    """All turns of a run, the one that only waits for its end included."""
    grouped = list(_grouped(run.parts))
    usages = _usages(run, grouped)
    turns = [_turn(run, parts, usage, last=parts is grouped[-1]) for parts, usage in zip(grouped, usages, strict=True)]
    closing = _closing(run, turns)
    return [*turns, closing] if closing else turns


def _grouped(parts: Sequence[Part]) -> Iterator[list[Part]]:
    """A message right ahead of calls is said in one turn with them: a turn without calls would end the run."""
    group: list[Part] = []
    for part in parts:
        group.append(part)
        if part.calls:
            yield group
            group = []
        elif len(group) == 2:
            yield group[:1]
            group = group[1:]
    if group:
        yield group


def _usages(run: RunEvidence, grouped: Sequence[Sequence[Part]]) -> list[JsonObject]:
    """Each turn's tokens: its steps' where they were shown, else the run's sum with the last turn."""
    shown = [[part.usage for part in parts if part.usage] for parts in grouped]
    if not any(shown) and grouped:
        return [*({} for _ in grouped[1:]), as_object(run.body.get("usage"))]
    return [_sum(usages) for usages in shown]


def _sum(usages: Sequence[JsonObject]) -> JsonObject:
    names = ("prompt_tokens", "completion_tokens")
    return {name: sum(int(as_number(usage.get(name)) or 0) for usage in usages) for name in names}


def _turn(run: RunEvidence, parts: Sequence[Part], usage: JsonObject, *, last: bool) -> Turn:
    writes = tuple(write for part in parts for write in _writes(part))
    ending = parts[-1]
    if not last:
        return Turn(writes, "tool_calls" if ending.calls else "stop", ending.ended, usage=usage)
    if run.status in ("cancelled", "cancelling", "expired") and not _was_whole(ending):
        return Turn(writes, usage=usage)
    if run.status == "failed" and not _was_whole(ending):
        return Turn(writes, failure=_failure(run), at=run.ended(), usage=usage)
    return Turn(writes, _finish(run, ending), max(ending.ended, _rest(run, ending)), usage=usage)


def _rest(run: RunEvidence, ending: Part) -> int:
    """A message that ends its run ends it at once; the recording may have looked in between."""
    ends_run = not ending.calls and run.status in TERMINAL
    return run.ended() if ends_run else ending.ended


def _was_whole(part: Part) -> bool:
    """Whether the last part of a run that did not complete was over before the run was: no message ever is."""
    if part.required or part.reason == "content_filter":
        return True
    return bool(part.calls) and part.status in ("", "completed")


def _finish(run: RunEvidence, ending: Part) -> str:
    reason = ending.reason or _incomplete_reason(run)
    if reason == "content_filter":
        return "content_filter"
    if run.status == "incomplete" and (not ending.calls or ending.status == "failed"):
        return "length"
    return "tool_calls" if ending.calls else "stop"


def _incomplete_reason(run: RunEvidence) -> str:
    return str(as_object(run.body.get("incomplete_details")).get("reason") or "")


def _closing(run: RunEvidence, turns: Sequence[Turn]) -> Turn | None:
    """The turn that shows nothing of itself: it waits for the run's end, fails at once, or was never looked at."""
    if turns and (not turns[-1].finish or turns[-1].finish != "tool_calls" or turns[-1].failure):
        return None
    if run.status == "requires_action":
        return None
    if run.status == "failed":
        return Turn(failure=_failure(run), at=run.ended())
    if run.status == "completed":
        return Turn((Write(WriteKind.TEXT, UNRECORDED, run.ended()),), "stop", run.ended(), usage=_run_usage(run))
    if run.status == "incomplete":
        return Turn((Write(WriteKind.TEXT, UNRECORDED, run.ended()),), "length", run.ended(), usage=_run_usage(run))
    return Turn()


def _run_usage(run: RunEvidence) -> JsonObject:
    return as_object(run.body.get("usage"))


def _failure(run: RunEvidence) -> Failure:
    error = as_object(run.body.get("last_error"))
    return Failure(str(error.get("code") or "server_error"), str(error.get("message") or ""), run.ended())


def _writes(part: Part) -> Iterator[Write]:
    # A message whose words nobody looked at was begun all the same.
    unseen = part.whole is None and not (part.pieces or part.refusal or part.calls)
    for text in (UNRECORDED,) if unseen else part.text():
        yield Write(WriteKind.TEXT, text, part.first)
    if part.refusal:
        yield Write(WriteKind.REFUSAL, part.refusal, part.first)
    for index, call in enumerate(part.calls.values()):
        yield Write(WriteKind.CALL, call.name, part.first, call, index)
        for piece in call.text():
            yield Write(WriteKind.ARGUMENTS, piece, part.first, call, index)
