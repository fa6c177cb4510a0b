"""What does not work for a while: told to the operator once, not with each attempt, and shown by `/readyz`."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from threadmill.domain.error import Unavailable

IsOver = Callable[[], bool]


class Troubles(Protocol):
    """Troubles by the name of what fails. Names and reasons hold no key, prompt or file content. For any thread."""

    def begin(self, what: str, why: str, *, error: BaseException | None = None, is_over: IsOver | None = None) -> None:
        """`what` fails, it may be once more. The log gets `error` in full; with `is_over` it ends by itself."""
        ...

    def end(self, what: str) -> None:
        """It works, it may be as ever."""
        ...

    def current(self) -> Mapping[str, str]:
        """What fails now, and why."""
        ...


async def attempt(troubles: Troubles, what: str, work: Callable[[], Awaitable[object]]) -> bool:
    """Whether `work` of a loop in the background was done. Whatever it meets is told, once while it lasts."""
    try:
        await work()
    except Unavailable as error:
        troubles.begin(what, error.message)
    except Exception as error:  # noqa: BLE001 - a loop that ends would stop everybody's work without a word
        # A name says what kind of trouble it is; the text may hold what is nobody's business.
        troubles.begin(what, type(error).__name__, error=error)
    else:
        troubles.end(what)
        return True
    return False
