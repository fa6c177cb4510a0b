"""What the model asks of file_search and what it is told. Pure: the call's arguments in, a text with markers out."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import cast

from threadmill.domain.citation import PassageRef, format_marker
from threadmill.domain.ranking import HybridWeights
from threadmill.domain.tool import FileSearchCall, RankingOptions, SearchResult
from threadmill.engine.prompt.code_argument_parser import replace_lone_surrogates

MAX_QUERIES = 10
"""Queries of one call that are looked for; what is asked beyond is left out."""

MAX_QUERY = 4_000
"""Characters of one query that are looked for, as much as embedding models take."""

MAX_WEIGHT = 1e6
"""More than that against 1 is everything against nothing, and infinity could not be reckoned with."""

RESULTS_HEADER = (
    "Where your answer uses one of these passages, write its marker behind the sentence, exactly as it stands here."
)
NO_RESULTS = "Nothing was found."
NOT_UNDERSTOOD = 'Error: the arguments are not valid. Call the tool again with {"queries": ["..."]}.'
NO_ROOM = "Note: there are more results, but no room for them. Answer with what you have, or search for less at once."
TRUNCATED = " […]"


def parse_queries(arguments: str) -> tuple[str, ...]:
    """The queries that whole arguments hold: `queries`, one or several, `query`, the only text of an object, a JSON
    string or list, or the bare words. Each once, in order; none if none is to be found.
    """
    try:
        value: object = json.loads(arguments, strict=False)
    except (ValueError, RecursionError):
        # Half an object is no question.
        value = "" if arguments.lstrip().startswith(("{", "[", '"')) else arguments
    if isinstance(value, dict):
        value = _asked(cast("dict[str, object]", value))
    texts = cast("list[object]", value) if isinstance(value, list) else [value]
    found = [
        replace_lone_surrogates(str(text)).strip()[:MAX_QUERY] for text in texts if isinstance(text, str | int | float)
    ]
    return tuple(dict.fromkeys(filter(None, found)))[:MAX_QUERIES]


def _asked(members: dict[str, object]) -> object:
    for key in ("queries", "query"):
        if key in members:
            return members[key]
    return next(iter(members.values())) if len(members) == 1 else None


def parse_weights(ranking: RankingOptions) -> HybridWeights:
    """The weights of `hybrid_search`; equal ones where it says nothing that can be followed."""
    try:
        said: object = json.loads(ranking.hybrid_search or "null")
    except ValueError:
        said = None
    members = cast("dict[str, object]", said) if isinstance(said, dict) else {}
    meaning, words = (_weight(members.get(name)) for name in ("embedding_weight", "text_weight"))
    return HybridWeights(meaning, words) if meaning or words else HybridWeights()


def _weight(value: object) -> float:
    return min(max(0.0, float(value)), MAX_WEIGHT) if isinstance(value, int | float) else 1.0


def fit_to_budget(
    results: Sequence[SearchResult], number: int, budget: int, count: Callable[[str], int]
) -> tuple[SearchResult, ...]:
    """The best of the results that the model can be told within `budget` tokens; the first is cut rather than left out."""
    kept: list[SearchResult] = []
    budget -= count(RESULTS_HEADER)
    for result in results:
        cost = count(_passage(number, len(kept), result))
        if cost > budget:
            break
        kept.append(result)
        budget -= cost
    if results and not kept:
        return _cut(results[0], number, budget, count)
    return tuple(kept)


def _cut(result: SearchResult, number: int, budget: int, count: Callable[[str], int]) -> tuple[SearchResult, ...]:
    """The result with as much of its beginning as there is room for; none if there is none."""
    text = "\n".join(result.content)
    while text:
        short = replace(result, content=(text + TRUNCATED,))
        if count(_passage(number, 0, short)) <= budget:
            return (short,)
        text = text[: len(text) // 2]
    return ()


def render_results(call: FileSearchCall) -> str:
    """What the model learns of its search: the passages under their markers, then the notes; empty if neither is."""
    passages = [_passage(call.number, place, result) for place, result in enumerate(call.results)]
    heading = [RESULTS_HEADER] if passages else []
    return "\n\n".join([*heading, *passages, *filter(None, [call.note])])


def _passage(number: int, place: int, result: SearchResult) -> str:
    return "\n".join([format_marker(PassageRef(number, place), result.file_name), *result.content])
