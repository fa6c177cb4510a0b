"""A long answer and the caller who takes it: whichever ends first ends the other."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress

from starlette.types import Receive

WRITE_TIMEOUT = 30.0
"""Seconds without a byte taken, after which a caller is given up."""


async def answer_while_there(sending: Coroutine[None, None, None], watching: Coroutine[None, None, None]) -> None:
    """Run `sending` until it ends or `watching` does, whose caller is gone or stuck. Raises what `sending` raises."""
    sender = asyncio.create_task(sending)
    watchdog = asyncio.create_task(watching)
    try:
        await asyncio.wait({sender, watchdog}, return_when=asyncio.FIRST_COMPLETED)
        if sender.done():
            sender.result()
    finally:
        sender.cancel()
        watchdog.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(sender, watchdog, return_exceptions=True)


async def disconnected(receive: Receive) -> None:
    """Returns when the caller has hung up."""
    while (await receive())["type"] != "http.disconnect":
        pass
