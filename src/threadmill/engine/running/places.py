"""The places of a worker: so many runs at once, and of one upstream no more than its share of what others leave.

An upstream that answers nobody fills its share and no more: there is always a place for the runs of another.
"""

from collections import Counter


class Places:
    """`most` in all; `share` of those that other upstreams' runs leave is what one upstream's may take, one at least."""

    def __init__(self, most: int, share: float) -> None:
        self._most: int = most
        self._share: float = share
        self._held: Counter[str] = Counter()

    @property
    def free(self) -> int:
        """How many nobody holds."""
        return self._most - self._held.total()

    def has_room(self, upstream: str) -> bool:
        """Whether a run of the upstream may take one now."""
        held = self._held[upstream]
        return self.free > 0 and held < max(1, int(self._share * (self.free + held)))

    def take(self, upstream: str) -> bool:
        """Take one if there is room."""
        if not self.has_room(upstream):
            return False
        self._held[upstream] += 1
        return True

    def give_back(self, upstream: str) -> None:
        """What was taken."""
        self._held[upstream] -= 1
        if not self._held[upstream]:
            del self._held[upstream]
