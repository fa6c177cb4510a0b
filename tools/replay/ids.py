"""Which id of ours stands for which recorded one: learnt from answers, used in requests, and never allowed to change."""

import re
from collections.abc import Iterator

from tools.replay.recording import Json, Recording, as_list, as_object

_PREFIXES = "asst|thread|run|step|msg|call|file|assistant|vs|vsfb|req|org|proj|chatcmpl|ftjob|upload|batch"
# A function may well be called run_the_whole_report; a random body has a digit or a capital letter.
_LOOKS_LIKE_ID = re.compile(rf"(?<![A-Za-z0-9_])(?:{_PREFIXES})[-_](?=[a-z_-]*[A-Z0-9])[A-Za-z0-9_-]{{16,}}")
_ID = "([A-Za-z0-9][A-Za-z0-9_-]*)"
_COLLECTIONS = frozenset(
    {"assistants", "threads", "messages", "runs", "steps", "files", "vector_stores", "file_batches", "uploads"}
)
_VERBS = frozenset({"runs", "cancel", "submit_tool_outputs", "search", "content"})

_FREE = frozenset({"metadata", "attributes", "parameters", "schema"})
"""Whose keys the caller chose: an `id` in there is none of the API's."""


class Ids:
    """The pairs of one playing."""

    def __init__(self, recording: Recording) -> None:
        self._known: frozenset[str] = frozenset(_vocabulary(recording))
        self._ours: dict[str, str] = {}
        self._theirs: dict[str, str] = {}
        # The longest first: one id may begin like another.
        names = sorted(self._known, key=len, reverse=True)
        either = [_LOOKS_LIKE_ID.pattern, *(rf"(?<![A-Za-z0-9_-]){re.escape(name)}(?![A-Za-z0-9_-])" for name in names)]
        self._pattern: re.Pattern[str] = re.compile("|".join(either))

    def ours(self, recorded: str) -> str | None:
        """Our id, if it is known by now."""
        return self._ours.get(recorded)

    def bind(self, recorded: str, ours: str) -> bool:
        """Learn a pair, or check it: False when either side is paired with something else already."""
        if recorded in self._ours or ours in self._theirs:
            return self._ours.get(recorded) == ours and self._theirs.get(ours) == recorded
        self._ours[recorded] = ours
        self._theirs[ours] = recorded
        return True

    def pairs(self) -> int:
        """How many pairs are known."""
        return len(self._ours)

    def forget_since(self, pairs: int) -> None:
        """Unlearn all but the first so many."""
        for recorded in list(self._ours)[pairs:]:
            del self._theirs[self._ours.pop(recorded)]

    def translate(self, text: str) -> str:
        """The text with every id that is known by now replaced by ours."""
        return self._pattern.sub(lambda found: self._ours.get(found[0], found[0]), text)

    def translate_json(self, value: Json) -> Json:
        """The same for every text inside a value."""
        if isinstance(value, str):
            return self.translate(value)
        if isinstance(value, list):
            return [self.translate_json(item) for item in as_list(value)]
        if isinstance(value, dict):
            return {key: self.translate_json(item) for key, item in as_object(value).items()}
        return value

    def same(self, recorded: str, ours: str) -> bool:
        """Whether two texts are equal but for ids, which must pair up; new pairs are learnt."""
        pieces = list(_pieces(self._pattern, recorded))
        if not any(is_id for _, is_id in pieces):
            return recorded == ours
        pattern = "".join(self._expected(text) if is_id else re.escape(text) for text, is_id in pieces)
        found = re.fullmatch(pattern, ours, re.DOTALL)
        if found is None:
            return False
        ids = [text for text, is_id in pieces if is_id]
        return all(self.bind(text, mine) for text, mine in zip(ids, found.groups(), strict=True))

    def _expected(self, recorded: str) -> str:
        known = self._ours.get(recorded)
        if known is not None:
            return f"({re.escape(known)})"
        prefix = re.match(rf"(?:{_PREFIXES})[-_]", recorded)
        # An unknown id may be any of ours, but of the same kind.
        return _ID if prefix is None else f"({re.escape(prefix[0])}[A-Za-z0-9_-]+)"


def _pieces(pattern: re.Pattern[str], text: str) -> Iterator[tuple[str, bool]]:
    """The text cut at its ids: (piece, whether it is an id)."""
    at = 0
    for found in pattern.finditer(text):
        yield text[at : found.start()], False
        yield found[0], True
        at = found.end()
    yield text[at:], False


def _vocabulary(recording: Recording) -> Iterator[str]:
    """Every text that is used as an id somewhere, however it looks."""
    for exchange in recording.exchanges:
        yield from _in_path(exchange.segments)
        for value in (exchange.asked, *exchange.answers()):
            yield from _in_value(value)
        for name in ("after", "before", "run_id"):
            found = exchange.parameter(name)
            if found:
                yield found


def _in_path(segments: tuple[str, ...]) -> Iterator[str]:
    for before, segment in zip(segments, segments[1:], strict=False):
        if before in _COLLECTIONS and segment not in _VERBS | _COLLECTIONS:
            yield segment


def _in_value(value: Json) -> Iterator[str]:
    said = as_object(value)
    if said.get("object") == "model":
        return  # a model's id is a name
    for key, item in said.items():
        names_id = key == "id" or key.endswith("_id")
        if isinstance(item, str) and item and names_id:
            yield item
        if key.endswith("_ids"):
            yield from (one for one in as_list(item) if isinstance(one, str))
        if key not in _FREE:
            yield from _in_value(item)
    for item in as_list(value):
        yield from _in_value(item)
