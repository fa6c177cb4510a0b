"""Step 5 of a replay: the written list of differences that are meant or not built yet, and which of its rows are stale."""

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, TypeAlias, TypeVar, cast

from tools.replay.compare import Difference, Kind

LIST = Path(__file__).parents[2] / "docs" / "reference" / "replay-differences.toml"
"""The list of this repository."""


class BadList(Exception):
    """The written list cannot be read; the message says where."""


@dataclass(frozen=True, slots=True)
class Meant:
    """A difference we mean: everything given must fit. `seen_in` names the recordings that must show it."""

    reason: str
    kinds: tuple[str, ...]
    objects: tuple[str, ...]
    fields: tuple[str, ...]
    over: str
    recorded: re.Pattern[str]
    ours: re.Pattern[str]
    recordings: tuple[str, ...]
    seen_in: tuple[str, ...]

    @property
    def name(self) -> str:
        """For people."""
        return f"{'/'.join(self.kinds)} {'/'.join(self.objects)} {', '.join(self.fields)}"

    def explains(self, recording: str, difference: Difference) -> bool:
        """Whether this row names that difference."""
        return (
            difference.kind in self.kinds
            and any(fnmatchcase(recording, one) for one in self.recordings)
            and any(fnmatchcase(difference.object, one) for one in self.objects)
            and any(_fits(difference.field, one) for one in self.fields)
            and self.over in ("", difference.over)
            and self.recorded.search(difference.recorded) is not None
            and self.ours.search(difference.ours) is not None
        )


def _fits(name: str, pattern: str) -> bool:
    """fnmatch, but `[]` means a list's items and not a set of characters."""
    return fnmatchcase(name.replace("[]", "<>"), pattern.replace("[]", "<>"))


@dataclass(frozen=True, slots=True)
class NotBuilt:
    """Something the server says it lacks. A recording is played up to the exchange whose answer `shows` it."""

    what: str
    reason: str
    shows: re.Pattern[str]
    recordings: tuple[str, ...]
    seen_in: tuple[str, ...]

    @property
    def name(self) -> str:
        """For people."""
        return f"not built yet: {self.what}"

    def stops(self, recording: str, difference: Difference) -> bool:
        """Whether the difference is that this is not built."""
        fits = any(fnmatchcase(recording, one) for one in self.recordings)
        return fits and self.shows.search(difference.ours) is not None


Row: TypeAlias = Meant | NotBuilt
_R = TypeVar("_R", Meant, NotBuilt)


@dataclass
class Known:
    """The list, and what of it was seen: row -> recordings."""

    meant: Sequence[Meant] = ()
    not_built: Sequence[NotBuilt] = ()
    _seen: dict[int, set[str]] = field(default_factory=dict[int, set[str]])

    def explanation(self, recording: str, difference: Difference) -> Meant | None:
        """The first row that names the difference."""
        return self._see(recording, (row for row in self.meant if row.explains(recording, difference)))

    def lack(self, recording: str, difference: Difference) -> NotBuilt | None:
        """The first row that says that this is not built."""
        return self._see(recording, (row for row in self.not_built if row.stops(recording, difference)))

    def _see(self, recording: str, rows: Iterable[_R]) -> _R | None:
        row = next(iter(rows), None)
        if row is not None:
            self._seen.setdefault(id(row), set()).add(recording)
        return row

    def stale(self, played: Mapping[str, bool]) -> list[str]:
        """Rows that no longer apply. `played`: recording -> whether it was played to its end.

        A row is stale when a recording it says it is seen in was played and did not show it. One that was stopped
        by something not built proves nothing about the rows behind that point.
        """
        found: list[str] = []
        rows: list[Row] = [*self.meant, *self.not_built]
        for row in rows:
            # What stopped a recording stopped it for all rows behind that place, but is itself the one that shows.
            proves = [name for name in row.seen_in if played.get(name, False) or self._was_stopped(row, name, played)]
            missed = [name for name in proves if name not in self._seen.get(id(row), set())]
            if missed:
                found.append(f"{row.name}: no longer seen in {', '.join(missed)}")
        return found

    @staticmethod
    def _was_stopped(row: Row, name: str, played: Mapping[str, bool]) -> bool:
        return isinstance(row, NotBuilt) and name in played

    def unused(self) -> list[str]:
        """Rows that explained nothing in this playing."""
        rows: list[Row] = [*self.meant, *self.not_built]
        return [row.name for row in rows if id(row) not in self._seen]


def read_list(path: Path = LIST) -> Known:
    """The list from its file. Raises BadList."""
    try:
        document = tomllib.loads(path.read_text())
        meant = [_meant(row) for row in cast("list[dict[str, Any]]", document.get("difference", []))]
        lacks = [_not_built(row) for row in cast("list[dict[str, Any]]", document.get("not_built", []))]
    except (OSError, tomllib.TOMLDecodeError, re.error, ValueError) as error:
        raise BadList(f"{path}: {error}") from None
    return Known(meant, lacks)


def _meant(row: dict[str, Any]) -> Meant:
    known = {"kind", "object", "field", "over", "recorded", "ours", "recordings", "seen_in", "reason"}
    _check(row, known, {"kind", "object", "field", "reason", "seen_in"})
    kinds = _names(row["kind"])
    for kind in kinds:
        Kind(kind)
    return Meant(
        reason=row["reason"],
        kinds=kinds,
        objects=_names(row["object"]),
        fields=_names(row["field"]),
        over=row.get("over", ""),
        recorded=re.compile(row.get("recorded", "")),
        ours=re.compile(row.get("ours", "")),
        recordings=_names(row.get("recordings", "*")),
        seen_in=_names(row.get("seen_in", [])),
    )


def _not_built(row: dict[str, Any]) -> NotBuilt:
    _check(row, {"what", "reason", "shows", "recordings", "seen_in"}, {"what", "reason", "shows", "seen_in"})
    names = _names(row.get("recordings", "*"))
    return NotBuilt(row["what"], row["reason"], re.compile(row["shows"]), names, _names(row.get("seen_in", [])))


def _check(row: dict[str, Any], known: set[str], needed: set[str]) -> None:
    if unknown := set(row) - known:
        raise ValueError(f"a row has unknown keys: {', '.join(sorted(unknown))}")
    if missing := needed - set(row):
        raise ValueError(f"a row lacks {', '.join(sorted(missing))}: {row}")


def _names(value: str | list[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)
