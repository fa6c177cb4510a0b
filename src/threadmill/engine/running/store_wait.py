"""What a run may search is there when it searches: the thread's own store is waited for (behaviour.md 7.5)."""

from threadmill.domain.ids import VectorStoreId
from threadmill.domain.thread import Thread
from threadmill.domain.vector_store import VectorStore, VectorStoreStatus
from threadmill.engine.documents.store_search import touch
from threadmill.engine.prompt.tool_functions import search_tool
from threadmill.engine.running.execution import Execution

MIN_POLL_SECONDS, MAX_POLL_SECONDS = 0.05, 1.0
"""Seconds between two looks at a store that is waited for: they double from the first to the last. A look is one read by
key; files are often ready in less than a second, and whether they are read in this process is not known here.
"""

NEW_STORE_SECONDS = 10
"""Seconds. The service's own models took some before they searched, so that programs which make a store, an assistant and
a run in one go found what they had put there (recording FileSearchStreamingWorks). Models here can be faster.
"""


async def wait_for_stores(execution: Execution) -> str | None:
    """Why the run cannot begin; None once it can. Each store is in use from now on, which prolongs its life.

    A store that does not exist is no reason: the model is told of it when it searches. Raises Unavailable.
    """
    if search_tool(execution.run) is None:
        return None
    await _wait_for_thread_store(execution)
    now = execution.ports.clock.now()
    for store_id in dict.fromkeys(execution.run.tool_resources.vector_store_ids or ()):
        store = await _store(execution, store_id)
        if store is None:
            continue
        if store.status(now) is VectorStoreStatus.EXPIRED:
            return (
                f"Vector store {store_id} has expired, so its files cannot be searched. "
                "Create a new one with the same files and put it into the tool_resources in its place."
            )
        await touch(execution.ports, store)
    return None


async def _wait_for_thread_store(execution: Execution) -> None:
    """Files put into the thread's store a moment ago can be searched; the assistant's are not waited for."""
    ports, run = execution.ports, execution.run
    thread = await ports.store.get(Thread, run.project, run.thread_id)
    for store_id in () if thread is None else thread.tool_resources.vector_store_ids or ():
        await _poll_until_read(execution, store_id, execution.settings.store_wait_seconds)


async def wait_for_new_stores(execution: Execution) -> None:
    """Before a search: a store whose life has just begun is waited for until it is YOUNG seconds old."""
    for store_id in dict.fromkeys(execution.run.tool_resources.vector_store_ids or ()):
        store = await _store(execution, store_id)
        if store is not None:
            await _poll_until_read(
                execution, store_id, NEW_STORE_SECONDS - (execution.ports.clock.now() - store.created_at)
            )


async def _poll_until_read(execution: Execution, store_id: VectorStoreId, seconds: float) -> None:
    clock, pause = execution.ports.clock, MIN_POLL_SECONDS
    give_up = clock.monotonic() + seconds
    while (left := give_up - clock.monotonic()) > 0 and await _is_reading(execution, store_id):
        await clock.sleep(min(pause, left))
        pause = min(2 * pause, MAX_POLL_SECONDS)


async def _is_reading(execution: Execution, store_id: VectorStoreId) -> bool:
    store = await _store(execution, store_id)
    return store is not None and store.status(execution.ports.clock.now()) is VectorStoreStatus.IN_PROGRESS


async def _store(execution: Execution, store_id: VectorStoreId) -> VectorStore | None:
    return await execution.ports.store.get(VectorStore, execution.run.project, store_id)
