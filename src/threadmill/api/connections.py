"""The open connections: how many, which of them only wait, and how long each may take (ADR-0020).

A connection works from a whole head to the end of its answer; else it waits. What works is never ended for want of
room: a new connection takes the place of the one that waits longest, and gets a 503 where all work.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

LOG = logging.getLogger("threadmill.api")

RESERVED = 256
"""Descriptors kept for the server itself: database, files, sandbox sessions, look-ups. At most a quarter of all."""


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """`most` connections; seconds for a head, for a body that does not move, and for an answer nobody takes.

    `descriptors` is the process's limit, None for none that is known. `per_connection` descriptors go with each: its
    own, and that of a model's connection where there are upstreams.
    """

    most: int = 10_000
    head_seconds: float = 15
    body_seconds: float = 30
    write_seconds: float = 120
    descriptors: int | None = None
    per_connection: int = 1

    @property
    def usable_descriptors(self) -> int | None:
        """How many strangers may take."""
        return None if self.descriptors is None else self.descriptors - self._reserved(self.descriptors)

    @staticmethod
    def _reserved(descriptors: int) -> int:
        return min(RESERVED, descriptors // 4)

    @property
    def lingering(self) -> int:
        """How many that were refused for want of room may stay until they have read why; more are closed at once."""
        return RESERVED // 2 if self.descriptors is None else self._reserved(self.descriptors) // 2

    @property
    def backlog(self) -> int:
        """How many connections may wait in the system's queue."""
        return SHORT_BACKLOG if self.descriptors is not None and self.descriptors < FEW_DESCRIPTORS else BACKLOG

    @property
    def room(self) -> int:
        """How many connections there may be."""
        usable = self.usable_descriptors
        return self.most if usable is None else max(min(self.most, usable // self.per_connection), 1)


FEW_DESCRIPTORS = 8_192
SHORT_BACKLOG, BACKLOG = 128, 2_048
"""Connections that come at once are all accepted before one is looked at: where descriptors are few, so are these."""

MIN_WAIT_SECONDS = 2.0
"""A connection that waits for less may be about to send its head: it gives way to nobody."""


class Connection(Protocol):
    """What the table asks of a connection."""

    def overdue(self, now: float, limits: ConnectionLimits) -> bool:
        """Whether it took longer than it may."""
        ...

    def time_out(self) -> None:
        """End it, and say why if somebody listens."""
        ...

    def give_way(self) -> None:
        """End it; it only waits."""
        ...


class Connections:
    """All open connections of a server. Everything here is the event loop's."""

    def __init__(self, limits: ConnectionLimits | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.limits: ConnectionLimits = limits or ConnectionLimits()
        self.clock: Callable[[], float] = clock
        self._open: set[Connection] = set()
        self._waiting: dict[Connection, float] = {}
        self._leaving: set[Connection] = set()
        self._is_full: bool = False

    def admit(self, connection: Connection, descriptor: int) -> bool:
        """Whether a new connection has room, made by ending the one that waits longest if need be.

        `descriptor` is its number. The system gives the lowest that is free, so all below it are taken.
        """
        usable = self.limits.usable_descriptors
        if len(self._open) >= self.limits.room or (usable is not None and descriptor >= usable):
            self._tell_once()
            oldest, since = next(iter(self._waiting.items()), (None, 0.0))
            if oldest is None or self.clock() - since < MIN_WAIT_SECONDS:
                self._leaving.add(connection)
                return False
            self.closed(oldest)
            oldest.give_way()
        self._open.add(connection)
        self._waiting[connection] = self.clock()
        return True

    def may_linger(self, connection: Connection) -> bool:
        """Whether a refused connection may wait until its client has read why."""
        return connection in self._open or len(self._leaving) <= self.limits.lingering

    def _tell_once(self) -> None:
        if not self._is_full:
            self._is_full = True
            LOG.warning(
                "%d connections are open, as many as there is room for (max_connections, and the limit of open files: "
                "ulimit -n). The ones that wait longest are closed; where all work, new ones are refused with 503.",
                len(self._open),
            )

    def works(self, connection: Connection) -> None:
        """Its request's head is whole."""
        self._waiting.pop(connection, None)

    def waits(self, connection: Connection) -> None:
        """Its answer is done."""
        if connection in self._open:
            self._waiting.pop(connection, None)
            self._waiting[connection] = self.clock()

    def closed(self, connection: Connection) -> None:
        """It is gone."""
        self._open.discard(connection)
        self._leaving.discard(connection)
        self._waiting.pop(connection, None)

    def sweep(self) -> None:
        """End what took too long; called about once a second."""
        now = self.clock()
        for connection in [one for one in (*self._open, *self._leaving) if one.overdue(now, self.limits)]:
            connection.time_out()
        if self._is_full and len(self._open) < 0.9 * self.limits.room:
            self._is_full = False
