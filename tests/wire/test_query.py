"""Query parameters and ids in paths (behaviour.md 8.3 and 8.4)."""

import pytest

from threadmill.domain.error import InvalidRequest
from threadmill.domain.page import Order, PageQuery
from threadmill.wire.request.query import INCLUDE_VALUE, check_id, includes_content, page_query, run_filter


def test_list_parameters_have_the_services_defaults() -> None:
    assert page_query({}) == PageQuery(20, Order.DESC, None, None)
    assert page_query({"limit": "", "order": "", "after": "", "before": ""}) == PageQuery()
    said = {"limit": "100", "order": "asc", "after": "msg_1", "before": "msg_2"}
    assert page_query(said) == PageQuery(100, Order.ASC, "msg_1", "msg_2")
    assert page_query({"limit": "1"}).limit == 1


@pytest.mark.parametrize(
    ("query", "told"),
    [
        (
            {"limit": "101"},
            (
                "Invalid 'limit': integer above maximum value. Expected a value <= 100, but got 101 instead.",
                "limit",
                "integer_above_max_value",
            ),
        ),
        (
            {"limit": "0"},
            (
                "Invalid 'limit': integer below minimum value. Expected a value >= 1, but got 0 instead.",
                "limit",
                "integer_below_min_value",
            ),
        ),
        *(
            (
                {"limit": text},
                ("Invalid type for 'limit': expected an integer, but got a string instead.", "limit", "invalid_type"),
            )
            for text in ("ten", "1.5", "1_0", "+5", " 5", "٣", "9" * 5000)
        ),
        (
            {"order": "up"},
            ("Invalid value: 'up'. Supported values are: 'asc' and 'desc'.", "order", "invalid_value"),
        ),
    ],
)
def test_a_bad_list_parameter_is_refused(query: dict[str, str], told: tuple[str, str, str]) -> None:
    with pytest.raises(InvalidRequest) as caught:
        page_query(query)
    assert (caught.value.message, caught.value.param, caught.value.code) == told


def test_include_takes_the_one_value_there_is() -> None:
    assert includes_content([INCLUDE_VALUE])
    assert not includes_content([])
    with pytest.raises(InvalidRequest, match="Supported values are: 'step_details"):
        includes_content(["everything"])


def test_messages_may_be_filtered_by_run() -> None:
    assert run_filter({"run_id": "run_1"}) == "run_1"
    assert run_filter({}) is None


@pytest.mark.parametrize(
    ("param", "prefix"),
    [("thread_id", "thread"), ("run_id", "run"), ("message_id", "msg"), ("assistant_id", "asst"), ("step_id", "step")],
)
def test_an_id_must_begin_as_its_kind_does(param: str, prefix: str) -> None:
    assert check_id(f"{prefix}_x", param) == f"{prefix}_x"
    with pytest.raises(InvalidRequest) as caught:
        check_id("undefined", param)
    assert caught.value.message == f"Invalid '{param}': 'undefined'. Expected an ID that begins with '{prefix}'."
    assert (caught.value.param, caught.value.code) == (param, "invalid_value")
