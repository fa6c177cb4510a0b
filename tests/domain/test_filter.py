"""Filters over attributes, and the limits of attributes."""

import pytest

from threadmill.domain.error import InvalidRequest
from threadmill.domain.filter import (
    Attributes,
    AttributeValue,
    Comparator,
    Comparison,
    Compound,
    LogicalOperator,
    check_attributes,
    predicate,
)

FILE: Attributes = {"region": "eu", "year": 2_024, "draft": True, "share": 0.5}


def passes(
    comparator: Comparator, key: str, value: AttributeValue | tuple[AttributeValue, ...], file: Attributes = FILE
) -> bool:
    return predicate(Comparison(comparator, key, value))(file)


@pytest.mark.parametrize(
    ("comparator", "key", "value", "wanted"),
    [
        ("eq", "region", "eu", True),
        ("eq", "region", "us", False),
        ("eq", "year", 2_024.0, True),
        ("eq", "year", "2024", False),
        ("eq", "draft", True, True),
        ("eq", "draft", 1, False),
        ("eq", "share", 0.5, True),
        ("ne", "region", "us", True),
        ("ne", "region", "eu", False),
        ("gt", "year", 2_023, True),
        ("gt", "year", 2_024, False),
        ("gte", "year", 2_024, True),
        ("gte", "year", 2_025, False),
        ("lt", "year", 2_025, True),
        ("lt", "year", 2_024, False),
        ("lte", "year", 2_024, True),
        ("lte", "year", 2_023, False),
        ("lt", "region", "fr", True),
        ("gt", "region", "de", True),
        ("gt", "region", 3, False),
        ("lte", "draft", True, False),
        ("gt", "year", "2023", False),
        ("in", "region", ("us", "eu"), True),
        ("in", "year", (1, "2024"), False),
        ("nin", "region", ("us", "eu"), False),
        ("nin", "region", ("us",), True),
        ("in", "region", (), False),
        ("in", "region", "eu", False),
    ],
)
def test_an_attribute_is_compared_with_values_of_its_kind(
    comparator: str, key: str, value: AttributeValue | tuple[AttributeValue, ...], wanted: bool
) -> None:
    assert passes(Comparator(comparator), key, value) is wanted


@pytest.mark.parametrize("comparator", Comparator)
def test_what_a_file_lacks_is_equal_to_nothing(comparator: Comparator) -> None:
    value: AttributeValue | tuple[AttributeValue, ...] = ("a",) if comparator in ("in", "nin") else "a"
    assert passes(comparator, "missing", value) is (comparator in ("ne", "nin"))


def test_filters_join_by_and_and_or_to_any_depth() -> None:
    european, old = Comparison(Comparator.EQ, "region", "eu"), Comparison(Comparator.LT, "year", 2_000)
    assert not predicate(Compound(LogicalOperator.AND, (european, old)))(FILE)
    assert predicate(Compound(LogicalOperator.OR, (european, old)))(FILE)
    assert predicate(Compound(LogicalOperator.AND, (Compound(LogicalOperator.OR, (old, european)), european)))(FILE)
    assert predicate(Compound(LogicalOperator.AND, ()))(FILE)
    assert not predicate(Compound(LogicalOperator.OR, ()))(FILE)


def test_sixteen_attributes_of_full_length_are_taken() -> None:
    most: Attributes = {f"{at:064}": "v" * 512 for at in range(15)} | {"n": 1.5}
    assert check_attributes(most) is most


@pytest.mark.parametrize(
    ("attributes", "param", "code"),
    [
        ({str(at): 1 for at in range(17)}, "attributes", "object_above_max_properties"),
        ({"k" * 65: 1}, f"attributes.{'k' * 65}", "property_name_above_max_length"),
        ({"k": "v" * 513}, "attributes.k", "string_above_max_length"),
    ],
)
def test_attributes_beyond_the_limits_are_refused(attributes: Attributes, param: str, code: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        check_attributes(attributes)
    assert (refused.value.param, refused.value.code) == (param, code)
