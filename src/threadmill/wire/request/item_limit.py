"""Arrays of a body: how many items they may have is known before any item is looked at, and the first bad item ends it."""

from dataclasses import dataclass
from typing import Any, cast

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from threadmill.wire.request import validation_error


@dataclass(frozen=True, slots=True)
class ItemLimit:
    """For `Annotated[list[…], ItemLimit(most)]`. Refuses in the service's words (`array_above_max_length`)."""

    most: int
    least: int = 0

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Pydantic's hook."""
        schema = cast("core_schema.ListSchema", handler(source))
        return core_schema.no_info_before_validator_function(self._check, {**schema, "fail_fast": True})

    def _check(self, value: Any) -> Any:
        if not isinstance(value, list):
            return value
        count = len(cast("list[object]", value))
        if count > self.most:
            raise validation_error.deferred_error(lambda at: validation_error.too_many_items(at, self.most, count))
        if count < self.least:
            raise validation_error.deferred_error(validation_error.empty_array)
        return cast("list[object]", value)
