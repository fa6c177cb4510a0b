"""The engine as one value: ports, settings, the worker and the ingester; and its background tasks."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from threadmill.engine.documents.ingester import Ingester
from threadmill.engine.ports.bundle import EngineSettings, Ports
from threadmill.engine.ports.surprises import OnError
from threadmill.engine.ports.troubles import attempt
from threadmill.engine.running.reaper import FOREVER, sweep
from threadmill.engine.running.worker import Worker
from threadmill.engine.storage.file_deletion import delete_expired_files
from threadmill.engine.storage.retention import KeptFor, delete_what_is_old
from threadmill.engine.storage.upload_end import end_due_uploads


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
            tasks.create_task(self._delete_forever())

    async def _claim_forever(self) -> None:
        while True:
            await self.worker.wakened()
            if not await self._attempt("claiming runs", self.worker.claim_waiting):
                self.worker.wake()

    async def _read_forever(self) -> None:
        try:
            while True:
                await self.ingester.wakened()
                if not await self._attempt("reading files", self.ingester.start_pending):
                    self.ingester.wake()
        finally:
            await self.ingester.stop()

    async def _sweep_forever(self) -> None:
        next_beat = 0.0
        while True:
            await asyncio.sleep(self.settings.sweep_interval)
            if self.ports.clock.monotonic() >= next_beat:
                next_beat = self.ports.clock.monotonic() + self.settings.lease / 3
                await self._attempt("extending leases", self.worker.heartbeat)
            await self._attempt("looking for overdue and orphaned runs", self._sweep_runs)
            await self._attempt("deleting expired files", self._delete_expired)
            await self._attempt("ending uploads", self._end_uploads)

    async def _delete_forever(self) -> None:
        """In a task of its own: it may take long, and a heartbeat does not wait for it."""
        while True:
            await self._attempt("deleting what is kept no longer", self.delete_what_is_old)
            await asyncio.sleep(self.settings.retention_interval)

    async def delete_what_is_old(self) -> None:
        """Logs and threads of before what `[retention]` says. Raises Unavailable."""
        given, retention = self.settings, self.ports.retention
        kept = KeptFor(given.keep_events_days, given.keep_threads_days, given.delete_thread_files)
        if retention is not None:
            await delete_what_is_old(self.ports, retention, kept, self.worker.unmovable)

    async def _sweep_runs(self) -> None:
        now = self.ports.clock.now()
        await sweep(self.ports, self.worker, now, leases_before=now)

    async def _delete_expired(self) -> None:
        await delete_expired_files(self.ports, self.ports.clock.now(), self.worker.unmovable)

    async def _end_uploads(self) -> None:
        await end_due_uploads(self.ports, self.ports.clock.now(), self.worker.unmovable)

    async def _attempt(self, what: str, work: Callable[[], Awaitable[None]]) -> bool:
        """As `attempt`; what was not done is waited for a little before it is gone on."""
        if await attempt(self.ports.troubles, what, work):
            return True
        await asyncio.sleep(self.settings.sweep_interval)
        return False
