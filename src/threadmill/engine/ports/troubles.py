"""What does not work for a while: told to the operator once, not with each attempt, and shown by `/readyz`."""

from collections.abc import Callable, Mapping
from typing import Protocol

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
