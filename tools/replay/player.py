"""Step 3 of a replay: one recording, exchange by exchange, against one server; gives what was found in each."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import aiohttp

from tools.replay.asking import Answer, Asker, Requests
from tools.replay.compare import Comparison, Difference, Kind, Spot, said
from tools.replay.evidence import AT_REST, TERMINAL, RunEvidence
from tools.replay.frames import OurFrame, compare_frames, is_delta
from tools.replay.ids import Ids
from tools.replay.reading import Reader, interruption
from tools.replay.recording import Exchange, Recording, as_object, walk
from tools.replay.seeds import Seed, seeds_of
from tools.replay.upstream import Stage

Judge = Callable[[Sequence[Difference]], bool]
"""Whether these differences are all explained, so that looking again is not needed."""

LOOK_EVERY = 0.01
"""Seconds between two looks at something that may still change."""

LEAST_PATIENCE = 0.5
"""Seconds a wait has left where many were in vain."""

COMPARED_HEADERS = ("content-type", "openai-version")


@dataclass(frozen=True, slots=True)
class Found:
    """What one exchange showed."""

    exchange: Exchange
    differences: tuple[Difference, ...]


@dataclass
class Playing:
    """One recording while it is played. `patience`: seconds something that should happen is waited for."""

    recording: Recording
    asker: Asker
    stage: Stage
    judge: Judge
    patience: float = 10.0
    notes: list[str] = field(default_factory=list[str])
    ahead: int = 0

    def __post_init__(self) -> None:
        self.ids: Ids = Ids(self.recording)
        self.requests: Requests = Requests(self.recording, self.ids)
        self.stage.translate = self.ids.translate
        self._seeds: list[Seed] = seeds_of(self.recording)
        self._played: dict[int, Found] = {}

    async def next(self, exchange: Exchange) -> Found:
        """Play one exchange; call in order. One that was played while a stream was read is not played again."""
        if exchange.number not in self._played and exchange.is_outage:
            recorded = said(f"{exchange.status}: {_short(exchange.body)}")
            difference = Spot("status", "response", "status").differs(Kind.STATUS, recorded, said("not asked"))
            self._played[exchange.number] = Found(exchange, (difference,))
        if exchange.number not in self._played:
            await self._sow(exchange.number)
            await self._bring_runs_to(exchange)
            await self._play(exchange)
        return self._played[exchange.number]

    async def _play(self, exchange: Exchange) -> None:
        await self.stage.advance(exchange.number)
        self._expect_turn(exchange)
        before = self._asked(exchange)
        try:
            async with asyncio.timeout(self.patience * 6):
                differences = await self._exchange(exchange)
        except (aiohttp.ClientError, TimeoutError) as error:
            differences = [Spot("answer").differs(Kind.STALLED, said("an answer"), said(repr(error)))]
        self._played[exchange.number] = Found(exchange, tuple(differences))
        await self._await_turn(exchange, before)

    async def _exchange(self, exchange: Exchange) -> list[Difference]:
        if exchange.frames is not None:
            return await self._stream(exchange)
        return await (self._look(exchange) if exchange.method == "GET" else self._once(exchange))

    def _deadline(self) -> float:
        return asyncio.get_running_loop().time() + self.patience

    def _is_late(self, deadline: float) -> bool:
        """Whether what was waited for did not come. What is waited for in vain makes every later wait shorter."""
        if asyncio.get_running_loop().time() <= deadline:
            return False
        self.patience = max(self.patience / 2, LEAST_PATIENCE)
        return True

    # --- plain answers

    async def _once(self, exchange: Exchange, *, looking: bool = False) -> list[Difference]:
        answer = await self.asker.ask(self.requests.of(exchange))
        return self._compare(exchange, answer, looking=looking)

    async def _look(self, exchange: Exchange) -> list[Difference]:
        """A GET is asked again while its answer is not as recorded and may still become so."""
        deadline = self._deadline()
        while True:
            settled = not (await self._may_change() or await self._is_to_expire(exchange))
            answer = await self.asker.ask(self.requests.of(exchange))
            before = self.ids.pairs()
            differences = self._compare(exchange, answer, looking=True)
            if self.judge(differences) or (settled and not _goes_on(answer)) or self._is_late(deadline):
                return differences
            self.ids.forget_since(before)  # what stood at a place a moment too early is no pair
            await asyncio.sleep(LOOK_EVERY)

    def _compare(self, exchange: Exchange, answer: Answer, *, looking: bool) -> list[Difference]:
        if answer.status != exchange.status:
            recorded = said(f"{exchange.status}: {_short(exchange.body)}")
            ours = said(f"{answer.status}: {_short(answer.body)}")
            return [Spot("status", "response", "status").differs(Kind.STATUS, recorded, ours)]
        comparison = Comparison(self.ids, looking=looking)
        found = [*_headers(exchange, answer.headers), *comparison.values(exchange.body, answer.body, Spot("body"))]
        self.ahead += comparison.ahead
        return found

    # --- streams

    async def _stream(self, exchange: Exchange) -> list[Difference]:
        frames = exchange.frames or ()
        self.stage.paced = True
        try:
            async with self.asker.open(self.requests.of(exchange)) as response:
                kind = response.headers.get("content-type", "")
                if response.status != exchange.status or "event-stream" not in kind:
                    text = await response.text()
                    recorded = said(f"{exchange.status}: a stream of {len(frames)} events")
                    ours = said(f"{response.status} {kind}: {text}")
                    return [Spot("status", "response", "status").differs(Kind.STATUS, recorded, ours)]
                found = list(_headers(exchange, dict(response.headers)))
                ours, stalled = await self._read(exchange, response)
        finally:
            self.stage.paced = False
        comparison = Comparison(self.ids)
        return [*found, *stalled, *compare_frames(frames, ours, comparison)]

    async def _read(
        self, exchange: Exchange, response: aiohttp.ClientResponse
    ) -> tuple[list[OurFrame], list[Difference]]:
        """Our frames, to the end or as far as the recorded reader read; what else was recorded meanwhile is played."""
        recorded = exchange.frames or ()
        is_whole = bool(recorded) and recorded[-1].name == "done"
        meanwhile = interruption(exchange)
        ours: list[OurFrame] = []
        reader = Reader(response)
        while is_whole or len(ours) < len(recorded):
            if meanwhile is not None and len(ours) >= meanwhile:
                await self._interrupt(exchange)
                meanwhile = None
            frame = await reader.next(self.patience)
            if frame is None:
                break
            ours.append(frame)
            if is_delta(frame.name):
                await self.stage.heard()
            self._learn(recorded, ours)
        if not reader.stalled:
            return ours, []
        spot = Spot(f"events[{len(ours)}]", "", "", "events")
        return ours, [spot.differs(Kind.STALLED, said("the next event"), said(f"nothing for {self.patience:g} s"))]

    def _learn(self, recorded: Sequence[object], ours: Sequence[OurFrame]) -> None:
        """Ids of the first events, for requests that are sent while the stream goes on."""
        at = len(ours) - 1
        if at < 4 and at < len(recorded):
            frame = recorded[at]
            data = as_object(getattr(frame, "data", None))
            mine = as_object(ours[at].data)
            if data.get("object") == mine.get("object"):
                for name in ("id", "thread_id"):
                    if isinstance(data.get(name), str) and isinstance(mine.get(name), str):
                        self.ids.bind(data[name], mine[name])

    async def _interrupt(self, exchange: Exchange) -> None:
        """The run was cancelled, or expired, while its stream was read."""
        run = self._run_of(exchange)
        if run is None or run.status == "expired":
            return  # time alone does it
        cancels = [one for one in self.recording.exchanges if _cancels(one, run.id) and one.number not in self._played]
        if cancels:
            differences = await self._once(cancels[0])
            self._played[cancels[0].number] = Found(cancels[0], tuple(differences))
        else:
            self.notes.append("The recording does not show who cancelled the streamed run; the tool did.")
            await self.asker.post(self.ids.translate(f"/threads/{run.thread_id}/runs/{run.id}/cancel"), {})

    # --- runs

    def _run_of(self, exchange: Exchange) -> RunEvidence | None:
        """The run an exchange creates or takes up again."""
        if exchange.method != "POST" or not exchange.succeeded:
            return None
        match exchange.segments:
            case ("threads", "runs") | ("threads", _, "runs"):
                shown = (as_object(answer) for answer in exchange.answers())
                found = next((one["id"] for one in shown if one.get("object") == "thread.run"), "")
            case ("threads", _, "runs", run_id, "submit_tool_outputs"):
                found = run_id
            case _:
                found = ""
        part = self.stage.parts.get(found)
        return part.run if part else None

    def _expect_turn(self, exchange: Exchange) -> None:
        if run := self._run_of(exchange):
            self.stage.expect(run.id)

    def _asked(self, exchange: Exchange) -> int:
        run = self._run_of(exchange)
        return self.stage.parts[run.id].asked if run else 0

    async def _await_turn(self, exchange: Exchange, before: int) -> None:
        """The run's model is asked before the next run begins, so that no two answers can be mistaken."""
        run = self._run_of(exchange)
        if run is None or self.stage.parts[run.id].asked > before:
            return
        deadline = self._deadline()
        while not await self.stage.asked(run.id, before + 1, 0.2):
            if await self._status(run) in ("", *AT_REST) or self._is_late(deadline):
                return

    async def _status(self, run: RunEvidence) -> str:
        """The status of our run; empty when it cannot be had."""
        thread, mine = self.ids.ours(run.thread_id), self.ids.ours(run.id)
        if thread is None or mine is None:
            return ""
        answer = await self.asker.get(f"/threads/{thread}/runs/{mine}")
        return str(as_object(answer.body).get("status") or "") if answer.status == 200 else ""

    def _begun(self, number: int) -> list[RunEvidence]:
        """Runs the recording began before that exchange."""
        return [part.run for part in self.stage.parts.values() if part.run.created < number]

    async def _may_change(self) -> bool:
        """Whether some run of ours can go on without the player."""
        for part in self.stage.parts.values():
            if not self.stage.holds(part.run.id) and await self._status(part.run) not in ("", *AT_REST):
                return True
        return False

    async def _is_to_expire(self, exchange: Exchange) -> bool:
        """Whether the recording shows a run expired by now and time has not ended ours yet."""
        runs = self._begun(exchange.number)
        late = [run for run in runs if run.by(exchange.number) == "expired"]
        return any([await self._status(run) not in ("", *TERMINAL) for run in late])

    async def _bring_runs_to(self, exchange: Exchange) -> None:
        """Runs that rested by then are waited for: requests that change things find what they found when recorded."""
        await self.stage.advance(exchange.number - 1)
        for run in self._begun(exchange.number):
            wanted = run.before(exchange.number)
            if wanted in AT_REST:
                await self._wait_for(run, wanted)

    async def _wait_for(self, run: RunEvidence, wanted: str) -> None:
        deadline = self._deadline()
        while True:
            status = await self._status(run)
            if status in (wanted, "", *TERMINAL) or self._is_late(deadline):
                return
            await asyncio.sleep(LOOK_EVERY)

    # --- what was there before

    async def _sow(self, number: int) -> None:
        while self._seeds and self._seeds[0].before <= number:
            await self._make(self._seeds.pop(0))

    async def _make(self, seed: Seed) -> None:
        path = self.ids.translate(seed.path)
        if seed.kind == "file":
            answer = await self.asker.ask(self.requests.upload_of(path, seed.shown))
        else:
            answer = await self.asker.post(path, as_object(self.ids.translate_json(seed.body())))
        if answer.status != 200 and "tool_resources" in seed.body():
            # What its stores and files were is not recorded.
            plain = {name: value for name, value in seed.body().items() if name != "tool_resources"}
            answer = await self.asker.post(path, plain)
        made = as_object(answer.body).get("id")
        if answer.status != 200:
            self.notes.append(f"A {seed.kind} that was there before could not be made: {_short(answer.body)}")
        elif seed.id and isinstance(made, str):
            self.ids.bind(seed.id, made)


def _headers(exchange: Exchange, ours: dict[str, str]) -> list[Difference]:
    mine = {name.lower(): value for name, value in ours.items()}
    spot = Spot("headers", "response", "headers", "rest" if exchange.frames is None else "events")
    return [
        spot.key(name).differs(Kind.HEADER, said(exchange.headers[name]), said(mine.get(name, "no such header")))
        for name in COMPARED_HEADERS
        if name in exchange.headers and exchange.headers[name] != mine.get(name)
    ]


def _cancels(exchange: Exchange, run_id: str) -> bool:
    return exchange.method == "POST" and exchange.segments[-2:] == (run_id, "cancel")


def _goes_on(answer: Answer) -> bool:
    """Whether something in the answer is on its way by itself: files that are read in."""
    kinds = ("vector_store", "vector_store.file", "vector_store.file_batch")
    return any(one.get("status") == "in_progress" and one.get("object") in kinds for one in walk(answer.body))


def _short(body: object) -> str:
    text = Spot("").differs(Kind.VALUE, body, None).recorded
    return " ".join(text.split())
