"""Before a run's first turn: its vector stores are looked at, and the thread's own is waited for (behaviour.md 7.5)."""

from threadmill.domain.ids import VectorStoreId
from threadmill.domain.thread import Thread
from threadmill.domain.vector_store import VectorStore, VectorStoreStatus
from threadmill.engine.execution import Execution
from threadmill.engine.offer import search_tool
from threadmill.engine.searching import touch

FIRST_LOOK, LAST_LOOK = 0.05, 1.0
"""Seconds between two looks at a store that is waited for: they double from the first to the last. A look is one read by
key; files are often ready in less than a second, and whether they are read in this process is not known here.
"""


async def wait_for_stores(execution: Execution) -> str | None:
    """Why the run cannot begin; None once it can. Each store is in use from now on, which prolongs its life.

    A store that does not exist is no reason: the model is told of it when it searches. Raises Unavailable.
    """
    if search_tool(execution.run) is None:
        return None
    await _wait_for_thread(execution)
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


async def _wait_for_thread(execution: Execution) -> None:
    """Files put into the thread's store a moment ago can be searched; the assistant's are not waited for."""
    ports, run = execution.ports, execution.run
    thread = await ports.store.get(Thread, run.project, run.thread_id)
    stores = () if thread is None else thread.tool_resources.vector_store_ids or ()
    give_up, pause = ports.clock.monotonic() + execution.settings.store_patience, FIRST_LOOK
    for store_id in stores:
        while await _is_reading(execution, store_id) and (left := give_up - ports.clock.monotonic()) > 0:
            await ports.clock.sleep(min(pause, left))
            pause = min(2 * pause, LAST_LOOK)


async def _is_reading(execution: Execution, store_id: VectorStoreId) -> bool:
    store = await _store(execution, store_id)
    return store is not None and store.status(execution.ports.clock.now()) is VectorStoreStatus.IN_PROGRESS


async def _store(execution: Execution, store_id: VectorStoreId) -> VectorStore | None:
    return await execution.ports.store.get(VectorStore, execution.run.project, store_id)
