"""A kernel as a session. Files go through the kernel itself, so the gateway may run on any machine.

Each kernel works in a directory of its own. The code is written for `/mnt/data`; as several kernels may share one
machine, that name is replaced by the directory's on the way in, and back on the way out.
"""

import ast
import asyncio
import base64
import json
import posixpath
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path

from threadmill.adapters.sandbox.backend import SessionLimits, checked_path
from threadmill.adapters.sandbox.output_decoder import OutputDecoder
from threadmill.adapters.sandbox.remote.socket import KernelMessage, KernelSocket
from threadmill.engine.ports.sandbox import (
    DATA_DIR,
    Ended,
    EndReason,
    FileRefused,
    FileWritten,
    Image,
    Logs,
    Output,
    SandboxUnavailable,
)

Call = Callable[[str, str, Mapping[str, str] | None], Awaitable[dict[str, object]]]

_INSIDE = Path(__file__).parents[1] / "inside"
_PIECE = 512 << 10
_NAME = "_threadmill"
_LOST = "The kernel died. All variables are lost."
_LIMITS = {
    "MemoryError": (EndReason.OUT_OF_MEMORY, "The code needed more memory than it may use"),
    "[Errno 11]": (EndReason.TOO_MANY_PROCESSES, "The code started more processes than it may"),
    "[Errno 28]": (EndReason.DISK_FULL, "The code wrote more than the disk holds"),
}


class KernelSession:
    """See LiveSession."""

    def __init__(self, kernel: str, socket: KernelSocket, call: Call, limits: SessionLimits) -> None:
        self._kernel, self._socket, self._call, self._limits = kernel, socket, call, limits
        self._directory = DATA_DIR
        self._alive = True
        self._asked_to_stop: EndReason | None = None

    @property
    def alive(self) -> bool:
        """See the protocol."""
        return self._alive and not self._socket.closed

    async def prepare(self) -> None:
        """Give the kernel its directory and our few functions. Raises ConnectionError, SandboxUnavailable."""
        files, helper = (_INSIDE / "files.py").read_text(), (_INSIDE / "remote_files.py").read_text()
        helper = helper.replace("from .files import Directory, NotAFile, Snapshot\n", "")
        code = (
            f"import types as _t\n{_NAME} = _t.ModuleType('{_NAME}')\n"
            f"exec({files!r}, vars({_NAME}))\nexec({helper!r}, vars({_NAME}))\ndel _t"
        )
        self._directory = await self._evaluate("begin()", code)

    async def execute(self, code: str) -> AsyncGenerator[Output, None]:
        """See the protocol."""
        self._asked_to_stop = None
        try:
            await self._evaluate("remember()")
            ended: Ended | None = None
            async for output in self._execute_with_timeout(code.replace(DATA_DIR, self._directory)):
                if isinstance(output, Ended):
                    ended = output
                else:
                    yield output
            if ended is not None and ended.state_kept:
                async for output in self._files():
                    yield output
            yield ended or Ended(EndReason.KILLED, _LOST, state_kept=False)
        except (ConnectionError, ValueError, SandboxUnavailable):
            self._alive = False
            yield Ended(EndReason.KILLED, _LOST, state_kept=False)

    async def _execute_with_timeout(self, code: str) -> AsyncGenerator[Output, None]:
        """Outputs and the end, within the wall clock: first an interrupt, then the end of the kernel."""
        number = await self._socket.request(code)
        loop = asyncio.get_running_loop()
        stop = loop.call_later(self._limits.wall, self._interrupt_soon, EndReason.TIMED_OUT)
        try:
            async with asyncio.timeout(self._limits.wall + self._limits.grace):
                async for output in _OutputCollector(self._directory, self._limits.log).outputs(
                    self._socket.replies(number)
                ):
                    yield self._resolve_interrupt(output)
        except TimeoutError:
            await self.close()
            message = f"The code ran longer than {self._limits.wall:g} seconds and could not be stopped."
            yield Ended(EndReason.TIMED_OUT, f"{message} All variables and files are lost.", state_kept=False)
        finally:
            stop.cancel()

    def _resolve_interrupt(self, output: Output) -> Output:
        """What a KeyboardInterrupt means depends on who asked for it."""
        if not isinstance(output, Ended) or output.reason is not EndReason.INTERRUPTED:
            return output
        if self._asked_to_stop is EndReason.TIMED_OUT:
            message = f"The code ran longer than {self._limits.wall:g} seconds and was stopped."
            return Ended(EndReason.TIMED_OUT, message)
        return Ended(EndReason.INTERRUPTED, "The code was interrupted.")

    def _interrupt_soon(self, why: EndReason) -> None:
        self._asked_to_stop = why
        self._stopping = asyncio.ensure_future(self.interrupt())

    async def _files(self) -> AsyncGenerator[Output, None]:
        for path, size, picture in json.loads(await self._evaluate("changed()")):
            checked = checked_path(str(path))
            if picture:
                content = b"".join([piece async for piece in self.get(checked)])
                yield Image(posixpath.basename(checked), content, checked)
            else:
                yield FileWritten(checked, int(size))

    async def _evaluate(self, call: str, code: str = "") -> str:
        """What one of our functions in the kernel answers. Raises ConnectionError, ValueError."""
        number = await self._socket.request(code, silent=True, ask=f"{_NAME}.{call}")
        answer: object = None
        async for message in self._socket.replies(number):
            if message.kind == "execute_reply":
                answer = message.content.get("user_expressions")
        return _answered(answer)

    async def put(self, path: str, content: AsyncIterator[bytes]) -> None:
        """See the protocol."""
        name, mode = checked_path(path), "new"
        async for part in content:
            for at in range(0, len(part), _PIECE):
                await self._put_piece(name, mode, part[at : at + _PIECE])
                mode = "more"
        if mode == "new":
            await self._put_piece(name, mode, b"")

    async def _put_piece(self, name: str, mode: str, piece: bytes) -> None:
        problem = await self._file(f"put({name!r}, {mode!r}, {base64.b64encode(piece).decode()!r})")
        if problem:
            raise FileRefused(f"'{name}' could not be put into the sandbox: {problem}.")

    async def get(self, path: str) -> AsyncGenerator[bytes, None]:
        """See the protocol."""
        name, at = checked_path(path), 0
        while True:
            said = await self._file(f"get({name!r}, {at}, {_PIECE})")
            if said.startswith("!"):
                raise FileRefused(f"'{path}' could not be read from the sandbox: {said[1:]}.")
            piece = base64.b64decode(said)
            if not piece:
                return
            yield piece
            at += len(piece)

    async def _file(self, call: str) -> str:
        try:
            return await self._evaluate(call)
        except (ConnectionError, ValueError):
            self._alive = False
            raise FileRefused("The session ended.") from None

    async def interrupt(self) -> None:
        """See the protocol."""
        with suppress(SandboxUnavailable):
            await self._call("POST", f"/api/kernels/{self._kernel}/interrupt", None)

    async def close(self) -> None:
        """See the protocol."""
        if not self._alive and self._socket.closed:
            return
        self._alive = False
        await self._socket.close()
        with suppress(SandboxUnavailable):
            await self._call("DELETE", f"/api/kernels/{self._kernel}", None)


class _OutputCollector:
    """One execution's messages, turned into outputs."""

    def __init__(self, directory: str, room: int) -> None:
        self._directory, self._head, self._tail_room = directory, room // 2, room - room // 2
        self._text, self._tail, self._dropped = OutputDecoder(), "", 0
        self._ended = Ended(EndReason.COMPLETED)

    async def outputs(self, messages: AsyncGenerator[KernelMessage, None]) -> AsyncGenerator[Output, None]:
        """Logs and images, at last Ended."""
        async for message in messages:
            for output in self._outputs_of(message):
                yield output
        gap = f"\n[… {self._dropped:,} characters of output left out …]\n" if self._dropped else ""
        if gap or self._tail:
            yield Logs(gap + self._tail)
        yield self._ended

    def _outputs_of(self, message: KernelMessage) -> list[Output]:
        content = message.content
        if message.kind == "stream":
            return self._logged(str(content.get("text")))
        if message.kind in {"display_data", "execute_result"}:
            return self._shown(content.get("data"))
        if message.kind == "error":
            self._ended = _judge(str(content.get("ename")), str(content.get("evalue")))
            lines = content.get("traceback")
            return self._logged("\n".join(map(str, lines)) + "\n" if isinstance(lines, list) else "")  # pyright: ignore[reportUnknownArgumentType]
        return []

    def _shown(self, data: object) -> list[Output]:
        found: dict[str, object] = data if isinstance(data, dict) else {}  # pyright: ignore[reportUnknownVariableType]
        if isinstance(picture := found.get("image/png"), str):
            return [Image("figure.png", base64.b64decode(picture))]
        text = found.get("text/plain")
        return self._logged(f"{text}\n") if text is not None else []

    def _logged(self, text: str) -> list[Output]:
        text = self._text.add(text.replace(self._directory, DATA_DIR).encode(errors="replace"))
        now, later = text[: self._head], text[self._head :]
        self._head -= len(now)
        kept = (self._tail + later)[-self._tail_room :]
        self._dropped += len(self._tail) + len(later) - len(kept)
        self._tail = kept
        return [Logs(now)] if now else []


def _judge(name: str, value: str) -> Ended:
    line = " ".join(f"{name}: {value}".split())[:500]
    if name == "KeyboardInterrupt":
        return Ended(EndReason.INTERRUPTED, line)
    for sign, (how, message) in _LIMITS.items():
        if name == sign or value.startswith(sign):
            return Ended(how, f"{message} ({line}).")
    return Ended(EndReason.EXCEPTION, line)


def _answered(expressions: object) -> str:
    """The text a user expression evaluated to. Raises ValueError."""
    try:
        asked = expressions["asked"]["data"]["text/plain"]  # pyright: ignore[reportIndexIssue, reportUnknownVariableType]
        text: object = ast.literal_eval(str(asked))  # pyright: ignore[reportUnknownArgumentType]
    except (KeyError, TypeError, SyntaxError):
        raise ValueError("the kernel does not answer") from None
    if not isinstance(text, str):
        raise ValueError("the kernel's answer is not text")  # noqa: TRY004 - one error for a broken kernel
    return text
