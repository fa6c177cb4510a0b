"""Step 2a of a replay: what a recording shows of each run — its parts in order, and when each was first seen."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tools.replay.recording import Exchange, Json, JsonObject, Recording, as_list, as_number, as_object

NEVER = 10**9
"""An exchange number behind every recording: what the recording never shows."""

TERMINAL = frozenset({"cancelled", "failed", "completed", "incomplete", "expired"})
AT_REST = TERMINAL | {"requires_action"}


@dataclass
class Said:
    """A call of the model: `whole` once it is known, `pieces` as they were streamed."""

    id: str
    type: str
    name: str = ""
    whole: str | None = None
    pieces: list[str] = field(default_factory=list[str])

    def text(self) -> Sequence[str]:
        """Arguments, code: streamed pieces if there are any."""
        return _pieces(self.pieces, self.whole)


def _pieces(pieces: list[str], whole: str | None) -> Sequence[str]:
    """The pieces, and the rest where their reader left before the end; the whole where they do not belong to it."""
    joined = "".join(pieces)
    if not whole or joined == whole:
        return pieces
    if pieces and whole.startswith(joined):
        return [*pieces, whole[len(joined) :]]
    return [whole]


@dataclass
class Part:
    """A message or a step of calls. `first` and `ended`: the exchanges that show it begun and whole."""

    rank: int
    first: int
    created_at: float | None = None
    ended: int = NEVER
    status: str = ""
    pieces: list[str] = field(default_factory=list[str])
    whole: str | None = None
    refusal: str = ""
    reason: str = ""
    calls: dict[str, Said] = field(default_factory=dict[str, Said])
    usage: JsonObject | None = None
    required: bool = False
    """The run required action for these calls."""

    def text(self) -> Sequence[str]:
        """The message's text: streamed pieces if they are what is known of the whole, or begin it."""
        return _pieces(self.pieces, self.whole)

    def end(self, number: int) -> None:
        """It was seen whole in that exchange."""
        self.ended = min(self.ended, number)


@dataclass
class RunEvidence:
    """One run. `seen`: (exchange, status, started_at) in order; `body`: the last object shown."""

    id: str
    thread_id: str
    created: int
    seen: list[tuple[int, str, float | None]] = field(default_factory=list[tuple[int, str, "float | None"]])
    body: JsonObject = field(default_factory=dict[str, "Json"])
    parts: list[Part] = field(default_factory=list[Part])

    @property
    def status(self) -> str:
        """The last status shown."""
        return self.seen[-1][1] if self.seen else ""

    def ended(self) -> int:
        """The exchange that first shows the run terminal."""
        return next((number for number, status, _ in self.seen if status in TERMINAL), NEVER)

    def before(self, number: int) -> str:
        """The last status shown ahead of an exchange."""
        return next((status for at, status, _ in reversed(self.seen) if at < number), "")

    def by(self, number: int) -> str:
        """The last status shown up to and with an exchange."""
        return self.before(number + 1)


class Evidence:
    """Reads a whole recording once; `runs` is the outcome, by recorded id."""

    def __init__(self, recording: Recording) -> None:
        self.runs: dict[str, RunEvidence] = {}
        self._parts: dict[str, Part] = {}
        self._owners: dict[int, RunEvidence] = {}
        self._rank: int = 0
        for exchange in recording.exchanges:
            for value in _objects(exchange):
                self._see(exchange, value)
            self._see_implied(exchange)
        for run in self.runs.values():
            _settle_order(run)

    @property
    def runs_code(self) -> bool:
        """Whether the model runs Python anywhere."""
        said = (call for run in self.runs.values() for part in run.parts for call in part.calls.values())
        tools = (as_object(tool) for run in self.runs.values() for tool in as_list(run.body.get("tools")))
        return any(one.type == "code_interpreter" for one in said) or any(
            tool.get("type") == "code_interpreter" for tool in tools
        )

    def _see(self, exchange: Exchange, value: JsonObject) -> None:
        match value.get("object"):
            case "thread.run":
                self._run(exchange.number, value)
            case "thread.run.step":
                self._step(exchange.number, value)
            case "thread.message":
                self._message(exchange.number, value)
            case "thread.message.delta":
                self._message_delta(value)
            case "thread.run.step.delta":
                self._step_delta(value)
            case _:
                pass

    def _owner(self, run_id: str, thread_id: str, number: int) -> RunEvidence:
        return self.runs.setdefault(run_id, RunEvidence(run_id, thread_id, number))

    def _run(self, number: int, value: JsonObject) -> None:
        run = self._owner(str(value.get("id")), str(value.get("thread_id")), number)
        run.seen.append((number, str(value.get("status")), as_number(value.get("started_at"))))
        run.body = value
        action = as_object(as_object(value.get("required_action")).get("submit_tool_outputs"))
        calls = [as_object(call) for call in as_list(action.get("tool_calls"))]
        if calls:
            part = self._part(run, [f"call:{call.get('id')}" for call in calls], number)
            self._take_calls(part, calls)
            part.required = True
            part.end(number)

    def _part(self, run: RunEvidence, keys: Sequence[str], number: int) -> Part:
        """The part known under any of these keys, or a new one."""
        part = next((self._parts[key] for key in keys if key in self._parts), None)
        if part is None:
            self._rank += 1
            part = Part(self._rank, number)
            run.parts.append(part)
        for key in keys:
            self._parts[key] = part
        return part

    def _step(self, number: int, value: JsonObject) -> None:
        run = self._owner(str(value.get("run_id")), str(value.get("thread_id")), number)
        details = as_object(value.get("step_details"))
        calls = [as_object(call) for call in as_list(details.get("tool_calls"))]
        keys = [f"step:{value.get('id')}", *(f"call:{call['id']}" for call in calls if "id" in call)]
        if message_id := as_object(details.get("message_creation")).get("message_id"):
            keys.append(f"message:{message_id}")
        part = self._part(run, keys, number)
        part.created_at = as_number(value.get("created_at")) or part.created_at
        part.status = str(value.get("status"))
        part.usage = as_object(value.get("usage")) or part.usage
        self._take_calls(part, calls)
        if part.status != "in_progress":
            part.end(number)

    def _take_calls(self, part: Part, calls: Sequence[JsonObject]) -> None:
        for call in calls:
            kind = str(call.get("type"))
            known = part.calls.setdefault(str(call.get("id")), Said(str(call.get("id")), kind))
            said = as_object(call.get(kind))
            known.name = str(said.get("name") or known.name)
            whole = said.get("arguments", said.get("input"))
            if isinstance(whole, str) and (whole or known.whole is None):
                known.whole = whole

    def _message(self, number: int, value: JsonObject) -> None:
        run_id = value.get("run_id")
        if value.get("role") != "assistant" or not isinstance(run_id, str):
            return
        run = self._owner(run_id, str(value.get("thread_id")), number)
        part = self._part(run, [f"message:{value.get('id')}"], number)
        if part.created_at is None:
            part.created_at = as_number(value.get("created_at"))
        content = [as_object(one) for one in as_list(value.get("content"))]
        texts = [str(as_object(one.get("text")).get("value", "")) for one in content if one.get("type") == "text"]
        refusals = [str(one.get("refusal", "")) for one in content if one.get("type") == "refusal"]
        is_open = value.get("status", "completed" if content else "in_progress") == "in_progress"
        part.whole = "".join(texts) or (part.whole if is_open else "")
        part.refusal = "".join(refusals) or part.refusal
        part.reason = str(as_object(value.get("incomplete_details")).get("reason") or part.reason)
        if not is_open:
            part.end(number)

    def _message_delta(self, value: JsonObject) -> None:
        part = self._parts.get(f"message:{value.get('id')}")
        for piece in as_list(as_object(value.get("delta")).get("content")) if part else ():
            text = as_object(as_object(piece).get("text")).get("value")
            if isinstance(text, str) and part:
                part.pieces.append(text)

    def _step_delta(self, value: JsonObject) -> None:
        part = self._parts.get(f"step:{value.get('id')}")
        details = as_object(as_object(value.get("delta")).get("step_details"))
        for call in as_list(details.get("tool_calls")) if part else ():
            if part:
                self._call_delta(part, as_object(call))

    def _call_delta(self, part: Part, call: JsonObject) -> None:
        kind = str(call.get("type"))
        said = as_object(call.get(kind))
        if call.get("id"):
            part.calls.setdefault(str(call["id"]), Said(str(call["id"]), kind, str(said.get("name") or "")))
            self._parts[f"call:{call['id']}"] = part
        calls, index = list(part.calls.values()), call.get("index", 0)
        piece = said.get("arguments", said.get("input"))
        if isinstance(piece, str) and piece and isinstance(index, int) and 0 <= index < len(calls):
            calls[index].pieces.append(piece)

    def _see_implied(self, exchange: Exchange) -> None:
        """A refusal names the status it was refused for; a thread that takes a message or a run had no active one."""
        match exchange.method, exchange.segments:
            case "POST", ("threads", _, "runs", run_id, *_) if run_id in self.runs:
                named = _status_in_refusal(exchange)
                if named:
                    self._imply(self.runs[run_id], exchange.number, named)
                elif exchange.succeeded and exchange.segments[-1] == "submit_tool_outputs":
                    self._imply(self.runs[run_id], exchange.number, "requires_action")
            case "POST", ("threads", thread_id, "messages" | "runs") if exchange.succeeded:
                for run in self.runs.values():
                    active = run.thread_id == thread_id and run.created < exchange.number and run.ended() == NEVER
                    if active and run.before(exchange.number) != "requires_action":
                        self._imply(run, exchange.number, "completed")
            case _:
                pass

    @staticmethod
    def _imply(run: RunEvidence, number: int, status: str) -> None:
        """The run was in that status right before the exchange."""
        at = next((place for place, row in enumerate(run.seen) if row[0] >= number), len(run.seen))
        started = run.seen[at - 1][2] if at else None
        run.seen.insert(at, (number - 1, status, started))


def _status_in_refusal(exchange: Exchange) -> str:
    message = as_object(as_object(exchange.body).get("error")).get("message")
    found = re.search(r"""status ["'](\w+)["']""", message) if isinstance(message, str) else None
    return found[1] if found and exchange.status == 400 else ""


def _objects(exchange: Exchange) -> Iterator[JsonObject]:
    """The wire objects of an answer, oldest first."""
    for answer in exchange.answers():
        said = as_object(answer)
        if said.get("object") == "list":
            data = [as_object(one) for one in as_list(said.get("data"))]
            yield from data if exchange.parameter("order") == "asc" else reversed(data)
        elif said:
            yield said


def _settle_order(run: RunEvidence) -> None:
    """Parts in the order they happened; one that is followed by another was over by then."""
    for part in run.parts:
        if part.created_at is None:
            part.created_at = _end_of_leg(run, part)
    run.parts.sort(key=lambda part: (part.created_at or 0, part.rank))
    ended = run.ended()
    for part in reversed(run.parts):
        part.end(ended)
        # A message is often listed long after it was written, and after what came behind it.
        part.first = min(part.first, part.ended)
        ended = part.first


def _end_of_leg(run: RunEvidence, part: Part) -> float:
    """Calls known from a required action alone: made behind all else of their leg and ahead of the next one's start."""
    later = [started for at, status, started in run.seen if at > part.first and status != "requires_action" and started]
    mine = next((started for at, _, started in run.seen if at == part.first and started), 0)
    beyond = [started for started in later if started > mine]
    return min(beyond) - 0.5 if beyond else float("inf")
