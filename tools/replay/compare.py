"""Step 4 of a replay: a recorded answer beside ours. Gives every difference; judges none (see known.py)."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeAlias

from tools.replay.ids import Ids
from tools.replay.recording import Json, JsonObject, as_list, as_object


class Kind(StrEnum):
    """What is different."""

    STATUS = "status"
    HEADER = "header"
    MISSING = "missing"
    """A recorded key is not in our object."""
    ADDED = "added"
    """A key of ours, behind all recorded ones."""
    INSERTED = "inserted"
    """A key of ours in front of a recorded one."""
    ORDER = "order"
    """The same keys in another order."""
    VALUE = "value"
    LENGTH = "length"
    """A list has more or fewer items."""
    EVENT_MISSING = "event missing"
    EVENT_ADDED = "event added"
    CHUNKING = "chunking"
    """The same text or arguments, cut into other deltas."""
    FRAME = "frame"
    """An SSE frame is written differently: a field more, spaces in its JSON."""
    STALLED = "stalled"
    """No answer, or a stream that did not go on."""
    UNPLAYABLE = "unplayable"
    """The tool could not send this or read the answer."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One place. `object` is the wire object around it and `field` the path inside that, list indexes left out."""

    kind: Kind
    where: str
    object: str
    field: str
    recorded: str
    ours: str
    over: str = "rest"
    """`rest` or `events`."""


@dataclass(frozen=True, slots=True)
class Spot:
    """Where the comparison stands."""

    where: str
    object: str = ""
    field: str = ""
    over: str = "rest"

    def key(self, name: str) -> "Spot":
        """Inside an object."""
        return replace(self, where=f"{self.where}.{name}", field=f"{self.field}.{name}".removeprefix("."))

    def item(self, index: int) -> "Spot":
        """Inside a list."""
        return replace(self, where=f"{self.where}[{index}]", field=f"{self.field}[]")

    def inside(self, name: str) -> "Spot":
        """At the root of a wire object."""
        return replace(self, object=name, field="")

    def differs(self, kind: Kind, recorded: Json, ours: Json) -> Difference:
        """A difference here."""
        return Difference(kind, self.where, self.object, self.field, shown(recorded), shown(ours), self.over)


_Row: TypeAlias = tuple[str, str, str]

# What goes on by itself may have gone on further with us when a client looks: the recorded moment cannot be held.
_GOES_ON: Mapping[_Row, tuple[str, ...]] = {
    ("thread.run", "queued", "in_progress"): ("status", "started_at"),
    ("thread.run", "cancelling", "cancelled"): ("status", "cancelled_at", "expires_at", "usage"),
    ("vector_store", "in_progress", "completed"): ("status", "file_counts", "usage_bytes"),
    ("vector_store.file", "in_progress", "completed"): ("status", "usage_bytes"),
    ("vector_store.file_batch", "in_progress", "completed"): ("status", "file_counts"),
}


def shown(value: Json) -> str:
    """A value for people."""
    return value if isinstance(value, _Said) else repr_json(value)


class _Said(str):
    """A text that is shown as it is, not as JSON."""

    __slots__ = ()


def said(text: str) -> Json:
    """Words about a difference, in the place of a value."""
    return _Said(text)


def repr_json(value: Json) -> str:
    """A value as JSON on one line."""
    return json.dumps(value, ensure_ascii=False)


class Comparison:
    """Compares values under one pairing of ids. `looking`: the answer to a GET, where what goes on may be further."""

    def __init__(self, ids: Ids, *, looking: bool = False) -> None:
        self._ids: Ids = ids
        self._looking: bool = looking
        self.ahead: int = 0

    def values(self, recorded: Json, ours: Json, spot: Spot) -> Iterator[Difference]:
        """Every difference between two values, outer and earlier ones first."""
        if isinstance(recorded, dict) and isinstance(ours, dict):
            yield from self._objects(as_object(recorded), as_object(ours), spot)
        elif isinstance(recorded, list) and isinstance(ours, list):
            yield from self._lists(as_list(recorded), as_list(ours), spot)
        elif not self._same(recorded, ours, spot):
            yield spot.differs(Kind.VALUE, recorded, ours)

    def _objects(self, recorded: JsonObject, ours: JsonObject, spot: Spot) -> Iterator[Difference]:
        spot = spot.inside(name) if (name := object_name(recorded)) else spot
        yield from _keys(list(recorded), list(ours), recorded, ours, spot)
        expected = self._gone_on(recorded, ours)
        for key, value in expected.items():
            if key in ours:
                yield from self.values(value, ours[key], spot.key(key))

    def _gone_on(self, recorded: JsonObject, ours: JsonObject) -> JsonObject:
        """What was recorded, as it would have looked where ours stands now."""
        fields = _GOES_ON.get((str(recorded.get("object")), str(recorded.get("status")), str(ours.get("status"))))
        if fields is None or not self._looking:
            return recorded
        self.ahead += 1
        return {key: ours[key] if key in fields and key in ours else value for key, value in recorded.items()}

    def _lists(self, recorded: Sequence[Json], ours: Sequence[Json], spot: Spot) -> Iterator[Difference]:
        if len(recorded) != len(ours):
            counted = (
                said(f"{len(recorded)} items: {repr_json(recorded)}"),
                said(f"{len(ours)} items: {repr_json(ours)}"),
            )
            yield spot.differs(Kind.LENGTH, *counted)
            yield from self._paired(recorded, ours, spot)
            return
        for index, (one, other) in enumerate(zip(recorded, ours, strict=True)):
            yield from self.values(one, other, spot.item(index))

    def _paired(self, recorded: Sequence[Json], ours: Sequence[Json], spot: Spot) -> Iterator[Difference]:
        """Of lists that do not match, the objects whose ids are known: places say nothing about the others."""
        mine = {str(as_object(one).get("id")): one for one in ours}
        for index, one in enumerate(recorded):
            name = self._ids.ours(str(as_object(one).get("id")))
            other = mine.get(name) if name else None
            if other is not None:
                yield from self.values(one, other, spot.item(index))

    def _same(self, recorded: Json, ours: Json, spot: Spot) -> bool:
        key = spot.field.rpartition(".")[2]
        if type(recorded) is not type(ours):
            return False
        if isinstance(recorded, str) and isinstance(ours, str):
            return self._ids.same(recorded, ours)
        counts = isinstance(recorded, int) and not isinstance(recorded, bool)
        if counts and (is_time(key) or ".usage." in f".{spot.field}."):
            return True
        return recorded == ours


def is_time(key: str) -> bool:
    """Whether a key's number is a moment: only that it is there can be compared."""
    return key.endswith("_at") or key == "created"


def object_name(value: JsonObject) -> str:
    """What a wire object calls itself; an error body calls itself `error`."""
    name = value.get("object")
    if isinstance(name, str):
        return name
    return "error" if isinstance(value.get("error"), dict) else ""


def _keys(
    names: Sequence[str], our_names: Sequence[str], recorded: JsonObject, ours: JsonObject, spot: Spot
) -> Iterator[Difference]:
    for name in names:
        if name not in ours:
            yield spot.key(name).differs(Kind.MISSING, recorded[name], said("no such key"))
    common = [name for name in our_names if name in recorded]
    last = our_names.index(common[-1]) if common else -1
    for at, name in enumerate(our_names):
        if name not in recorded:
            kind = Kind.ADDED if at > last else Kind.INSERTED
            yield spot.key(name).differs(kind, said("no such key"), ours[name])
    wanted = [name for name in names if name in ours]
    if common != wanted:
        yield spot.differs(Kind.ORDER, said(", ".join(wanted)), said(", ".join(common)))
