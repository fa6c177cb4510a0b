"""Filters of a search as callers send them: comparisons, joined by `and` and `or` to any depth a body may have."""

from typing import Annotated, Any, Literal, cast

from pydantic import model_validator

from threadmill.domain.filter import AttributeValue, Comparator, Comparison, Compound, Filter, LogicalOperator
from threadmill.wire.request import validation_error
from threadmill.wire.request.body import Body
from threadmill.wire.request.union import BY_TYPE, tag

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
    for index, item in enumerate(items):
        if isinstance(item, bool) or not isinstance(item, str | float | int):
            raise validation_error.wrong_type(f"{at}.value[{index}]", "one of a string or number", item)
    return items


class CompoundBody(Body):
    """`{"type":"and","filters":[…]}`."""

    type: Literal["and", "or"]
    filters: "list[FilterBody]"

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


def filter_of(body: ComparisonBody | CompoundBody) -> Filter:
    """The filter a body asks for."""
    return body.to_domain()
