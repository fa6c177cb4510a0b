"""Our answers against what the service really sent: the same keys in the same order with the same values."""

import msgspec
import pytest

from tests.support.schema import SchemaChecker
from tests.wire import recorded as r
from tests.wire import recorded_stores as rs
from threadmill.domain.event import Event
from threadmill.domain.run_step import RunStep
from threadmill.wire import response, vector_store_response
from threadmill.wire.deviations import DEVIATIONS, Kind
from threadmill.wire.request.body import Body, parse
from threadmill.wire.request.run_thread_bodies import (
    CreateAssistant,
    CreateMessage,
    CreateRun,
    CreateThread,
    CreateThreadAndRun,
    ModifyAssistant,
    ModifyMetadata,
    ModifyThread,
    SubmitToolOutputs,
)
from threadmill.wire.request.vector_stores import CreateBatch, CreateStore, CreateStoreFile
from threadmill.wire.sse_delta import delta_frame
from threadmill.wire.sse_event import DONE_FRAME, event_frame


def left_out(name: str, said: r.Json) -> list[str]:
    """What the service left out of an object, in the order we send it behind the rest."""
    return [
        row.field
        for row in DEVIATIONS
        if row.object == name and row.kind is Kind.OMITTED_BY_SERVICE and row.field not in said
    ]


def assert_as_recorded(ours: r.Json, said: r.Json, name: str) -> None:
    """Recorded keys first, in their order and with their values; then exactly what the service left out."""
    shown: r.Json = msgspec.json.decode(response.to_rest_json(ours))
    head = {key: shown[key] for key in list(shown)[: len(said)]}
    assert r.compact(head) == r.compact(said)
    assert sorted(list(shown)[len(said) :]) == sorted(left_out(name, said))


@pytest.mark.parametrize("said", r.objects("assistant"), ids=lambda one: one["id"])
def test_an_assistant_is_shown_as_the_service_did(said: r.Json) -> None:
    assert_as_recorded(response.assistant(r.assistant(said)), said, "AssistantObject")


@pytest.mark.parametrize("said", r.objects("thread"), ids=lambda one: one["id"])
def test_a_thread_is_shown_as_the_service_did(said: r.Json) -> None:
    fetched = said["tool_resources"] == {"code_interpreter": {"file_ids": []}}
    assert_as_recorded(response.thread(r.thread(said), fetched=fetched), said, "ThreadObject")


@pytest.mark.parametrize("said", [one for one in r.objects("thread.message") if "attachments" in one])
def test_a_message_is_shown_as_the_service_did_and_its_status_comes_last(said: r.Json) -> None:
    assert_as_recorded(response.message(r.message(said)), said, "MessageObject")


@pytest.mark.parametrize("said", [one for one in r.objects("thread.message") if "file_ids" in one])
def test_a_modified_message_has_file_ids_where_attachments_stood(said: r.Json) -> None:
    shown = response.modified_message(r.message(said))
    assert_as_recorded(shown, said, "MessageObject")
    assert list(shown)[-1] == "attachments"


@pytest.mark.parametrize("said", r.objects("thread.run"), ids=lambda one: one["status"])
def test_a_run_is_shown_as_the_service_did(said: r.Json) -> None:
    assert_as_recorded(response.run(r.run(said)), said, "RunObject")


@pytest.mark.parametrize("said", r.objects("thread.run.step"), ids=lambda one: one["id"])
def test_a_step_of_an_ended_run_is_shown_as_the_service_did(said: r.Json) -> None:
    # Its expires_at is the run's while it is stored.
    shown = response.run_step(r.step({**said, "expires_at": 1_761_862_160}), run_ended=True, include_content=True)
    assert_as_recorded(shown, said, "RunStepObject")
    assert list(shown)[-2:] == ["expired_at", "metadata"]


def test_a_list_has_the_keys_of_the_services_lists() -> None:
    for exchange in r.exchanges():
        said = exchange.body
        if said is not None and said["object"] == "list":
            assert r.compact(response.list_response(said["data"], has_more=said["has_more"])) == r.compact(said)


@pytest.mark.parametrize("said", r.objects("vector_store"), ids=lambda one: one["status"])
def test_a_vector_store_is_shown_as_the_service_did(said: r.Json) -> None:
    shown = vector_store_response.vector_store(rs.vector_store(said), said["created_at"])
    assert_as_recorded(shown, said, "VectorStoreObject")


WHOLE, LISTED = (
    [one for one in r.objects("vector_store.file") if ("usage_bytes" in one) is whole] for whole in (True, False)
)


@pytest.mark.parametrize("said", WHOLE, ids=lambda one: one["status"])
def test_a_file_of_a_store_is_shown_as_the_service_did(said: r.Json) -> None:
    assert r.compact(vector_store_response.store_file(rs.store_file(said))) == r.compact(said)


@pytest.mark.parametrize("said", LISTED, ids=lambda one: one["status"])
def test_a_file_listed_through_its_batch_is_the_whole_object_though_the_service_once_said_less(said: r.Json) -> None:
    shown: r.Json = msgspec.json.decode(response.to_rest_json(vector_store_response.store_file(rs.store_file(said))))
    assert {key: shown[key] for key in said} == said
    assert list(shown) == list(WHOLE[0]), "the keys are those of a file, in their order"


@pytest.mark.parametrize("said", r.objects("vector_store.file_batch"), ids=lambda one: one["status"])
def test_a_file_batch_is_shown_as_the_service_did(said: r.Json) -> None:
    assert r.compact(vector_store_response.file_batch(rs.file_batch(said))) == r.compact(said)


@pytest.mark.parametrize("kind", ["assistant", "thread", "thread.message", "vector_store", "vector_store.file"])
def test_a_delete_is_answered_as_the_service_does(kind: str) -> None:
    for said in r.objects(f"{kind}.deleted"):
        assert r.compact(response.deletion_response(said["id"], kind)) == r.compact(said)


def _expected(number: int, name: str, data: r.Json | str, ours: Event | None) -> bytes:
    """The service's frame; in steps, what it leaves out behind the rest; numbered where it is a stored event."""
    if ours is not None and isinstance(ours.subject, RunStep) and not isinstance(data, str):
        data = {**data, "expired_at": None, "metadata": {}}
    numbered = b"" if ours is None else b"id: %d\n" % number
    return numbered + f"event: {name}\ndata: {r.compact(data)}\n\n".encode()


@pytest.mark.parametrize("exchange", r.streams(), ids=lambda one: f"{one.recording} {one.path[-8:]}")
def test_a_stream_is_framed_byte_for_byte_as_the_service_did(exchange: r.Exchange) -> None:
    for number, (name, data) in enumerate(exchange.events):
        if name == "done":
            assert _expected(number, name, data, None).replace(b'"', b"") == DONE_FRAME
            continue
        told = r.event(name, data)
        if isinstance(told, Event):
            assert event_frame(number, told, include_content=True) == _expected(number, name, data, told)
        else:
            assert delta_frame(told) == _expected(number, name, data, None)


def test_everything_recorded_keeps_the_schema_and_the_deviations() -> None:
    checker = SchemaChecker(recorded=True)
    for exchange in r.exchanges():
        if exchange.body is not None:
            checker.check_response(exchange.method, exchange.path, exchange.status, exchange.body)
        for name, data in exchange.events:
            checker.check_event(name, data)
    seen = [row for row in DEVIATIONS if row.kind is Kind.OMITTED_BY_SERVICE]
    assert not [row for row in checker.unused_rows() if row in seen]


def _body_of(exchange: r.Exchange) -> type[Body]:
    match exchange.path.split("?")[0].strip("/").split("/"):
        case ["assistants"]:
            return CreateAssistant
        case ["assistants", _]:
            return ModifyAssistant
        case ["threads"]:
            return CreateThread
        case ["threads", "runs"]:
            return CreateThreadAndRun
        case ["threads", _]:
            return ModifyThread
        case ["threads", _, "messages"]:
            return CreateMessage
        case ["threads", _, "runs"]:
            return CreateRun
        case [*_, "vector_stores" | "files" | "file_batches" as last]:
            return {"vector_stores": CreateStore, "files": CreateStoreFile, "file_batches": CreateBatch}[last]
        case [*_, "submit_tool_outputs"]:
            return SubmitToolOutputs
        case _:
            return ModifyMetadata


def _asks_for_a_store(exchange: r.Exchange) -> bool:
    return '"vector_stores":[{' in r.compact(exchange.request)


ASKED = [one for one in r.exchanges() if one.method == "POST" and one.request is not None]


@pytest.mark.parametrize("exchange", ASKED, ids=lambda one: one.path[:40])
def test_every_recorded_request_is_understood(exchange: r.Exchange) -> None:
    parse(_body_of(exchange), r.compact(exchange.request).encode())


@pytest.mark.parametrize("exchange", [one for one in ASKED if _asks_for_a_store(one)], ids=lambda one: one.path[:40])
def test_a_recorded_request_to_make_a_vector_store_with_an_assistant_or_a_thread_asks_for_it(
    exchange: r.Exchange,
) -> None:
    body = parse(_body_of(exchange), r.compact(exchange.request).encode())
    assert isinstance(body, CreateAssistant | CreateThread)
    new, said = body.to_domain().new_store, (exchange.request or {})["tool_resources"]["file_search"]["vector_stores"]
    assert new is not None
    assert [file.file_id for file in new.files] == said[0].get("file_ids", [])


def test_a_created_assistant_echoes_tools_as_the_service_does() -> None:
    for exchange in ASKED:
        said = exchange.body
        if exchange.path == "/assistants" and said is not None:
            new = parse(CreateAssistant, r.compact(exchange.request).encode()).to_domain()
            assert new.tools == r.tools(said["tools"])
