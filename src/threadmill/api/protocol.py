"""uvicorn's HTTP protocol with bounds: bytes of a head, seconds of silence, and room for connections (ADR-0020).

Whatever is refused here, before there is a request, is told in the API's error shape and not logged: anybody may cause it.
"""

import asyncio
from typing import ClassVar

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from threadmill.api.connections import ConnectionLimits, Connections
from threadmill.wire.error import protocol_error

MAX_HEAD_BYTES = 64 * 1024
"""Of a request's address and headers together, and of what follows a chunked body."""

MAX_DISCARDED_BYTES = 4 * 1024 * 1024
LINGER_SECONDS = 2.0
"""What a refused client may still send, and for how long, so that it can read why: a connection that is closed with
bytes unread is reset, and the answer lost."""

HTTP_UNAVAILABLE = 503

TOO_LONG = "The address and the headers of your request are larger than 64 KB together."
SLOW_HEAD = "Your request's headers took too long."
SLOW_BODY = "Your request's body stopped half way, and nothing more came of it."
NOT_HTTP = "We could not parse your request as HTTP."
NO_ROOM = "This server has as many connections at work as it can hold. Please try again soon."


class HttpProtocol(HttpToolsProtocol):
    """One connection. `table` is that of its server: see `protocol_of`."""

    table: ClassVar[Connections]

    _since: float = 0.0
    """When its head began, its body moved or its answer was last taken."""
    _in_head: bool = True
    _head_bytes: int = 0
    _in_body: bool = False
    _framing_bytes: int = 0
    """Of a body, since its last content: sizes of chunks, trailers."""
    _unwritten: int = 0
    _is_refused: bool = False
    _discarded: int = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride] - as uvicorn does
        """A client came; where there is no room it is told so."""
        super().connection_made(transport)
        self._since = self.table.clock()
        if not self.table.admit(self, transport.get_extra_info("socket").fileno()):
            self._refuse(HTTP_UNAVAILABLE, NO_ROOM, "server_overloaded")

    def connection_lost(self, exc: Exception | None) -> None:
        """The client left."""
        super().connection_lost(exc)
        self.table.closed(self)

    def data_received(self, data: bytes) -> None:
        """Bytes of a head, a body or several requests."""
        self._unset_keepalive_if_required()
        while data and not self._is_refused:
            part = data[: MAX_HEAD_BYTES - self._head_bytes] if self._in_head else data
            data = data[len(part) :]
            self._take(part)
        if self._is_refused:
            self._discard(len(data))

    def _take(self, part: bytes) -> None:
        if self._in_head:
            if not self._head_bytes and not self._at_work:
                self._since = self.table.clock()
            self._head_bytes += len(part)
        elif self._in_body:
            self._since = self.table.clock()
            self._framing_bytes += len(part)
        self._feed(part)
        if (self._in_head and self._head_bytes >= MAX_HEAD_BYTES) or self._framing_bytes > MAX_HEAD_BYTES:
            self._refuse(431, TOO_LONG, "request_header_fields_too_large")

    def _feed(self, data: bytes) -> None:
        while data and self.parser is not None:
            try:
                self.parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as upgrade:
                # Nothing is upgraded to here: it is a request like any other, and what follows it the next.
                data = data[upgrade.args[0] :] if upgrade.args[0] > 0 else b""
            except httptools.HttpParserError:
                self._refuse(400, NOT_HTTP, "invalid_http")
                return

    def _discard(self, size: int) -> None:
        self._discarded += size
        if self._discarded > MAX_DISCARDED_BYTES:
            self.transport.abort()

    def on_message_begin(self) -> None:
        """A head begins; the bytes before it in the same read are not its own."""
        super().on_message_begin()
        if not self._in_head:
            self._in_head, self._head_bytes = True, 0

    def on_headers_complete(self) -> None:
        """The request is whole but for its body: it is at work from here."""
        self._in_head, self._head_bytes = False, 0
        self._in_body, self._framing_bytes = True, 0
        self.table.works(self)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Content of the body."""
        self._framing_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The body is whole."""
        super().on_message_complete()
        self._in_body, self._framing_bytes = False, 0
        self._since = self.table.clock()
        self._wait_if_done()

    def on_response_complete(self) -> None:
        """The answer is written."""
        super().on_response_complete()
        self._wait_if_done()

    @property
    def _at_work(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete  # pyright: ignore[reportUnnecessaryComparison] - None until a request

    def _wait_if_done(self) -> None:
        if self._at_work:
            return
        if not self._in_body:  # else what still comes of it is thrown away
            self._in_head, self._head_bytes = True, 0
        self.table.waits(self)

    def overdue(self, now: float, limits: ConnectionLimits) -> bool:
        """See the table. Between requests uvicorn's own keep-alive timer counts."""
        quiet = now - self._since
        if self._is_refused:
            return quiet > LINGER_SECONDS
        if self._in_body:
            if self.flow.read_paused or (self._at_work and self.cycle.waiting_for_100_continue):
                self._since = now  # it is we who keep the client waiting
                return False
            return quiet > limits.body_seconds
        if self._at_work:
            return self._is_stuck(now, quiet, limits)
        return quiet > limits.head_seconds and (self._head_bytes > 0 or self.cycle is None)  # pyright: ignore[reportUnnecessaryComparison] - as above

    def _is_stuck(self, now: float, quiet: float, limits: ConnectionLimits) -> bool:
        """Whether nobody takes the answer."""
        unwritten = self.transport.get_write_buffer_size()
        if unwritten == 0 or unwritten != self._unwritten:
            self._unwritten, self._since = unwritten, now
            return False
        return quiet > limits.write_seconds

    def time_out(self) -> None:
        """See the table."""
        if self._is_refused or (self._at_work and not self._in_body):
            self.transport.abort()
        elif self._in_body:
            self._refuse(408, SLOW_BODY, "request_timeout")
        elif self._head_bytes:
            self._refuse(408, SLOW_HEAD, "request_timeout")
        else:
            self.transport.close()

    def give_way(self) -> None:
        """See the table."""
        self.transport.abort()

    def _refuse(self, status: int, message: str, code: str) -> None:
        """Say why and end; an answer that is under way is cut off instead."""
        self._is_refused, self._since = True, self.table.clock()
        if self._at_work:
            started = self.cycle.response_started
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            if started:
                self.transport.abort()
                return
        elif self._in_body:  # it has its answer
            self.transport.abort()
            return
        body = protocol_error(status, message, code)
        again = b"retry-after: 1\r\nretry-after-ms: 250\r\n" if status == HTTP_UNAVAILABLE else b""
        head = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body)
        self.transport.write(STATUS_LINE[status] + again + head + body)
        if self.table.may_linger(self) and self.transport.can_write_eof():
            self.transport.write_eof()
            self.flow.resume_reading()
        else:
            self.transport.close()


def protocol_of(table: Connections) -> type[HttpProtocol]:
    """The protocol of a server whose connections are in `table`."""
    return type("BoundHttpProtocol", (HttpProtocol,), {"table": table})
