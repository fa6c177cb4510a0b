"""The engine as one value: ports, settings, the worker and the ingester; and its background tasks."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from threadmill.engine.documents.ingester import Ingester
from threadmill.engine.ports.bundle import EngineSettings, Ports
from threadmill.engine.ports.surprises import OnError
from threadmill.engine.running.reaper import FOREVER, sweep
from threadmill.engine.running.worker import Worker
from threadmill.engine.storage.file_deletion import delete_expired_files


@dataclass(frozen=True, slots=True)
class Engine:
    """What every use case needs. `executes`: this process drives runs (role all or worker).

    `failing`: the background tasks that did not get on in their last attempt, and what stopped each.
    """

    ports: Ports
    settings: EngineSettings
    worker: Worker
    ingester: Ingester
    report: OnError
    executes: bool = True
    failing: dict[str, str] = field(default_factory=dict[str, str])

    async def requeue_orphans(self) -> None:
        """At start-up of an embedded server: every claim of the process before is dead."""
        await sweep(self.ports, self.worker, self.ports.clock.now(), leases_before=FOREVER)

    async def run_background_tasks(self) -> None:
        """Claim, beat and sweep until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._claim_forever())
            tasks.create_task(self._sweep_forever())
            tasks.create_task(self._read_forever())

    async def _claim_forever(self) -> None:
        while True:
            await self._attempt("claiming runs", self.worker.claim_forever)
            self.failing.pop("claiming runs", None)  # it goes on now; what stops it again at once is told again
            self.worker.wake()

    async def _read_forever(self) -> None:
        while True:
            await self._attempt("reading files", self.ingester.run)
            self.failing.pop("reading files", None)
            self.ingester.wake()

    async def _sweep_forever(self) -> None:
        next_beat = 0.0
        while True:
            await asyncio.sleep(self.settings.sweep_interval)
            if self.ports.clock.monotonic() >= next_beat:
                next_beat = self.ports.clock.monotonic() + self.settings.lease / 3
                await self._attempt("extending leases", self.worker.heartbeat)
            await self._attempt("looking for overdue and orphaned runs", self._sweep_runs)
            await self._attempt("deleting expired files", self._delete_expired)

    async def _sweep_runs(self) -> None:
        now = self.ports.clock.now()
        await sweep(self.ports, self.worker, now, leases_before=now)

    async def _delete_expired(self) -> None:
        await delete_expired_files(self.ports, self.ports.clock.now())

    async def _attempt(self, what: str, work: Callable[[], Awaitable[None]]) -> None:
        """Whatever `work` meets is reported, waited a little and gone on with; `failing` says so meanwhile."""
        try:
            await work()
        except Exception as error:  # noqa: BLE001 - a loop that ends would stop everybody's runs without a word
            self.failing[what] = type(error).__name__
            self.report(f"{what} failed; it is tried again", error)
            await asyncio.sleep(self.settings.sweep_interval)
        else:
            self.failing.pop(what, None)
