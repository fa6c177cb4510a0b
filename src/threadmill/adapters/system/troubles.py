"""The Troubles port: a line in the log where one begins, one where it ends."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from threadmill.engine.ports.troubles import IsOver

LOG = logging.getLogger("threadmill")

QUIET_SECONDS = 60.0
"""What comes back so soon after it ended is not told again: it never went."""


@dataclass(frozen=True, slots=True)
class _Trouble:
    why: str
    since: float
    is_told: bool
    is_over: IsOver | None


class LoggedTroubles:
    """See the port."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic: Callable[[], float] = monotonic
        self._lock: threading.Lock = threading.Lock()
        self._known: dict[str, _Trouble] = {}
        self._ended: dict[tuple[str, str], float] = {}

    def begin(self, what: str, why: str, *, error: BaseException | None = None, is_over: IsOver | None = None) -> None:
        """See the port."""
        with self._lock:
            before = self._known.get(what)
            if before is not None and before.why == why:
                return
            now = self._monotonic()
            ended = self._ended.get((what, why))
            is_told = ended is None or now - ended >= QUIET_SECONDS
            self._known[what] = _Trouble(why, now if before is None else before.since, is_told, is_over)
        if is_told:
            LOG.error("%s fails: %s", _sentence(what), why, exc_info=error)

    def end(self, what: str) -> None:
        """See the port."""
        with self._lock:
            ended = self._known.pop(what, None)
            if ended is None:
                return
            now = self._monotonic()
            self._ended[what, ended.why] = now
        if ended.is_told:
            LOG.warning("%s works again after %.0f s.", _sentence(what), now - ended.since)

    def current(self) -> Mapping[str, str]:
        """See the port."""
        for what, trouble in list(self._known.items()):
            if trouble.is_over is not None and trouble.is_over():
                self.end(what)
        return {what: trouble.why for what, trouble in sorted(self._known.items())}


def _sentence(what: str) -> str:
    return what[:1].upper() + what[1:]
