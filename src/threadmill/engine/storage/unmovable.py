"""Objects that a background task cannot move: whatever is wrong with one of them stops none of the others."""

from collections.abc import Awaitable

from threadmill.domain.error import Unavailable
from threadmill.engine.ports.surprises import OnError


class Unmovable:
    """Each is told once, until it could be moved after all. `len` of it: how many there are."""

    def __init__(self, report: OnError) -> None:
        self._report: OnError = report
        self._told: set[str] = set()

    def __len__(self) -> int:
        return len(self._told)

    async def attempt(self, what: str, object_id: str, work: Awaitable[object]) -> None:
        """Await `work` on one object; `what` failed is told with its id. Raises Unavailable, which is no fault of its."""
        try:
            await work
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one object's rows is that object's alone
            if object_id not in self._told:
                self._told.add(object_id)
                self._report(what, error)
        else:
            self._told.discard(object_id)
