"""Everything this room can say keeps the pinned schema, but for the listed deviations; each of those is needed."""

import msgspec
import pytest

from tests.support.schema import SchemaChecker, SchemaError, spec
from tests.wire import frames, samples
from threadmill.domain.error import InvalidRequest, NotFound
from threadmill.domain.event import EventName
from threadmill.wire import response, vector_store_response
from threadmill.wire.deviations import DEVIATIONS, Kind
from threadmill.wire.error import (
    crash_response,
    error_response,
    unknown_url,
    wrong_method,
)
from threadmill.wire.sse_delta import delta_frame
from threadmill.wire.sse_event import DONE_FRAME, error_frame, event_frame

ONE_RUN = "/v1/threads/thread_1/runs/run_1"


def say_everything(checker: SchemaChecker) -> None:
    """Every object, list, event, delta and error through the checker."""
    _say_objects(checker)
    _say_lists(checker)
    _say_streams(checker)
    _say_stores(checker)
    errors = [error_response(InvalidRequest("no", param="p", code="c")), error_response(NotFound("no"))]
    for status, body in (*errors, crash_response("req_1"), unknown_url("GET", "/x"), wrong_method("PUT", "/x")):
        checker.check_response("GET", "/v1/assistants", status, body)
    checker.check_response("GET", "/v1/files/x", *error_response(NotFound("no", param="id"), "/v1/files/x"))


def _say_objects(checker: SchemaChecker) -> None:
    for assistant in samples.assistants():
        checker.check_response("POST", "/v1/assistants", 200, response.to_rest_json(response.assistant(assistant)))
    for thread in samples.threads():
        for fetched in (False, True):
            checker.check_response(
                "GET", "/v1/threads/thread_1", 200, response.to_rest_json(response.thread(thread, fetched=fetched))
            )
    for message in samples.messages():
        for shown in (response.message(message), response.modified_message(message)):
            checker.check_response("POST", "/v1/threads/thread_1/messages/msg_1", 200, response.to_rest_json(shown))
    for run in samples.runs():
        checker.check_response("GET", ONE_RUN, 200, response.to_rest_json(response.run(run)))
    for step in samples.steps():
        for asked in (False, True):
            shown = response.run_step(step, run_ended=asked, include_content=asked)
            checker.check_response("GET", f"{ONE_RUN}/steps/step_1", 200, response.to_rest_json(shown))


def _say_lists(checker: SchemaChecker) -> None:
    lists = {
        "/v1/assistants": [response.assistant(one) for one in samples.assistants()],
        "/v1/threads": [response.thread(one, fetched=True) for one in samples.threads()],
        "/v1/threads/thread_1/messages": [response.message(one) for one in samples.messages()],
        "/v1/threads/thread_1/runs": [response.run(one) for one in samples.runs()],
        f"{ONE_RUN}/steps?limit=2": [response.run_step(one) for one in samples.steps()],
    }
    for path, items in lists.items():
        checker.check_response("GET", path, 200, response.to_rest_json(response.list_response(items, has_more=True)))
        checker.check_response("GET", path, 200, response.to_rest_json(response.list_response([], has_more=False)))
    for file in samples.files():
        checker.check_response("GET", "/v1/files/file-1", 200, response.to_rest_json(response.file(file)))
    checker.check_response("GET", "/v1/files", 200, response.to_rest_json(response.list_response([], has_more=False)))
    model = response.model_object("gpt-4o", 1, "somebody")
    checker.check_response("GET", "/v1/models/gpt-4o", 200, response.to_rest_json(model))
    checker.check_response("GET", "/v1/models", 200, response.to_rest_json(response.model_list([model])))
    for kind, path in (
        ("assistant", "/v1/assistants/asst_1"),
        ("thread", "/v1/threads/thread_1"),
        ("thread.message", "/v1/threads/thread_1/messages/msg_1"),
    ):
        checker.check_response("DELETE", path, 200, response.to_rest_json(response.deletion_response("x_1", kind)))


def _say_streams(checker: SchemaChecker) -> None:
    stored = [event_frame(seq, event, include_content=True) for seq, event in enumerate(samples.events(), 1)]
    fleeting = [delta_frame(delta) for delta in samples.deltas()]
    for frame in frames.read(b"".join([*stored, *fleeting, error_frame(NotFound("no")), DONE_FRAME])):
        checker.check_event(frame.event, frame.data)


ONE_STORE = "/v1/vector_stores/vs_1"


def _say_stores(checker: SchemaChecker) -> None:
    stores = [
        vector_store_response.vector_store(store, now) for store in samples.vector_stores() for now in (86_400, 86_401)
    ]
    assert {store["status"] for store in stores} == {"completed", "in_progress", "expired"}
    files = [vector_store_response.store_file(file) for file in samples.store_files()]
    batches = [vector_store_response.file_batch(batch) for batch in samples.file_batches()]
    objects = {ONE_STORE: stores, f"{ONE_STORE}/files/file-1": files, f"{ONE_STORE}/file_batches/vsfb_1": batches}
    for path, items in objects.items():
        for item in items:
            checker.check_response("GET", path, 200, response.to_rest_json(item))
    lists = {
        "/v1/vector_stores": stores,
        f"{ONE_STORE}/files": files,
        f"{ONE_STORE}/file_batches/vsfb_1/files": [
            vector_store_response.store_file(file) for file in samples.store_files()
        ],
    }
    for path, items in lists.items():
        for shown in (items, []):
            checker.check_response(
                "GET", path, 200, response.to_rest_json(response.list_response(shown, has_more=False))
            )
    checker.check_response(
        "DELETE", ONE_STORE, 200, response.to_rest_json(response.deletion_response("vs_1", "vector_store"))
    )
    checker.check_response(
        "DELETE",
        f"{ONE_STORE}/files/x",
        200,
        response.to_rest_json(response.deletion_response("file-1", "vector_store.file")),
    )
    results = [
        vector_store_response.search_result("file-1", "a.txt", score, file["attributes"], "x")
        for score in (0.0, 1.0)
        for file in files
    ]
    for found in (results, []):
        checker.check_response(
            "POST",
            f"{ONE_STORE}/search",
            200,
            response.to_rest_json(vector_store_response.search_page(("a", "b"), found)),
        )
    checker.check_response(
        "GET",
        f"{ONE_STORE}/files/x/content",
        200,
        response.to_rest_json(vector_store_response.content_page(["a", "b"])),
    )


def test_everything_said_keeps_the_schema() -> None:
    say_everything(SchemaChecker())


def test_no_deviation_is_listed_that_nothing_needs() -> None:
    checker = SchemaChecker()
    say_everything(checker)
    # What the service leaves out is needed by recordings only; test_recorded sees to those rows.
    assert [row for row in checker.unused_rows() if row.kind is not Kind.OMITTED_BY_SERVICE] == []


def test_no_place_is_listed_twice() -> None:
    assert len({(row.object, row.field) for row in DEVIATIONS}) == len(DEVIATIONS)


def test_every_event_of_the_schema_is_known_here() -> None:
    schemas = spec()["components"]["schemas"]
    groups = ("ThreadStreamEvent", "RunStreamEvent", "RunStepStreamEvent", "MessageStreamEvent")
    named = {one["properties"]["event"]["enum"][0] for group in groups for one in schemas[group]["oneOf"]}
    assert named == {*EventName, "thread.message.delta", "thread.run.step.delta"}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"status": "running"}, "status"),
        ({"surprise": 1}, "surprise"),
        ({"created_at": "now"}, "created_at"),
        ({"usage": {"prompt_tokens": 1}}, "usage"),
        ({"tool_resources": {"code_interpreter": {"file_ids": ["file-1"]}}}, "tool_resources"),
    ],
)
def test_the_checker_tells_what_is_wrong_with_a_run(change: dict[str, object], told: str) -> None:
    shown = msgspec.json.decode(response.to_rest_json({**response.run(next(samples.runs())), **change}))
    with pytest.raises(SchemaError, match=told):
        SchemaChecker().check_response("GET", ONE_RUN, 200, shown)


def test_the_checker_tells_a_missing_field() -> None:
    shown = response.message(next(samples.messages()))
    del shown["status"]
    with pytest.raises(SchemaError, match="status"):
        SchemaChecker().check_response("GET", "/threads/thread_1/messages/msg_1", 200, response.to_rest_json(shown))


def test_the_checker_tells_an_event_and_an_operation_nobody_knows() -> None:
    with pytest.raises(SchemaError, match=r"thread\.run\.paused"):
        SchemaChecker().check_event("thread.run.paused", "{}")
    with pytest.raises(SchemaError, match="no operation"):
        SchemaChecker().check_response("GET", "/v1/nothing", 200, b"{}")


def test_the_checker_tells_an_error_that_is_not_wrapped() -> None:
    with pytest.raises(SchemaError):
        SchemaChecker().check_response("GET", "/v1/assistants", 404, b'{"message":"no"}')
