"""What is counted for `/metrics`."""

from typing import Protocol

from threadmill.domain.outcome import ErrorCode, Usage
from threadmill.domain.run import RunStatus


class Metrics(Protocol):
    """Counters and timings of the engine. Labels never carry ids, prompts or keys."""

    def run_status_changed(self, status: RunStatus) -> None:
        """A run came to `status`."""
        ...

    def queue_time(self, seconds: float) -> None:
        """From queued to a worker."""
        ...

    def time_to_first_token(self, seconds: float) -> None:
        """From asking the model to its first piece."""
        ...

    def tokens_used(self, usage: Usage) -> None:
        """By one turn."""
        ...

    def upstream_slots(self, upstream: str, answering: int, waiting: int) -> None:
        """How many requests an upstream with few places answers now, and how many wait for one."""
        ...

    def call_passed_on(self, path: str, status: int) -> None:
        """A call of `path`, of a fixed list, was answered by an upstream or by `rehearsal`."""
        ...

    def upstream_error(self, code: ErrorCode) -> None:
        """A turn ended in an upstream error."""
        ...
