"""Step 4b of a replay: a recorded stream beside ours: event order first, then frame by frame."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import TypeAlias

from tools.replay.compare import Comparison, Difference, Kind, Spot, said
from tools.replay.recording import Frame, Json, as_list, as_object


@dataclass(frozen=True, slots=True)
class OurFrame:
    """One SSE event as it came: `data` decoded, `text` as sent, and the names of its fields besides event and data."""

    name: str
    data: Json
    text: str
    fields: tuple[str, ...] = ()


@dataclass
class Splitter:
    """SSE lines in, frames out."""

    _name: str = ""
    _data: list[str] = field(default_factory=list[str])
    _others: list[str] = field(default_factory=list[str])

    def line(self, line: str) -> OurFrame | None:
        """Take a line without its end; an empty one ends a frame."""
        if line == "":
            return self._frame()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            self._name = value
        elif name == "data":
            self._data.append(value)
        elif name:  # a comment keeps the connection open and belongs to no frame
            self._others.append(name)
        return None

    def _frame(self) -> OurFrame | None:
        name, text, others = self._name, "\n".join(self._data), tuple(self._others)
        self._name, self._data, self._others = "", [], []
        if not name and not text:
            return None
        try:
            data: Json = json.loads(text)
        except ValueError:
            data = text
        return OurFrame(name, data, text, others)


_Item: TypeAlias = tuple[str, int, "list[Frame | OurFrame]"]


def compare_frames(recorded: Sequence[Frame], ours: Sequence[OurFrame], comparison: Comparison) -> Iterator[Difference]:
    """Every difference of two streams. What is recorded only to a point (its reader left) is compared to there."""
    theirs, mine = list(_items(recorded)), list(_items(ours))
    names = [name for name, _, _ in theirs], [name for name, _, _ in mine]
    for tag, a1, a2, b1, b2 in SequenceMatcher(None, *names, autojunk=False).get_opcodes():
        if tag == "equal":
            for one, other in zip(theirs[a1:a2], mine[b1:b2], strict=True):
                yield from _compare_items(one, other, comparison)
            continue
        yield from (_lost(item, Kind.EVENT_MISSING) for item in theirs[a1:a2])
        yield from (_lost(item, Kind.EVENT_ADDED) for item in mine[b1:b2])


def _items(frames: "Sequence[Frame | OurFrame]") -> Iterator[_Item]:
    """Events one by one; deltas of one kind and object in a row are one item."""
    group: list[Frame | OurFrame] = []
    began = 0
    for at, frame in enumerate(frames):
        if group and (not is_delta(frame.name) or _target(frame) != _target(group[-1])):
            yield group[0].name, began, group
            group = []
        if is_delta(frame.name):
            began = at if not group else began
            group.append(frame)
        else:
            yield frame.name, at, [frame]
    if group:
        yield group[0].name, began, group


def is_delta(name: str) -> bool:
    """Whether an event grows something."""
    return name.endswith(".delta")


def _target(frame: "Frame | OurFrame") -> tuple[str, Json]:
    return frame.name, as_object(frame.data).get("id")


def _lost(item: _Item, kind: Kind) -> Difference:
    name, at, frames = item
    text = f"{name}: {json.dumps(frames[0].data, ensure_ascii=False)}"
    is_missing = kind is Kind.EVENT_MISSING
    recorded, ours = (text, "no such event here") if is_missing else ("no such event here", text)
    return Spot(f"events[{at}]", name, "", "events").differs(kind, said(recorded), said(ours))


def _compare_items(one: _Item, other: _Item, comparison: Comparison) -> Iterator[Difference]:
    name, at, recorded = one
    _, _, ours = other
    if len(recorded) != len(ours) and is_delta(name):
        yield from _compare_cut(one, other, comparison)
        return
    for number, (frame, mine) in enumerate(zip(recorded, ours, strict=True)):
        if isinstance(mine, OurFrame):
            spot = Spot(f"events[{at + number}] {name}", name, "", "events")
            yield from _compare_form(mine, spot)
            yield from comparison.values(frame.data, mine.data, spot)


def _compare_cut(one: _Item, other: _Item, comparison: Comparison) -> Iterator[Difference]:
    """As many deltas as neither side shares: the same words in other pieces, or other words."""
    name, at, recorded = one
    ours = other[2]
    pieces, mine = [_grown(frame) for frame in recorded], [_grown(frame) for frame in ours]
    spot = Spot(f"events[{at}] {name}", name, "", "events")
    same = "".join(pieces) == "".join(mine)
    yield spot.differs(Kind.CHUNKING if same else Kind.LENGTH, pieces, mine)
    # The first one has members the others lack.
    yield from comparison.values(recorded[0].data, ours[0].data, spot) if not same else ()


def _grown(frame: "Frame | OurFrame") -> str:
    """What a delta adds, as text."""
    delta = as_object(as_object(frame.data).get("delta"))
    content = [as_object(as_object(one).get("text")).get("value", "") for one in as_list(delta.get("content"))]
    calls = [as_object(one) for one in as_list(as_object(delta.get("step_details")).get("tool_calls"))]
    for call in calls:
        inner = as_object(call.get(str(call.get("type"))))
        content.append(inner.get("arguments", inner.get("input", "")))
    return "".join(str(one) for one in content)


def _compare_form(frame: OurFrame, spot: Spot) -> Iterator[Difference]:
    """The service sends event and data, and compact JSON with non-ASCII as is (behaviour.md 3.1)."""
    for name in frame.fields:
        yield spot.inside("frame").key(name).differs(Kind.FRAME, said("no such field"), said(name))
    written = (
        frame.text if frame.data == frame.text else json.dumps(frame.data, ensure_ascii=False, separators=(",", ":"))
    )
    if written != frame.text:
        yield spot.inside("frame").key("data").differs(Kind.FRAME, said(written), said(frame.text))
