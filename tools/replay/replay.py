"""The whole of a replay: recordings in, outcomes out."""

from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

import aiohttp
from starlette.types import ASGIApp

from tools.replay.asking import Asker
from tools.replay.compare import Difference, Kind, Spot, said
from tools.replay.evidence import Evidence
from tools.replay.known import Known, Meant
from tools.replay.player import Found, Playing
from tools.replay.recording import Exchange, Recording, as_list, as_object, walk
from tools.replay.report import Judged, Outcome
from tools.replay.server import Target, serving
from tools.replay.upstream import Stage, Upstream, serving_upstream


@dataclass(frozen=True, slots=True)
class Options:
    """How to play. Without a `target` each recording gets a server of its own, its app `around`; `patience` in seconds."""

    target: Target | None = None
    upstream_port: int = 0
    patience: float = 10.0
    around: Callable[[ASGIApp], ASGIApp] = lambda app: app


async def replay(recordings: Sequence[Recording], known: Known, options: Options | None = None) -> list[Outcome]:
    """Play all recordings, one after the other. The upstream stays the same for all."""
    options = options or Options()
    async with serving_upstream(options.upstream_port) as upstream:
        return [await _play(recording, upstream, known, options) for recording in recordings]


async def _play(recording: Recording, upstream: Upstream, known: Known, options: Options) -> Outcome:
    outcome = Outcome(recording.name, len(recording.exchanges))
    try:
        await _play_into(outcome, recording, upstream, known, options)
    except Exception as error:  # noqa: BLE001 - recordings come from anywhere: one that breaks the tool must not hide the others
        outcome.broken = repr(error)
    return outcome


async def _play_into(
    outcome: Outcome, recording: Recording, upstream: Upstream, known: Known, options: Options
) -> None:
    evidence = Evidence(recording)
    upstream.stage = stage = Stage(evidence.runs.values())
    upstream.models = _models(recording)
    async with AsyncExitStack() as stack:
        expires = any(run.status == "expired" for run in evidence.runs.values())
        server = serving(upstream.url, expires=expires, runs_code=evidence.runs_code, around=options.around)
        target = options.target or await stack.enter_async_context(server)
        session = await stack.enter_async_context(aiohttp.ClientSession())
        judge = _Judge(recording.name, known)
        playing = Playing(recording, Asker(session, target), stage, judge.explains_all, options.patience)
        await _exchanges(playing, judge, outcome)
    outcome.notes += [*playing.notes, *stage.surprises]
    outcome.ahead = playing.ahead


async def _exchanges(playing: Playing, judge: "_Judge", outcome: Outcome) -> None:
    for exchange in playing.recording.exchanges:
        judged = judge.judge(await _found(playing, exchange))
        outcome.judged.append(judged)
        lacks = [lack for one in judged.unexplained if (lack := judge.known.lack(judge.recording, one))]
        if lacks:
            outcome.stopped = lacks[0]
            outcome.judged[-1] = Judged(exchange, (), judged.explained)
            return


async def _found(playing: Playing, exchange: Exchange) -> Found:
    try:
        return await playing.next(exchange)
    except Exception as error:  # noqa: BLE001 - as above: the exchanges behind it are played all the same
        spot = Spot("exchange", "response", "")
        return Found(exchange, (spot.differs(Kind.UNPLAYABLE, said(exchange.name), said(repr(error))),))


@dataclass(frozen=True, slots=True)
class _Judge:
    """The written list, asked about one recording."""

    recording: str
    known: Known

    def judge(self, found: Found) -> Judged:
        unexplained: list[Difference] = []
        explained: list[tuple[Difference, Meant]] = []
        for difference in found.differences:
            row = self.known.explanation(self.recording, difference)
            if row is None:
                unexplained.append(difference)
            else:
                explained.append((difference, row))
        return Judged(found.exchange, tuple(unexplained), tuple(explained))

    def explains_all(self, differences: Sequence[Difference]) -> bool:
        return all(self.known.explanation(self.recording, one) is not None for one in differences)


def _models(recording: Recording) -> list[str]:
    """Every model the recording names, so that the server finds it at its upstream."""
    names: list[str] = []
    for exchange in recording.exchanges:
        for value in (exchange.asked, *exchange.answers()):
            names += [one["model"] for one in walk(value) if isinstance(one.get("model"), str)]
        if exchange.segments == ("models",):
            names += [str(as_object(one).get("id")) for one in as_list(as_object(exchange.body).get("data"))]
    return list(dict.fromkeys(names))
