"""What a request leaves behind is gone at once: circles would wait for the garbage collector, which stops every stream."""

import gc
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from tests.support.serving import Live
from tests.support.stage import turn_of_the_loop


@contextmanager
def circles() -> Generator[Counter[type]]:
    """By their types, once the context is left: the objects that only the collector could free."""
    found = Counter[type]()
    gc.collect()
    gc.disable()
    try:
        yield found
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        found.update(map(type, gc.garbage))
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


async def test_requests_and_streams_make_no_circles(live: Live) -> None:
    thread, assistant = await live.api.thread("say: hi"), await live.api.assistant()
    with circles() as found:
        for _ in range(3):
            await live.api.ok("GET", f"/threads/{thread}")
            await live.api.refused("GET", "/threads/thread_none")
            await live.api.refused("POST", "/threads", {"messages": 5})
            events = await live.api.stream(f"/threads/{thread}/runs", {"assistant_id": assistant})
            assert events[-1].name == "done"
        await turn_of_the_loop()  # whoever served them has returned
    assert found[RequestResponseCycle] == 0
