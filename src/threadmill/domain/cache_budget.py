"""One bound in bytes for all that is kept after the request it served: whatever is largest gives its least useful first."""

from collections.abc import Callable, Mapping

DEFAULT_BUDGET = 64 * 1024 * 1024
"""Bytes."""


class CacheBudget:
    """What all caches of a process may hold together, in bytes as they estimate them."""

    def __init__(self, limit: int = DEFAULT_BUDGET) -> None:
        self._limit: int = limit
        self._shares: dict[str, CacheShare] = {}
        self._used: int = 0

    def join(self, name: str, evict: Callable[[], None]) -> "CacheShare":
        """A cache's account. `evict` drops its least useful entry and takes the bytes of it off the account."""
        share = self._shares[name] = CacheShare(self, evict)
        return share

    def sizes(self) -> Mapping[str, int]:
        """Bytes of each cache."""
        return {name: share.size for name, share in self._shares.items()}

    def charge(self, size: int) -> None:
        """`size` bytes more (fewer, if negative) are held. For shares."""
        self._used += size
        while size > 0 and self._used > self._limit:
            largest = max(self._shares.values(), key=lambda share: share.size)
            before = largest.size
            largest.evict()
            if largest.size >= before:
                return  # what is left is in the midst of being added


class CacheShare:
    """What one cache holds of the budget."""

    def __init__(self, budget: CacheBudget, evict: Callable[[], None]) -> None:
        self._budget: CacheBudget = budget
        self.evict: Callable[[], None] = evict
        self.size: int = 0

    def add(self, size: int) -> None:
        """The cache holds `size` bytes more, or fewer. More may evict entries of any cache, this one's too."""
        self.size += size
        self._budget.charge(size)
