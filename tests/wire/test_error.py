"""Error bodies, and the one table from domain error to status."""

import json

import pytest

from threadmill.domain import error as e
from threadmill.domain.ids import RunId, ThreadId
from threadmill.wire.error import (
    STATUS_AND_TYPE,
    crash_response,
    error_response,
    unknown_url,
    wrong_method,
)


def every_error(kind: type[e.ThreadmillError] = e.ThreadmillError) -> list[type[e.ThreadmillError]]:
    return [kind, *(deeper for one in kind.__subclasses__() for deeper in every_error(one))]


DOMAIN_ERRORS = [one for one in every_error() if one.__module__ == e.__name__]


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (e.InvalidRequest("x"), 400, "invalid_request_error"),
        (e.Unauthenticated("x"), 401, "invalid_request_error"),
        (e.NotFound("x"), 404, "invalid_request_error"),
        (e.runs_locked(ThreadId("thread_1"), RunId("run_1")), 400, "invalid_request_error"),
        (e.Unavailable("x"), 503, "server_error"),
        (e.VersionConflict("x"), 503, "server_error"),
        (e.ThreadmillError("x"), 500, "server_error"),
    ],
)
def test_each_kind_of_error_has_its_status(error: e.ThreadmillError, status: int, kind: str) -> None:
    answered, body = error_response(error)
    assert (answered, json.loads(body)["error"]["type"]) == (status, kind)


@pytest.mark.parametrize("kind", DOMAIN_ERRORS, ids=lambda one: one.__name__)
def test_no_domain_error_is_without_a_row(kind: type[e.ThreadmillError]) -> None:
    assert next(one for one in kind.__mro__ if one in STATUS_AND_TYPE)
    assert error_response(kind("x"))[0] >= 400


def test_an_error_is_pretty_printed_with_its_keys_in_order() -> None:
    _, body = error_response(e.InvalidRequest("nö", param="a.b", code="c"))
    assert body.decode() == (
        '{\n  "error": {\n    "message": "nö",\n    "type": "invalid_request_error",\n'
        '    "param": "a.b",\n    "code": "c"\n  }\n}'
    )


def test_a_lost_race_tells_nothing_of_the_rows_inside() -> None:
    _, body = error_response(e.VersionConflict("run_1 is not version 7 any more"))
    assert b"version" not in body


def test_a_crash_names_the_request_and_nothing_else() -> None:
    status, body = crash_response("req_1")
    error = json.loads(body)["error"]
    assert status == 500
    assert error["message"].startswith("The server had an error processing your request. Sorry about that!")
    assert "req_1" in error["message"]
    assert (error["type"], error["param"], error["code"]) == ("server_error", None, None)


def test_unknown_routes_and_methods_answer_in_the_same_shape() -> None:
    assert unknown_url("GET", "/v1/x")[0] == 404
    assert wrong_method("PUT", "/v1/threads")[0] == 405
    assert list(json.loads(wrong_method("PUT", "/x")[1])["error"]) == ["message", "type", "param", "code"]
