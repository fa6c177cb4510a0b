"""Which tool call a streamed piece belongs to, whatever an upstream does with indexes, ids, names and arguments. Pure.

OpenAI numbers its calls. Others number all of them 0, give empty ids, cut a name in two, repeat id and name with every
piece, or send the arguments so far anew each time. What tells calls apart everywhere: a call begins with a name, and
arguments are one JSON object.
"""

from collections.abc import Collection
from dataclasses import dataclass, field

import msgspec

from threadmill.engine.ports.model import ToolCallPiece

MAX_CHECKS = 100
"""How often one call's arguments are looked at as a whole: each look reads all of them."""

_decode_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


@dataclass(slots=True)
class _Call:
    """`index` is the upstream's; `number` counts the calls as they begin. `is_open` once its name was handed on."""

    number: int
    index: int | None
    id: str | None
    name: str = ""
    is_open: bool = False
    is_incremental: bool = False
    pieces: list[str] = field(default_factory=list[str])
    length: int = 0
    checks: int = 0

    def arguments(self) -> str:
        return "".join(self.pieces)

    def is_whole(self) -> bool:
        """Whether the arguments so far are a JSON object."""
        if not self.pieces or not self.pieces[-1].rstrip().endswith("}") or self.checks >= MAX_CHECKS:
            return False
        self.checks += 1
        try:
            _decode_object(self.arguments())
        except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
            return False
        return True

    def is_growing(self) -> bool:
        """Whether its arguments have begun and are not whole."""
        return bool(self.length) and not self.is_whole()

    def new_part(self, arguments: str) -> str:
        """What `arguments` adds: all of it, or what goes beyond the arguments so far if it repeats them."""
        if self.length and arguments and (not self.is_incremental or len(arguments) == self.length):
            so_far = self.arguments()
            repeats = so_far.startswith("{") and arguments.startswith(so_far)
            if repeats and (not self.is_incremental or self.is_whole()):
                arguments = arguments[len(so_far) :]
            else:
                self.is_incremental = True
        if arguments:
            self.pieces.append(arguments)
            self.length += len(arguments)
        return arguments


class ToolCallDecoder:
    """The calls of one answer. `names` are those of the tools that are offered."""

    __slots__ = ("_by_id", "_by_index", "_count", "_last", "_names")

    def __init__(self, names: Collection[str] = ()) -> None:
        self._names: Collection[str] = names
        self._by_id: dict[str, _Call] = {}
        self._by_index: dict[int | None, _Call] = {}
        self._last: _Call | None = None
        self._count: int = 0

    def __bool__(self) -> bool:
        """Whether a call has begun."""
        return self._last is not None

    def read(self, index: int | None, id: str | None, name: str | None, arguments: str) -> list[ToolCallPiece]:  # noqa: A002 - the wire's word
        """The pieces one streamed delta amounts to; none while a name may still grow."""
        call = self._call_of(index, id, name, arguments)
        pieces: list[ToolCallPiece] = []
        if call is None:
            pieces += self.end()
            call = self._begin(index, id)
        if id and not call.id:
            call.id = id
            self._by_id[id] = call
        if name and not call.is_open:
            call.name = name if name.startswith(call.name) else call.name + name
        arguments = call.new_part(arguments)
        if not call.is_open:
            if arguments or (call.name and not self._may_grow(call.name)):
                pieces.append(_opened(call, arguments))
        elif arguments:
            pieces.append(ToolCallPiece(call.number, arguments=arguments))
        return pieces

    def end(self) -> list[ToolCallPiece]:
        """No more of the last call comes: it is handed on if its name was waited for."""
        return [_opened(self._last, "")] if self._last is not None and not self._last.is_open else []

    def _begin(self, index: int | None, id: str | None) -> _Call:  # noqa: A002 - the wire's word
        call = _Call(self._count, index, id or None)
        self._count += 1
        self._last = self._by_index[index] = call
        if id:
            self._by_id[id] = call
        return call

    def _call_of(self, index: int | None, id: str | None, name: str | None, arguments: str) -> _Call | None:  # noqa: A002
        """The call that goes on with this delta; None where one begins."""
        call = self._candidate(index, id)
        if call is None:
            return None if id or name else self._last
        if id and call.id and id != call.id:
            return None if name or not call.is_growing() else call
        if not name:
            return call
        if name == call.name:
            return None if self._begins_anew(call, arguments) else call
        if not call.length:
            return self._with_name_in_pieces(call, name)
        return None if index is None or call.is_whole() else call

    def _candidate(self, index: int | None, id: str | None) -> _Call | None:  # noqa: A002 - the wire's word
        known = self._by_id.get(id) if id else None
        if known is not None and (index is None or known.index is None or known.index == index):
            return known
        return self._last if index is None else self._by_index.get(index)

    def _begins_anew(self, call: _Call, arguments: str) -> bool:
        """The same function once more: an object behind a whole one that it does not repeat."""
        return arguments.lstrip().startswith("{") and call.is_whole() and not arguments.startswith(call.arguments())

    def _with_name_in_pieces(self, call: _Call, name: str) -> _Call | None:
        joined = call.name + name
        if joined in self._names or self._may_grow(joined) or name.startswith(call.name):
            return call
        # Two functions without arguments, unless the first is none.
        return None if call.name in self._names and name in self._names else call

    def _may_grow(self, name: str) -> bool:
        """Whether a tool's name begins with this one and goes on."""
        return any(len(known) > len(name) and known.startswith(name) for known in self._names)


def _opened(call: _Call, arguments: str) -> ToolCallPiece:
    call.is_open = True
    return ToolCallPiece(call.number, call.id, call.name or None, arguments)
