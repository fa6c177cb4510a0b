"""Which call a piece belongs to, for every way upstreams are known to number, name and repeat."""

import json
from typing import NamedTuple

import pytest

from threadmill.adapters.models.upstream.tool_call_decoder import MAX_CHECKS, ToolCallDecoder
from threadmill.engine.ports.model import ToolCallPiece

TOOLS = ("get_weather", "get_time", "get", "f", "g")


class D(NamedTuple):
    """One streamed delta of a call."""

    number: int | None = 0
    id: str | None = None
    name: str | None = None
    arguments: str = ""


class Made(NamedTuple):
    id: str | None
    name: str | None
    arguments: str


def calls_of(*deltas: D, tools: tuple[str, ...] = TOOLS) -> list[Made]:
    """What the engine makes of the pieces: id and name of a call's first, the arguments of all."""
    decoder = ToolCallDecoder(tools)
    pieces: list[ToolCallPiece] = []
    for delta in deltas:
        pieces += decoder.read(*delta)
    pieces += decoder.end()
    made: dict[int, Made] = {}
    for piece in pieces:
        so_far = made.get(piece.index)
        if so_far is None:
            made[piece.index] = Made(piece.id, piece.name, piece.arguments)
        else:
            assert (piece.id, piece.name) == (None, None)
            made[piece.index] = so_far._replace(arguments=so_far.arguments + piece.arguments)
    assert list(made) == list(range(len(made)))
    return list(made.values())


TWO = [Made("a", "f", '{"x":1}'), Made("b", "f", '{"x":2}')]
TWO_BARE = [Made(None, "f", '{"x":1}'), Made(None, "f", '{"x":2}')]

CASES: dict[str, tuple[list[D], list[Made]]] = {
    "as OpenAI sends them": (
        [D(0, "a", "f"), D(0, arguments='{"x"'), D(0, arguments=":1}"), D(1, "b", "f"), D(1, arguments='{"x":2}')],
        TWO,
    ),
    "interleaved by index": (
        [D(0, "a", "f"), D(1, "b", "f"), D(0, arguments='{"x":1}'), D(1, arguments='{"x":2}')],
        TWO,
    ),
    "numbers that begin at 1": ([D(1, "a", "f", '{"x":1}'), D(2, "b", "f", '{"x":2}')], TWO),
    "all index 0, whole, with ids": ([D(0, "a", "f", '{"x":1}'), D(0, "b", "f", '{"x":2}')], TWO),
    "all index 0, in pieces, with ids": (
        [D(0, "a", "f"), D(0, None, None, '{"x":'), D(0, arguments="1}"), D(0, "b", "f"), D(0, arguments='{"x":2}')],
        TWO,
    ),
    "all index 0, with empty ids": ([D(0, "", "f", '{"x":1}'), D(0, "", "f", '{"x":2}')], TWO_BARE),
    "all index 0, without ids, other names": (
        [D(0, None, "f", '{"x":1}'), D(0, None, "g", '{"x":2}')],
        [Made(None, "f", '{"x":1}'), Made(None, "g", '{"x":2}')],
    ),
    "all index 0, one id for all": (
        [D(0, "a", "f", '{"x":1}'), D(0, "a", "f", '{"x":2}')],
        [Made("a", "f", '{"x":1}'), Made("a", "f", '{"x":2}')],
    ),
    "all index 0, pieces told apart by ids": (
        [D(0, "a", "f", '{"x"'), D(0, "b", "f", '{"x"'), D(0, "a", None, ":1}"), D(0, "b", None, ":2}")],
        TWO,
    ),
    "all index 0, no arguments": ([D(0, "a", "f"), D(0, "b", "g")], [Made("a", "f", ""), Made("b", "g", "")]),
    "all index 0, no ids, no arguments": (
        [D(0, None, "f"), D(0, None, "g")],
        [Made(None, "f", ""), Made(None, "g", "")],
    ),
    "a new id for every piece": (
        [D(0, "a", "f", '{"x"'), D(0, "k", None, ":"), D(0, "l", "", "1}")],
        [Made("a", "f", '{"x":1}')],
    ),
    "id and name with every piece": (
        [D(0, "a", "f", '{"x"'), D(0, "a", "f", ":"), D(0, "a", "f", "1}"), D(0, "b", "f", '{"x":2}')],
        TWO,
    ),
    "the name with every piece, no id": (
        [D(0, None, "f", '{"x"'), D(0, None, "f", ":1}"), D(0, None, "f", '{"x"'), D(0, None, "f", ":2}")],
        TWO_BARE,
    ),
    "a name in pieces": (
        [D(0, "a", "get_"), D(0, None, "weather"), D(0, arguments="{}")],
        [Made("a", "get_weather", "{}")],
    ),
    "a name in pieces, the id with each": (
        [D(0, "a", "get_"), D(0, "a", "wea"), D(0, "a", "ther", "{}")],
        [Made("a", "get_weather", "{}")],
    ),
    "a name so far sent anew": (
        [D(0, "a", "get_"), D(0, "a", "get_we"), D(0, "a", "get_weather"), D(0, "a", "get_weather", "{}")],
        [Made("a", "get_weather", "{}")],
    ),
    "a name that begins another": ([D(0, "a", "get"), D(0, arguments="{}")], [Made("a", "get", "{}")]),
    "names that begin another, called with nothing": (
        [D(0, None, "get"), D(0, None, "f"), D(0, None, "get")],
        [Made(None, "get", ""), Made(None, "f", ""), Made(None, "get", "")],
    ),
    "the id after the name": ([D(0, None, "get_"), D(0, "a", "time", "{}")], [Made("a", "get_time", "{}")]),
    "the id before the name": ([D(0, "a"), D(0, None, "f", "{}")], [Made("a", "f", "{}")]),
    "an unknown name in pieces": ([D(0, "a", "no_"), D(0, "a", "such", "{}")], [Made("a", "no_", "{}")]),
    "no name at all": ([D(0, "a", None, "{}")], [Made("a", None, "{}")]),
    "no name, no arguments": ([D(0, "a")], [Made("a", None, "")]),
    "arguments so far sent anew": (
        [D(0, "a", "f", '{"x'), D(0, "a", "f", '{"x":'), D(0, "a", "f", '{"x":1}'), D(0, "a", "f", '{"x":1}')],
        [Made("a", "f", '{"x":1}')],
    ),
    "arguments so far sent anew, two calls of index 0": (
        [D(0, "a", "f", "{"), D(0, None, None, '{"x":1}'), D(0, "b", "f", "{"), D(0, None, None, '{"x":2}')],
        TWO,
    ),
    "pieces, and all of them once more at the end": (
        [D(0, "a", "f", '{"x"'), D(0, arguments=":1}"), D(0, arguments='{"x":1}')],
        [Made("a", "f", '{"x":1}')],
    ),
    "pieces that are alike": (
        [D(0, "a", "f", '{"x":['), D(0, arguments="[1],"), D(0, arguments="[1],"), D(0, arguments="1]}")],
        [Made("a", "f", '{"x":[[1],[1],1]}')],
    ),
    "no index, ids": ([D(None, "a", "f", '{"x":'), D(None, None, None, "1}"), D(None, "b", "f", '{"x":2}')], TWO),
    "no index, no ids": ([D(None, None, "f", '{"x":1}'), D(None, None, "f", '{"x":2}')], TWO_BARE),
    "an index on first pieces only": (
        [D(0, "a", "f", '{"x"'), D(None, arguments=":1}"), D(1, "b", "f", '{"x":2}')],
        TWO,
    ),
    "an index on later pieces only": ([D(None, "a", "f", '{"x"'), D(0, arguments=":1}")], [Made("a", "f", '{"x":1}')]),
    "arguments without any call": ([D(0, arguments="{}")], [Made(None, None, "{}")]),
    "another name amid arguments": ([D(0, "a", "f", '{"x"'), D(0, "a", "g", ":1}")], [Made("a", "f", '{"x":1}')]),
    "another name amid arguments, no index": (
        [D(None, None, "f", '{"x"'), D(None, None, "g", "{}")],
        [Made(None, "f", '{"x"'), Made(None, "g", "{}")],
    ),
    "half a surrogate in arguments": ([D(0, "a", "f", '"\ud83d}'), D(0, "a", "g", "x")], [Made("a", "f", '"\ud83d}x')]),
}


@pytest.mark.parametrize("name", CASES)
def test_calls_are_told_apart(name: str) -> None:
    deltas, made = CASES[name]
    assert calls_of(*deltas) == made


@pytest.mark.parametrize("name", ["as OpenAI sends them", "all index 0, with empty ids", "a name so far sent anew"])
def test_calls_are_told_apart_without_knowing_the_tools(name: str) -> None:
    deltas, made = CASES[name]
    assert len(calls_of(*deltas, tools=())) == len(made)


def test_a_name_that_cannot_grow_is_told_at_once() -> None:
    decoder = ToolCallDecoder(TOOLS)
    assert decoder.read(0, "a", "get_weather", "") == [ToolCallPiece(0, "a", "get_weather")]
    assert decoder.read(1, "b", "get_", "") == []
    assert decoder.read(1, None, "time", "") == [ToolCallPiece(1, "b", "get_time")]


def test_arguments_are_looked_at_as_a_whole_a_bounded_number_of_times() -> None:
    braces = [D(0, None, "f", "{}") for _ in range(3 * MAX_CHECKS)]
    (made,) = calls_of(D(0, "a", "f", '{"code":"'), *braces, D(0, arguments='"}'))
    assert json.loads(made.arguments) == {"code": "{}" * 3 * MAX_CHECKS}
