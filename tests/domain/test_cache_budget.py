"""One budget of bytes for all caches."""

from threadmill.domain.cache_budget import CacheBudget, CacheShare


class Kept:
    """A cache of entries of a size, oldest first out."""

    def __init__(self, budget: CacheBudget, name: str) -> None:
        self.entries: list[int] = []
        self.share: CacheShare = budget.join(name, self.evict)

    def add(self, size: int) -> None:
        self.entries.append(size)
        self.share.add(size)

    def evict(self) -> None:
        self.share.add(-self.entries.pop(0))


def test_the_largest_cache_gives_its_oldest_entries_until_all_together_fit() -> None:
    budget = CacheBudget(100)
    large, small = Kept(budget, "large"), Kept(budget, "small")
    for size in (20, 20, 20):
        large.add(size)
    small.add(30)
    assert budget.sizes() == {"large": 60, "small": 30}
    small.add(25)
    assert (large.entries, small.entries) == ([20, 20], [30, 25])
    large.add(200)
    assert (large.entries, small.entries) == ([], [30, 25])
    assert budget.sizes() == {"large": 0, "small": 55}


def test_a_cache_that_cannot_give_anything_now_is_left_alone() -> None:
    share = CacheBudget(10).join("busy", lambda: None)
    share.add(20)
    assert share.size == 20
