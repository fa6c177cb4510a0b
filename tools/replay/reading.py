"""Step 3d of a replay: an open stream of ours, frame by frame, and where in a recorded one somebody interfered."""

import asyncio

import aiohttp

from tools.replay.frames import OurFrame, Splitter
from tools.replay.recording import Exchange, as_object


class Reader:
    """Frames of one open answer."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._content: aiohttp.StreamReader = response.content
        self._splitter: Splitter = Splitter()
        self.stalled: bool = False

    async def next(self, seconds: float) -> OurFrame | None:
        """The next frame; None at the end, or when none came in time (`stalled`)."""
        try:
            async with asyncio.timeout(seconds):
                while line := await self._content.readline():
                    frame = self._splitter.line(line.decode().rstrip("\r\n"))
                    if frame is not None:
                        return frame
        except TimeoutError:
            self.stalled = True
        return None


def interruption(exchange: Exchange) -> int | None:
    """How many events come ahead of the one that something outside the stream caused."""
    for at, frame in enumerate(exchange.frames or ()):
        if frame.name in ("thread.run.cancelling", "thread.run.cancelled", "thread.run.expired"):
            ended = [row for row in (exchange.frames or ())[:at] if row.name in _CLOSED_BY_IT and _closed_so(row.data)]
            return at - len(ended)
    return None


_CLOSED_BY_IT = frozenset(
    {"thread.message.incomplete", "thread.run.step.cancelled", "thread.run.step.expired", "thread.run.step.failed"}
)


def _closed_so(data: object) -> bool:
    return as_object(data).get("object") in ("thread.message", "thread.run.step")
