"""Connections have bounds: bytes of a head, seconds of silence, and a number; what works is never ended for room."""

import asyncio
import json
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from tests.support.serving import Live
from tests.support.waiting import until
from threadmill.api.connections import ConnectionLimits, Connections
from threadmill.api.protocol import MAX_HEAD_BYTES, HttpProtocol
from threadmill.api.server import config

GET = b"GET /v1/x HTTP/1.1\r\nhost: localhost\r\n"
POST = b"POST /v1/x HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10\r\n\r\n"


class Wire(asyncio.Transport):
    """The other end of a connection: what was written to it, and how it ended."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self.descriptor = descriptor
        self.written = b""
        self.unwritten = 0
        self.half_closed = self.closed = self.aborted = self.paused = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self if name == "socket" else default

    family = 2

    def fileno(self) -> int:
        return self.descriptor

    def getsockname(self) -> tuple[str, int]:
        return ("127.0.0.1", 1)

    getpeername = getsockname

    def write(self, data: Any) -> None:
        self.written += bytes(data)

    def get_write_buffer_size(self) -> int:
        return self.unwritten

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.half_closed = True

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = self.aborted = True

    @property
    def status(self) -> int:
        return int(self.written.split()[1]) if self.written else 0

    @property
    def code(self) -> str:
        return json.loads(self.written.partition(b"\r\n\r\n")[2])["error"]["code"]


class House:
    """A server's protocol with a clock of its own, and an app whose requests end when they are let go."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self.now = 0.0
        self.table = Connections(limits, lambda: self.now)
        self.config = config(self, self.table)
        self.state = ServerState()
        self.ends: list[asyncio.Event] = []
        self.seen: list[str] = []
        self.reads = True
        self.asks = asyncio.Event()
        self.asks.set()
        self.descriptor = 10

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        end = asyncio.Event()
        self.ends.append(end)
        await self.asks.wait()
        more = self.reads
        while more:
            message = await receive()
            self.seen.append(message["type"])
            more = message.get("more_body", False)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await end.wait()
        await send({"type": "http.response.body", "body": b"ok"})

    async def come(self, data: bytes = b"") -> tuple[HttpProtocol, Wire]:
        """A new client that sends this."""
        self.descriptor += 1
        kind: Any = self.config.http
        protocol, wire = kind(config=self.config, server_state=self.state, app_state={}), Wire(self.descriptor)
        protocol.connection_made(wire)
        if data:
            protocol.data_received(data)
        await settle()
        return protocol, wire

    async def after(self, seconds: float) -> None:
        self.now += seconds
        self.table.sweep()
        await settle()


async def settle() -> None:
    """What is ready runs."""
    for _ in range(5):
        await asyncio.to_thread(lambda: None)


@pytest.fixture
async def house() -> House:
    return House(ConnectionLimits())


@pytest.mark.parametrize("data", [b"GET /v1/x HT", GET, b"\r\n", b"P"])
async def test_half_a_head_ends_with_408(house: House, data: bytes) -> None:
    _, wire = await house.come(data)
    await house.after(14)
    assert wire.written == b""
    await house.after(2)
    assert (wire.status, wire.code, wire.half_closed) == (408, "request_timeout", True)
    await house.after(3)
    assert wire.aborted


async def test_a_head_that_comes_byte_by_byte_has_no_longer(house: House) -> None:
    client, wire = await house.come(b"G")
    for byte in b"ET /v1/x HTTP/1.":
        await house.after(1)
        client.data_received(bytes([byte]))
    assert wire.status == 408


async def test_who_says_nothing_is_closed_without_a_word(house: House) -> None:
    _, wire = await house.come()
    await house.after(16)
    assert (wire.written, wire.closed) == (b"", True)


async def test_a_body_that_stops_ends_with_408_and_its_request_hears_of_it(house: House) -> None:
    client, wire = await house.come(POST + b"12345")
    for byte in b"6789":
        await house.after(29)
        client.data_received(bytes([byte]))
    assert wire.written == b""
    await house.after(31)
    assert (wire.status, wire.code) == (408, "request_timeout")
    assert house.seen[-1] == "http.disconnect"


async def test_who_waits_to_be_asked_for_its_body_is_not_late(house: House) -> None:
    house.asks.clear()
    _, wire = await house.come(POST.replace(b"\r\n\r\n", b"\r\nexpect: 100-continue\r\n\r\n"))
    await house.after(100)
    assert wire.written == b""
    house.asks.set()
    await settle()
    assert wire.written == b"HTTP/1.1 100 Continue\r\n\r\n"
    await house.after(31)
    assert b" 408 " in wire.written


async def test_a_request_at_work_has_no_limit_and_its_connection_waits_after_it(house: House) -> None:
    client, wire = await house.come(GET + b"\r\n")
    await house.after(1000)
    assert not wire.closed
    house.ends[0].set()
    await settle()
    assert wire.written.endswith(b"ok")
    await house.after(60)  # idle: uvicorn's own timer, of 75 s, counts
    assert not wire.closed
    client.data_received(b"GET")
    await house.after(16)
    assert b" 408 " in wire.written


async def test_an_answer_that_nobody_takes_is_given_up(house: House) -> None:
    _, wire = await house.come(GET + b"\r\n")
    wire.unwritten = 70_000
    await house.after(1)
    await house.after(119)
    wire.unwritten = 60_000  # some of it was taken
    await house.after(2)
    await house.after(119)
    assert not wire.closed
    await house.after(2)
    assert wire.aborted


@pytest.mark.parametrize(
    "data",
    [
        b"GET /" + b"a" * 2 * MAX_HEAD_BYTES,
        b"GET / HTTP/1.1\r\nx: " + b"a" * 2 * MAX_HEAD_BYTES,
        b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 20_000,
        b"GET /" + b"a" * MAX_HEAD_BYTES + b" HTTP/1.1\r\n\r\n",
        b"\r\n" * MAX_HEAD_BYTES,
        POST.replace(b"content-length: 10", b"transfer-encoding: chunked")
        + b"1\r\nx\r\n0\r\nx: "
        + b"a" * 2 * MAX_HEAD_BYTES,
    ],
)
@pytest.mark.parametrize("piece", [1_000, 10_000_000])
async def test_a_head_beyond_64_kb_ends_with_431_however_it_comes(house: House, data: bytes, piece: int) -> None:
    client, wire = await house.come()
    for at in range(0, len(data), piece):
        client.data_received(data[at : at + piece])
    assert (wire.status, wire.code) == (431, "request_header_fields_too_large")
    client.data_received(b"a" * 5_000_000)
    assert wire.aborted


async def test_a_head_of_nearly_64_kb_and_a_large_body_behind_it_are_served(house: House) -> None:
    head = b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 300000\r\nx: " + b"a" * 64_000 + b"\r\n\r\n"
    _, wire = await house.come(head + b"b" * 300_000)
    await settle()
    house.ends[0].set()
    await settle()
    assert wire.status == 200


async def test_an_endless_head_behind_a_request_at_work_ends_both(house: House) -> None:
    client, wire = await house.come(GET + b"\r\n" + GET)
    for _ in range(10):
        client.data_received(b"x: " + b"a" * 10_000)
    assert wire.aborted
    assert house.seen == ["http.request"]


async def test_requests_behind_each_other_in_one_read_are_all_served(house: House) -> None:
    _, wire = await house.come((GET + b"\r\n") * 300)
    for number in range(300):
        await until(f"request {number}", lambda number=number: len(house.ends) > number, settle)
        house.ends[number].set()
    await settle()
    assert wire.written.count(b" 200 ") == 300


async def test_what_is_no_http_is_told_in_the_apis_shape_and_not_logged(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    _, wire = await house.come(b"\x16\x03\x01\x02\x00\x01\x00")
    assert (wire.status, wire.code, caplog.messages) == (400, "invalid_http", [])


async def test_an_upgrade_is_a_request_like_any_other_and_not_logged(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    asked = GET + b"connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-key: x\r\n\r\n"
    _, wire = await house.come(asked + GET + b"\r\n")
    for number in range(2):
        house.ends[number].set()
        await settle()
    assert (wire.written.count(b" 200 "), caplog.messages) == (2, [])


async def test_a_new_connection_takes_the_place_of_the_one_that_waits_longest() -> None:
    house = House(ConnectionLimits(most=3))
    _, working = await house.come(GET + b"\r\n")
    _, silent = await house.come()
    await house.after(1)
    _, half = await house.come(GET)
    _, refused = await house.come()
    assert refused.status == 503  # the others may be about to ask
    await house.after(1)
    _, new = await house.come()
    assert (working.closed, silent.aborted, half.aborted, new.closed) == (False, True, False, False)
    await house.after(1)
    await house.come()
    assert half.aborted


async def test_a_body_that_still_comes_behind_its_answer_waits_and_is_not_told_anything_more() -> None:
    house = House(ConnectionLimits(most=1))
    house.reads = False
    client, wire = await house.come(POST + b"1")
    house.ends[0].set()
    await settle()
    assert wire.written.endswith(b"ok")
    written = wire.written
    client.data_received(b"2")
    await house.after(29)
    assert not wire.closed
    await house.come()  # it gives way, since nobody works on it
    assert (wire.aborted, wire.written) == (True, written)


async def test_a_body_that_stops_behind_its_answer_is_closed(house: House) -> None:
    house.reads = False
    _, wire = await house.come(POST + b"1")
    house.ends[0].set()
    await settle()
    written = wire.written
    await house.after(31)
    assert (wire.aborted, wire.written) == (True, written)


async def test_where_all_work_a_new_one_gets_503_and_the_log_says_it_once(caplog: pytest.LogCaptureFixture) -> None:
    house = House(ConnectionLimits(most=2))
    working = [(await house.come(GET + b"\r\n"))[1] for _ in range(2)]
    for _ in range(3):
        _, refused = await house.come()
        assert (refused.status, refused.code) == (503, "server_overloaded")
        assert b"\r\nretry-after: 1\r\n" in refused.written
        await house.after(3)
        assert refused.aborted
    assert not any(wire.closed for wire in working)
    assert len([line for line in caplog.messages if "connections are open" in line]) == 1


async def test_a_descriptor_that_the_server_keeps_for_itself_is_given_to_nobody() -> None:
    house = House(ConnectionLimits(descriptors=40))
    for _ in range(19):  # numbers 11 to 29
        await house.come(GET + b"\r\n")
    _, refused = await house.come()
    assert refused.status == 503


def test_descriptors_bound_the_room() -> None:
    assert ConnectionLimits(descriptors=None).room == 10_000
    assert ConnectionLimits(descriptors=1_048_576).room == 10_000
    assert ConnectionLimits(descriptors=1024).room == 768
    assert ConnectionLimits(descriptors=1024, per_connection=2).room == 384


async def test_a_huge_header_from_anybody_is_answered_with_431(live: Live) -> None:
    host, _, port = live.api.base.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET /v1/models HTTP/1.1\r\nhost: localhost\r\nx: " + b"a" * 1_000_000)
    async with asyncio.timeout(30):
        answer = await reader.read()
    writer.close()
    assert answer.startswith(b"HTTP/1.1 431 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["type"] == "invalid_request_error"
