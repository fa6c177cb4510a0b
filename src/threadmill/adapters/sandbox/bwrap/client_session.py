"""A session in the bubblewrap, from the server's side. Everything that comes out of it is untrusted."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

from threadmill.adapters.sandbox.backend import MemoryUse, SessionLimits, checked_path
from threadmill.adapters.sandbox.bwrap.zygote import Spawned, ZygoteClient
from threadmill.adapters.sandbox.inside import protocol
from threadmill.adapters.sandbox.inside.protocol import Fields, Kind
from threadmill.adapters.sandbox.output_decoder import OutputDecoder
from threadmill.engine.ports.sandbox import (
    Ended,
    EndReason,
    FileRefused,
    FileWritten,
    Image,
    Logs,
    Output,
    SandboxUnavailable,
)

LARGEST_IMAGE, MOST_ITEMS = 20_000_000, 400
_UNCOUNTED = frozenset({Kind.LOG, Kind.MEMORY_USED})
_CLOSE_SECONDS = 4.0
_KILLED = "The session was ended from outside. All variables and files are lost."
_NOT_STOPPABLE = "The code ran longer than {wall:g} seconds and could not be stopped. All variables and files are lost."


class ProtocolViolation(Exception):
    """The session sent more than it may, or nonsense: it is not our program any more that speaks."""


class BwrapSession:
    """See LiveSession."""

    def __init__(self, zygote: ZygoteClient, spawned: Spawned, limits: SessionLimits, streams: "Streams") -> None:
        self._zygote, self._number, self._limits = zygote, spawned.number, limits
        self._reader, self._writer = streams
        self._alive = True

    @classmethod
    async def open(cls, zygote: ZygoteClient, limits: SessionLimits) -> "BwrapSession":
        """Fork one and wait until its walls stand. Raises SandboxUnavailable."""
        spawned = await zygote.spawn(limits)
        streams = await asyncio.open_unix_connection(sock=spawned.connection, limit=1 << 18)
        session = cls(zygote, spawned, limits, streams)
        first = await session._next()
        if first is None or first[0] != Kind.READY:
            await session.close()
            why = "it ended at once" if first is None else str(protocol.parse_fields(first[1]).get("message"))
            raise SandboxUnavailable(f"A session could not be started: {why}")
        return session

    @property
    def alive(self) -> bool:
        """See the protocol."""
        return self._alive and not self._reader.at_eof() and not self._zygote.is_dead

    async def execute(self, code: str) -> AsyncGenerator[Output | MemoryUse, None]:
        """See the protocol."""
        order = protocol.pack_fields(Kind.EXECUTE, wall=self._limits.wall)
        await self._send(order, *protocol.pieces(code.encode(errors="replace")))
        patience = self._limits.wall + self._limits.grace + _CLOSE_SECONDS
        ended: Ended | None = None
        try:
            async with asyncio.timeout(patience):
                async for output in self._outputs():
                    if isinstance(output, Ended):
                        ended = output
                        break
                    yield output
        except TimeoutError:
            ended = Ended(EndReason.TIMED_OUT, _NOT_STOPPABLE.format(wall=self._limits.wall), state_kept=False)
            await self.close()
        except (ProtocolViolation, protocol.BrokenFrame, ValueError, KeyError, TypeError, OverflowError):
            await self.close()
        yield ended or Ended(EndReason.KILLED, _KILLED, state_kept=False)

    async def _outputs(self) -> AsyncGenerator[Output | MemoryUse, None]:
        """Outputs until Ended, or until the session is gone."""
        text, room, items = OutputDecoder(), 2 * self._limits.log + (1 << 16), 0
        reports = 10 * int(self._limits.wall + self._limits.grace + _CLOSE_SECONDS)
        while (frame := await self._next()) is not None:
            kind, payload = frame
            room, items = room - (len(payload) if kind == Kind.LOG else 0), items + (kind not in _UNCOUNTED)
            reports -= kind == Kind.MEMORY_USED
            if room < 0 or reports < 0 or items > MOST_ITEMS:
                raise ProtocolViolation
            if kind == Kind.ENDED:
                if rest := text.end():
                    yield Logs(rest)
                yield parse_ended(protocol.parse_fields(payload))
                return
            if (output := await self._output(kind, payload, text)) is not None:
                yield output

    async def _output(self, kind: Kind, payload: bytes, text: OutputDecoder) -> Output | MemoryUse | None:
        if kind == Kind.LOG:
            said = text.add(payload)
            return Logs(said) if said else None
        fields = protocol.parse_fields(payload)
        if kind == Kind.OUTPUT_TRUNCATED:
            return Logs(text.cut(parse_size(fields)))
        if kind == Kind.MEMORY_USED:
            return MemoryUse(min(parse_size(fields), self._limits.memory + self._limits.disk))
        if kind == Kind.FILE_WRITTEN:
            return FileWritten(parse_path(fields), parse_size(fields))
        if kind == Kind.IMAGE:
            path = parse_path(fields) if fields.get("path") else None
            return Image(str(fields["name"]), await self._content(LARGEST_IMAGE), path)
        raise ProtocolViolation

    async def _content(self, most: int) -> bytes:
        parts: list[bytes] = []
        while (frame := await self._next()) is not None and frame[0] == Kind.DATA:
            parts.append(frame[1])
            most -= len(frame[1])
            if most < 0:
                raise ProtocolViolation
        return b"".join(parts)

    async def _skip_content(self) -> None:
        while (frame := await self._next()) is not None and frame[0] == Kind.DATA:
            pass

    async def put(self, path: str, content: AsyncIterator[bytes]) -> None:
        """See the protocol."""
        await self._send(protocol.pack_fields(Kind.PUT, path=checked_path(path)))
        try:
            async for part in content:
                for piece in protocol.pieces(part)[:-1]:
                    await self._send(piece)
        except BaseException:
            await self.close()  # the wire is out of step
            raise
        await self._send(protocol.pack(Kind.END))
        answer = await self._next()
        if answer is None or answer[0] != Kind.END:
            raise FileRefused(f"'{path}' could not be put into the sandbox: {refusal_reason(answer)}.")

    async def get(self, path: str) -> AsyncGenerator[bytes, None]:
        """See the protocol."""
        await self._send(protocol.pack_fields(Kind.GET, path=checked_path(path)))
        frame = await self._next()
        try:
            while frame is not None and frame[0] == Kind.DATA:
                yield frame[1]
                frame = await self._next()
        except GeneratorExit:
            await self._skip_content()  # the wire stays in step
            raise
        if frame is None or frame[0] != Kind.END:
            raise FileRefused(f"'{path}' could not be read from the sandbox: {refusal_reason(frame)}.")

    async def interrupt(self) -> None:
        """See the protocol."""
        await self._send(protocol.pack(Kind.INTERRUPT))

    async def close(self) -> None:
        """See the protocol."""
        self._alive = False
        self._writer.close()
        await self._zygote.kill(self._number)

    async def _send(self, *parts: bytes) -> None:
        """Whether anybody hears it shows in what comes back."""
        try:
            self._writer.write(b"".join(parts))
            await self._writer.drain()
        except OSError:
            self._alive = False

    async def _next(self) -> tuple[Kind, bytes] | None:
        try:
            kind, length = protocol.parse_header(await self._reader.readexactly(protocol.HEADER.size))
            return kind, await self._reader.readexactly(length)
        except (asyncio.IncompleteReadError, OSError):
            self._alive = False
            return None
        except protocol.BrokenFrame:
            await self.close()
            return None


Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def parse_path(fields: Fields) -> str:
    """A path the session told. Raises ProtocolViolation: our program would not tell such a one."""
    try:
        return checked_path(str(fields["path"]))
    except FileRefused:
        raise ProtocolViolation from None


def parse_size(fields: Fields) -> int:
    """A number of bytes the session told. Raises ProtocolViolation: JSON has numbers that are none (1e999)."""
    size = fields["size"]
    if not isinstance(size, int) or size < 0:
        raise ProtocolViolation
    return size


def parse_ended(fields: Fields) -> Ended:
    """The verdict, as far as it makes sense. Raises ValueError."""
    message = fields["message"]
    line = None if message is None else " ".join(str(message).split())[:1000]
    return Ended(EndReason(str(fields["how"])), line, bool(fields["kept"]))


def refusal_reason(frame: tuple[Kind, bytes] | None) -> str:
    """Why a file was refused."""
    if frame is None or frame[0] != Kind.REFUSED:
        return "the session ended"
    return " ".join(str(protocol.parse_fields(frame[1]).get("message")).split())[:300]
