"""Half a surrogate pair at the end of one chunk, its other half at the start of the next: JSON escapers of UTF-16
languages cut there. Strict decoders refuse such a chunk; here the halves are joined. Pure, and off the usual path.
"""

import json
from typing import TypeAlias, cast

_Json: TypeAlias = "None | bool | int | float | str | list[_Json] | dict[str, _Json]"

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


class SurrogateJoiner:
    """Carries a half from chunk to chunk, for the text and for each call's arguments."""

    def __init__(self) -> None:
        self._halves: dict[str, str] = {}

    def mend(self, event: bytes) -> bytes:
        """The chunk as valid JSON in UTF-8, a half at the end of a text held back. Raises ValueError for no JSON."""
        try:
            chunk = cast("_Json", json.loads(_text_of(event)))
        except RecursionError:
            raise ValueError("The JSON is nested too deep.") from None
        for choice in _objects(chunk, "choices"):
            said = choice.get("delta") or choice.get("message")
            if isinstance(said, dict):
                self._join_all(said, str(choice.get("index") or 0))
        # Whatever is left alone, anywhere, becomes a replacement character.
        return _joined(json.dumps(chunk, ensure_ascii=False)).encode()

    def end(self) -> str:
        """What stands for a half of the text that the other never came for."""
        return REPLACEMENT if self._halves.get("0.content") else ""

    def _join_all(self, said: dict[str, _Json], place: str) -> None:
        self._join(said, "content", place)
        self._join(said, "refusal", place)
        for at, call in enumerate(_objects(said, "tool_calls")):
            function = call.get("function")
            if isinstance(function, dict):
                self._join(function, "arguments", f"{place}.{call.get('index', at)}")

    def _join(self, owner: dict[str, _Json], member: str, place: str) -> None:
        text = owner.get(member)
        if not isinstance(text, str) or not text:
            return
        place = f"{place}.{member}"
        text = _joined_keeping_end(self._halves.pop(place, "") + text)
        if "\ud800" <= text[-1] <= "\udbff":
            self._halves[place] = text[-1]
            text = text[:-1]
        owner[member] = text


def _text_of(event: bytes) -> str:
    try:
        return event.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return event.decode("utf-8", "replace")


def _joined(text: str) -> str:
    """Halves that stand together as one character, those alone as U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _joined_keeping_end(text: str) -> str:
    is_half = "\ud800" <= text[-1] <= "\udbff"
    return _joined(text[:-1]) + text[-1] if is_half else _joined(text)


def _objects(owner: _Json, member: str) -> list[dict[str, _Json]]:
    items = owner.get(member) if isinstance(owner, dict) else None
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []
