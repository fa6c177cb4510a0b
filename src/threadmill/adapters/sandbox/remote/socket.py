"""Jupyter's messaging protocol over the gateway's web socket, as far as we use it."""

import json
import uuid
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import aiohttp

Content: TypeAlias = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class KernelMessage:
    """What the kernel said about one request."""

    kind: str
    parent: str
    content: Content


class KernelSocket:
    """A kernel's channels; one reader at a time."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._session = uuid.uuid4().hex

    @property
    def closed(self) -> bool:
        """Whether the other end is gone."""
        return self._socket.closed

    async def request(self, code: str, *, silent: bool = False, ask: str | None = None) -> str:
        """Send code to execute; `ask` is an expression to evaluate after it. Gives the request's id."""
        number = uuid.uuid4().hex
        header = {"msg_id": number, "username": "", "session": self._session, "msg_type": "execute_request"}
        content = {
            "code": code,
            "silent": silent,
            "store_history": not silent,
            "user_expressions": {"asked": ask} if ask else {},
            "allow_stdin": False,
            "stop_on_error": True,
        }
        await self._socket.send_json(
            {
                "header": {**header, "version": "5.3"},
                "parent_header": {},
                "metadata": {},
                "content": content,
                "channel": "shell",
                "buffers": [],
            }
        )
        return number

    async def replies(self, number: str) -> AsyncGenerator[KernelMessage, None]:
        """Everything about a request until the kernel has answered it and is idle again. Raises ConnectionError."""
        waiting = {"execute_reply", "idle"}
        while waiting:
            message = await self._next()
            if message.parent == number:
                waiting.discard(message.kind)
                if message.kind == "status":
                    waiting.discard(str(message.content.get("execution_state")))
                yield message
            elif message.kind == "status" and message.content.get("execution_state") in {"restarting", "dead"}:
                raise ConnectionError("the kernel died")

    async def _next(self) -> KernelMessage:
        raw = await self._socket.receive()
        if raw.type not in {aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY}:
            raise ConnectionError("the kernel's channels were closed")
        data: object = raw.data
        found: dict[str, dict[str, object]] = json.loads(data if isinstance(data, str | bytes) else "{}")
        header, parent = found.get("header", {}), found.get("parent_header", {})
        return KernelMessage(str(header.get("msg_type")), str(parent.get("msg_id")), found.get("content", {}))

    async def close(self) -> None:
        """Close our end."""
        await self._socket.close()
