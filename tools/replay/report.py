"""Step 6 of a replay: what was found, for people and for an exit code."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tools.replay.compare import Difference
from tools.replay.known import Meant, NotBuilt
from tools.replay.recording import Exchange

LONGEST = 400
"""Characters of a value that are shown."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One exchange: the differences nobody explains, and those the list does."""

    exchange: Exchange
    unexplained: tuple[Difference, ...]
    explained: tuple[tuple[Difference, Meant], ...]


@dataclass
class Outcome:
    """One recording. `stopped`: what is not built, so that the rest was not played."""

    name: str
    length: int
    judged: list[Judged] = field(default_factory=list[Judged])
    stopped: NotBuilt | None = None
    notes: list[str] = field(default_factory=list[str])
    ahead: int = 0
    broken: str = ""
    """The tool could not go on with it, and why."""

    @property
    def is_whole(self) -> bool:
        """Whether every exchange was played."""
        return self.stopped is None and not self.broken

    @property
    def mark(self) -> str:
        """The outcome in two words."""
        if self.broken:
            return "BROKE OFF"
        return "DIFFERS" if self.unexplained else "not built" if self.stopped else "same"

    @property
    def unexplained(self) -> int:
        """Differences nobody explains."""
        return sum(len(one.unexplained) for one in self.judged)


def ok(outcomes: Sequence[Outcome], stale: Sequence[str]) -> bool:
    """Whether nothing is left to explain."""
    return not stale and not any(outcome.unexplained or outcome.broken for outcome in outcomes)


def lines(
    outcomes: Sequence[Outcome], stale: Sequence[str], unused: Sequence[str] = (), *, verbose: bool = False
) -> Iterator[str]:
    """The whole report."""
    for outcome in outcomes:
        yield from _recording(outcome, verbose=verbose)
    if stale:
        yield ""
        yield "Rows of the list that no longer apply; take them out:"
        yield from (f"  {row}" for row in stale)
    if unused:
        yield ""
        yield "Rows of the list that these recordings had no use for:"
        yield from (f"  {row}" for row in unused)
    yield ""
    yield _sum(outcomes, stale)


def _recording(outcome: Outcome, *, verbose: bool) -> Iterator[str]:
    yield f"{outcome.mark:>9}  {outcome.name}  {_counts(outcome)}"
    for judged in outcome.judged:
        if judged.unexplained or verbose:
            yield from _exchange(judged, verbose=verbose)
    if outcome.stopped is not None:
        at = outcome.judged[-1].exchange
        yield f"           stopped at {at.number} {at.name[:100]}: {outcome.stopped.name}: {outcome.stopped.reason}"
    if outcome.broken:
        yield f"           the tool could not go on: {outcome.broken}"
    yield from (f"           note: {note}" for note in outcome.notes)


def _counts(outcome: Outcome) -> str:
    said = [f"{len(outcome.judged)} of {outcome.length} exchanges"]
    explained = sum(len(one.explained) for one in outcome.judged)
    if outcome.unexplained:
        said.append(f"{outcome.unexplained} unexplained")
    if explained:
        said.append(f"{explained} on the list")
    if outcome.ahead:
        said.append(f"{outcome.ahead} looked at a moment later")
    return ", ".join(said)


def _exchange(judged: Judged, *, verbose: bool) -> Iterator[str]:
    exchange = judged.exchange
    rest = f": {len(judged.unexplained)} unexplained" if judged.unexplained else ""
    yield f"    {exchange.number:>3}  {exchange.name[:140]}{rest}"
    if judged.unexplained:
        yield from _first(judged.unexplained[0])
        yield from _others(judged.unexplained, verbose=verbose)
    if verbose:
        counted = Counter(f"{row.name}: {row.reason}" for _, row in judged.explained)
        yield from (f"           on the list ({count}): {reason}" for reason, count in counted.items())


def _first(difference: Difference) -> Iterator[str]:
    of = f" of {difference.object}" if difference.object else ""
    yield f"           {difference.kind} at {difference.where}{of}"
    yield f"             recorded: {_cut(difference.recorded)}"
    yield f"             ours:     {_cut(difference.ours)}"


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else text[:LONGEST] + "…"


def _others(differences: Sequence[Difference], *, verbose: bool) -> Iterator[str]:
    for number, difference in enumerate(differences[1:]):
        if verbose:
            yield from _first(difference)
        elif number < 5:
            yield f"           also: {difference.kind} at {difference.where}"
    if len(differences) > 6 and not verbose:
        yield f"           and {len(differences) - 6} more (--verbose shows them)"


def _sum(outcomes: Sequence[Outcome], stale: Sequence[str]) -> str:
    played = sum(len(outcome.judged) for outcome in outcomes)
    unexplained = sum(outcome.unexplained for outcome in outcomes)
    whole = sum(outcome.is_whole for outcome in outcomes)
    text = (
        f"{len(outcomes)} recordings ({whole} to their end), {played} exchanges, {unexplained} unexplained differences"
    )
    return text + (f", {len(stale)} stale rows" if stale else "")
