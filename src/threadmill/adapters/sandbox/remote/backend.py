"""Kernels of a Jupyter Kernel Gateway: for macOS, and for those who have one. Its walls are the gateway's own business."""

import asyncio
import json
from collections.abc import Mapping
from typing import TypeAlias

import aiohttp

from threadmill.adapters.sandbox.backend import SessionLimits
from threadmill.adapters.sandbox.remote.kernel_session import KernelSession
from threadmill.adapters.sandbox.remote.socket import KernelSocket
from threadmill.engine.ports.sandbox import SandboxUnavailable

Fields: TypeAlias = Mapping[str, str]
_PATIENCE = aiohttp.ClientTimeout(total=60, connect=10)
_LARGEST_MESSAGE = 64 << 20


class Gateway:
    """The gateway's few routes."""

    def __init__(self, url: str, token: str | None) -> None:
        self._url = url.rstrip("/")
        headers = {"Authorization": f"token {token}"} if token else {}
        self._http = aiohttp.ClientSession(headers=headers, timeout=_PATIENCE)

    async def call(self, method: str, path: str, body: Fields | None = None) -> dict[str, object]:
        """One request; an empty answer is {}. Raises SandboxUnavailable."""
        try:
            async with self._http.request(method, f"{self._url}{path}", json=body) as response:
                text = await response.text()
                if response.status >= 400:
                    raise SandboxUnavailable(f"The kernel gateway answered {response.status} to {method} {path}.")
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise SandboxUnavailable(f"The kernel gateway cannot be reached: {type(error).__name__}.") from None
        try:
            found: object = json.loads(text) if text.strip() else {}
        except ValueError:
            raise SandboxUnavailable("The kernel gateway's answer is not JSON.") from None
        return {str(name): value for name, value in found.items()} if isinstance(found, dict) else {}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]

    async def connect(self, kernel: str) -> aiohttp.ClientWebSocketResponse:
        """The kernel's channels. Raises SandboxUnavailable."""
        try:
            url = f"{self._url}/api/kernels/{kernel}/channels"
            return await self._http.ws_connect(url, max_msg_size=_LARGEST_MESSAGE)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise SandboxUnavailable(f"The kernel's channels cannot be opened: {type(error).__name__}.") from None

    async def close(self) -> None:
        """Close all connections."""
        await self._http.close()


class RemoteBackend:
    """See Backend."""

    unavailable_reason: str | None = None

    def __init__(self, gateway: Gateway, limits: SessionLimits) -> None:
        self._gateway, self._limits = gateway, limits

    @classmethod
    async def connect(cls, url: str, token: str | None, limits: SessionLimits) -> "RemoteBackend":
        """Look whether a gateway is there. Raises SandboxUnavailable."""
        gateway = Gateway(url, token)
        try:
            await gateway.call("GET", "/api")
        except BaseException:
            await gateway.close()
            raise
        return cls(gateway, limits)

    async def open(self) -> KernelSession:
        """See the protocol."""
        made = await self._gateway.call("POST", "/api/kernels", {"name": "python3"})
        kernel = str(made.get("id"))
        try:
            channels = KernelSocket(await self._gateway.connect(kernel))
            session = KernelSession(kernel, channels, self._gateway.call, self._limits)
            async with asyncio.timeout(60):
                await session.prepare()
        except BaseException as error:
            await self._gateway.call("DELETE", f"/api/kernels/{kernel}")
            if isinstance(error, TimeoutError | ConnectionError):
                raise SandboxUnavailable("The kernel does not answer.") from None
            raise
        return session

    async def close(self) -> None:
        """See the protocol."""
        await self._gateway.close()
