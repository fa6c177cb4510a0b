"""What a run hands to its model unread: one name in the request, in the store, on the run and at the upstream.

A field here, one of the same name in `wire/request/run_thread_bodies.py` and a row in `wire/deviations.py` are all that
another such parameter takes (CONTRIBUTING.md).
"""

from dataclasses import dataclass, fields
from typing import TypeAlias

OptionValue: TypeAlias = str | int | float | bool


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """Parameters of Chat Completions; None leaves one to the upstream."""

    seed: int | None = None

    def given(self) -> dict[str, OptionValue]:
        """Name -> value of those that were asked for, in the order of the fields."""
        values: dict[str, OptionValue | None] = {name: getattr(self, name) for name in OPTION_NAMES}
        return {name: value for name, value in values.items() if value is not None}


OPTION_NAMES: tuple[str, ...] = tuple(field.name for field in fields(ModelOptions))
