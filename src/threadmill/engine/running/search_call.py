"""One file_search call: its queries go through the assistant's and the thread's stores, the best passages come back
(behaviour.md 2.3, 7.5).

Whatever goes wrong is an answer to the model; it does not fail the run.
"""

import asyncio
import json

from threadmill.domain.error import Unavailable
from threadmill.domain.new_store import StoreSearch
from threadmill.domain.tool import FileSearchCall, SearchResult
from threadmill.domain.vector_store import VectorStore
from threadmill.engine.documents.store_search import SearchMatch, search_stores
from threadmill.engine.prompt import file_search_prompt
from threadmill.engine.prompt.tool_functions import search_tool
from threadmill.engine.running.answer_references import file_search_calls
from threadmill.engine.running.draft import SearchDraft
from threadmill.engine.running.execution import Execution
from threadmill.engine.running.store_wait import wait_for_new_stores

SMALL_WINDOW = 16_385
"""Tokens; the window of the models the service gave fewer results (behaviour.md 7.5)."""

RESULTS, RESULTS_OF_SMALL = 20, 5
TOKENS, TOKENS_OF_SMALL = 16_000, 4_000

NO_STORE = "Note: there are no files to search; none were given for this conversation."


async def answer_search(execution: Execution, draft: SearchDraft) -> FileSearchCall:
    """Search; the call with what was found, as far as the model has room for it."""
    if not draft.queries:
        _fail(draft, file_search_prompt.NOT_UNDERSTOOD)
        return draft.call()
    await execution.patiently(lambda: wait_for_new_stores(execution))
    draft.notes += await execution.patiently(lambda: _notes(execution))
    try:
        found = await execution.patiently(lambda: _found(execution, draft))
    except Unavailable as error:
        _fail(draft, f"Error: the files could not be searched. {error.message}")
        return draft.call()
    count, model = execution.ports.tokens.count, execution.run.model
    room = await execution.patiently(lambda: _room(execution))
    draft.results = await asyncio.to_thread(
        file_search_prompt.fit_to_budget, found, draft.number, room, lambda text: count(text, model)
    )
    if len(draft.results) < len(found) and not draft.results:
        draft.notes.append(file_search_prompt.NO_ROOM)
    return draft.call()


def _fail(draft: SearchDraft, text: str) -> None:
    draft.error = text
    draft.notes.append(text)


async def _found(execution: Execution, draft: SearchDraft) -> list[SearchResult]:
    run, tool = execution.run, search_tool(execution.run)
    limit = None if tool is None else tool.max_num_results
    wanted = StoreSearch(
        draft.queries,
        limit=limit or (RESULTS_OF_SMALL if _is_small(execution) else RESULTS),
        threshold=draft.ranking.score_threshold,
        weights=file_search_prompt.parse_weights(draft.ranking),
    )
    stores = run.tool_resources.vector_store_ids or ()
    return [_result(match) for match in await search_stores(execution.ports, run.project, stores, wanted)]


def _result(match: SearchMatch) -> SearchResult:
    attributes = json.dumps(dict(match.attributes), ensure_ascii=False, separators=(",", ":"))
    return SearchResult(match.file_id, match.filename, match.score, (match.text,), attributes)


async def _notes(execution: Execution) -> list[str]:
    """What the model should know of the stores, or it would take what is missing for what does not exist."""
    run, notes = execution.run, list[str]()
    store_ids = dict.fromkeys(run.tool_resources.vector_store_ids or ())
    for store_id in store_ids:
        store = await execution.ports.store.get(VectorStore, run.project, store_id)
        if store is None:
            notes.append(f"Note: vector store {store_id} does not exist any more; its files are not searched.")
        elif reading := store.file_counts.in_progress:
            notes.append(f"Note: {reading} of the files are still being read and are not searched yet.")
    return notes if store_ids else [NO_STORE]


def _window(execution: Execution) -> int | None:
    return execution.ports.model.get_info(execution.run.model).context_window


def _is_small(execution: Execution) -> bool:
    window = _window(execution)
    return window is not None and window <= SMALL_WINDOW


async def _room(execution: Execution) -> int:
    """Tokens the results may have. All searches of a run together leave half of the window to the conversation."""
    window = _window(execution)
    if window is None:
        return TOKENS
    ports, run = execution.ports, execution.run
    drafts = [call.call() for call in execution.draft.calls if isinstance(call, SearchDraft)]
    earlier = [
        file_search_prompt.render_results(call)
        for call in [*file_search_calls(await ports.store.steps(run.id)), *drafts]
    ]
    spent = sum(await asyncio.to_thread(ports.tokens.count_each, earlier, run.model)) if earlier else 0
    left = window // 2 - spent
    return max(0, min(TOKENS_OF_SMALL if _is_small(execution) else TOKENS, left))
