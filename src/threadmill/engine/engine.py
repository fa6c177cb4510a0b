"""The engine as one value: ports, settings, the worker and the ingester; and its background tasks."""

import asyncio
from dataclasses import dataclass

from threadmill.domain.error import ThreadmillError
from threadmill.engine.documents.ingester import Ingester
from threadmill.engine.ports.bundle import EngineSettings, Ports
from threadmill.engine.ports.surprises import OnError
from threadmill.engine.running.reaper import FOREVER, sweep
from threadmill.engine.running.worker import Worker
from threadmill.engine.storage.file_deletion import delete_expired_files


@dataclass(frozen=True, slots=True)
class Engine:
    """What every use case needs. `executes`: this process drives runs (role all or worker)."""

    ports: Ports
    settings: EngineSettings
    worker: Worker
    ingester: Ingester
    report: OnError
    executes: bool = True

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
            try:
                await self.worker.claim_forever()
            except ThreadmillError as error:
                self.report("claiming failed; it is tried again", error)

    async def _read_forever(self) -> None:
        while True:
            try:
                await self.ingester.run()
            except ThreadmillError as error:
                self.report("reading files failed; it is tried again", error)
                await asyncio.sleep(self.settings.sweep_interval)
                self.ingester.wake()

    async def _sweep_forever(self) -> None:
        next_beat = 0.0
        while True:
            await asyncio.sleep(self.settings.sweep_interval)
            try:
                if self.ports.clock.monotonic() >= next_beat:
                    next_beat = self.ports.clock.monotonic() + self.settings.lease / 3
                    await self.worker.heartbeat()
                now = self.ports.clock.now()
                await sweep(self.ports, self.worker, now, leases_before=now)
                await delete_expired_files(self.ports, now)
            except ThreadmillError as error:
                self.report("the sweep failed; it is tried again", error)
