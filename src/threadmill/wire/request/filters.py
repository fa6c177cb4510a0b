"""Filters of a search as callers send them: comparisons, joined by `and` and `or` to any depth a body may have."""

from typing import Annotated, Any, Literal, cast

from pydantic import BeforeValidator, model_validator

from threadmill.domain.error import InvalidRequest
from threadmill.domain.filter import AttributeValue, Comparator, Comparison, Compound, Filter, LogicalOperator
from threadmill.wire.request import validation_error
from threadmill.wire.request.body import Body
from threadmill.wire.request.item_limit import ItemLimit
from threadmill.wire.request.union import BY_TYPE, tag

MAX_FILTERS = 256
"""Comparisons and compounds of a whole filter."""

MAX_VALUES = 1_000
"""Values of one `in` or `nin`."""

LIST_COMPARATORS = (Comparator.IN, Comparator.NIN)
"""Comparisons with several values at once."""


class ComparisonBody(Body):
    """`{"type":"eq","key":…,"value":…}`."""

    type: Literal["eq", "ne", "gt", "gte", "lt", "lte", "in", "nin"]
    key: str
    value: Any

    @model_validator(mode="after")
    def _the_value_suits_the_type(self) -> "ComparisonBody":
        validation_error.apply_domain_check(_check_items if self.type in LIST_COMPARATORS else _check_value, self.value)
        return self

    def to_domain(self) -> Comparison:
        """As given."""
        value = tuple(self.value) if self.type in LIST_COMPARATORS else self.value
        return Comparison(Comparator(self.type), self.key, cast("AttributeValue | tuple[AttributeValue, ...]", value))


def _check_value(value: object, at: str) -> object:
    if not isinstance(value, str | float | int):
        raise validation_error.wrong_type(f"{at}.value", "one of a string, number, or boolean", value)
    return value


def _check_items(value: object, at: str) -> object:
    if not isinstance(value, list):
        raise validation_error.wrong_type(f"{at}.value", "an array", value)
    items = cast("list[object]", value)
    if len(items) > MAX_VALUES:
        raise validation_error.too_many_items(f"{at}.value", MAX_VALUES, len(items))
    for index, item in enumerate(items):
        if isinstance(item, bool) or not isinstance(item, str | float | int):
            raise validation_error.wrong_type(f"{at}.value[{index}]", "one of a string or number", item)
    return items


class CompoundBody(Body):
    """`{"type":"and","filters":[…]}`."""

    type: Literal["and", "or"]
    filters: "Annotated[list[FilterBody], ItemLimit(MAX_FILTERS)]"

    def to_domain(self) -> Compound:
        """As given."""
        return Compound(LogicalOperator(self.type), tuple(filter_of(one) for one in self.filters))


FilterBody = Annotated[
    Annotated[ComparisonBody, tag("eq")]
    | Annotated[ComparisonBody, tag("ne")]
    | Annotated[ComparisonBody, tag("gt")]
    | Annotated[ComparisonBody, tag("gte")]
    | Annotated[ComparisonBody, tag("lt")]
    | Annotated[ComparisonBody, tag("lte")]
    | Annotated[ComparisonBody, tag("in")]
    | Annotated[ComparisonBody, tag("nin")]
    | Annotated[CompoundBody, tag("and")]
    | Annotated[CompoundBody, tag("or")],
    BY_TYPE,
]
CompoundBody.model_rebuild()


def _check_size(value: Any) -> Any:
    """Whatever a filter's parts are, counted before any is looked at."""
    count, level = 0, [value]
    while level:
        count += len(level)
        if count > MAX_FILTERS:
            raise validation_error.deferred_error(_too_many_filters)
        level = [part for one in level for part in _parts(one)]
    return value


def _parts(value: Any) -> list[Any]:
    parts: Any = value.get("filters") if isinstance(value, dict) else None  # pyright: ignore[reportUnknownMemberType,reportUnknownVariableType] - JSON of the caller
    return cast("list[Any]", parts)[: MAX_FILTERS + 1] if isinstance(parts, list) else []


def _too_many_filters(at: str) -> InvalidRequest:
    text = f"Invalid '{at}': too many filters. Expected at most {MAX_FILTERS} comparisons and compounds altogether."
    return InvalidRequest(text, param=at, code="array_above_max_length")


BoundedFilter = Annotated[FilterBody, BeforeValidator(_check_size)]
"""A filter of MAX_FILTERS parts at most."""


def filter_of(body: ComparisonBody | CompoundBody) -> Filter:
    """The filter a body asks for."""
    return body.to_domain()
