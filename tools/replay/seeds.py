"""Step 2c of a replay: objects a recording shows but never made. The account had them; our empty server is given them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from tools.replay.recording import Exchange, Json, JsonObject, Recording, as_list, as_number, as_object

_PATHS: Final = {
    "assistant": "/assistants",
    "thread": "/threads",
    "thread.message": "/threads/{thread_id}/messages",
    "file": "/files",
    "vector_store": "/vector_stores",
}
"""What can be made from what is shown of it, and where."""

_ASSISTANT = "model name description instructions tools metadata top_p temperature reasoning_effort response_format"
_FIELDS: Final = {
    "assistant": (*_ASSISTANT.split(), "tool_resources"),
    "thread": ("metadata", "tool_resources"),
    "thread.message": ("role", "content", "attachments", "metadata"),
    "vector_store": ("name", "metadata", "expires_after"),
    "file": ("purpose", "filename"),
}


@dataclass(frozen=True, slots=True)
class Seed:
    """An object to be made before exchange `before`; `id` is the recorded one, empty where a page only needs a next."""

    before: int
    age: tuple[float, int]
    kind: str
    id: str
    shown: JsonObject

    @property
    def path(self) -> str:
        """Where it is made, with recorded ids."""
        return _PATHS[self.kind].format(thread_id=self.shown.get("thread_id", ""))

    def body(self) -> JsonObject:
        """The request that makes it, with recorded ids."""
        asked = {name: self.shown[name] for name in _FIELDS[self.kind] if name in self.shown}
        if self.kind == "thread.message":
            asked["content"] = [_asked_part(as_object(part)) for part in as_list(self.shown.get("content"))]
        return as_object(_without_nulls(asked))


def _asked_part(part: JsonObject) -> JsonObject:
    """A content part as it is sent: text is a plain string there."""
    text = as_object(part.get("text")).get("value")
    return {"type": "text", "text": text} if isinstance(text, str) else part


def _without_nulls(value: Json) -> Json:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in as_object(value).items() if item is not None}
    return [_without_nulls(item) for item in as_list(value)] if isinstance(value, list) else value


def seeds_of(recording: Recording) -> list[Seed]:
    """Everything to be made, in the order of making."""
    made = _made(recording)
    seeds: dict[str, Seed] = {}
    for exchange in recording.exchanges:
        for place, shown in enumerate(_shown(exchange)):
            object_id = str(shown.get("id"))
            if object_id in made or object_id in seeds or not _can_be_made(shown):
                continue
            before = _before(shown, exchange, made)
            # A list shows the newest first: further down is older.
            seeds[object_id] = Seed(before, (_born(shown), -place), str(shown["object"]), object_id, shown)
    found = [*seeds.values(), *_named_stores(seeds, made), *_next_pages(recording)]
    return sorted(found, key=lambda seed: (seed.before, seed.age))


def _named_stores(seeds: Mapping[str, Seed], made: Mapping[str, object]) -> Iterator[Seed]:
    """Stores that nothing tells more of than that an assistant or a thread has them: these are there before it."""
    named: set[str] = set()
    for seed in seeds.values():
        search = as_object(as_object(seed.shown.get("tool_resources")).get("file_search"))
        for store_id in map(str, as_list(search.get("vector_store_ids"))):
            if store_id not in made and store_id not in seeds and store_id not in named:
                named.add(store_id)
                born = seed.age[0] - 1
                yield Seed(seed.before, (born, seed.age[1]), "vector_store", store_id, {"object": "vector_store"})


def _born(shown: JsonObject) -> float:
    return as_number(shown.get("created_at")) or 0.0


def _can_be_made(shown: JsonObject) -> bool:
    return str(shown.get("object")) in _PATHS and not shown.get("run_id")


def _shown(exchange: Exchange) -> list[JsonObject]:
    """The objects an exchange shows or leans on, newest first."""
    if not exchange.succeeded:
        return []
    if exchange.method != "GET":
        return list(_leant_on(exchange))
    said = as_object(exchange.body)
    if said.get("object") != "list":
        return [said, *_leant_on(exchange)]
    data = [as_object(one) for one in as_list(said.get("data"))]
    return [*(data[::-1] if exchange.parameter("order") == "asc" else data), *_leant_on(exchange)]


def _leant_on(exchange: Exchange) -> Iterator[JsonObject]:
    """The thread in the path and the run's assistant, as far as the answer tells what they are like."""
    match exchange.segments:
        case ("threads", thread_id, _, *_):
            yield {"object": "thread", "id": thread_id}
        case _:
            pass
    for answer in exchange.answers():
        run = as_object(answer)
        if run.get("object") == "thread.run":
            told = {name: run[name] for name in ("model", "instructions", "tools") if name in run}
            yield {"object": "assistant", "id": run.get("assistant_id"), **told}


def _made(recording: Recording) -> dict[str, tuple[int, JsonObject]]:
    """What the recording itself makes: by POSTs, runs, and threads with their first messages."""
    made: dict[str, tuple[int, JsonObject]] = {}
    for exchange in recording.exchanges:
        if exchange.method != "POST" or not exchange.succeeded:
            continue
        for answer in exchange.answers():
            said = as_object(answer)
            for name in ("id", "thread_id"):
                if isinstance(said.get(name), str) and said[name] not in exchange.segments:
                    made.setdefault(said[name], (exchange.number, said))
        _note_first_messages(recording, exchange, made)
    return made


def _note_first_messages(recording: Recording, exchange: Exchange, made: dict[str, tuple[int, JsonObject]]) -> None:
    """Messages that came with their thread or run are first seen in a list; they are nobody's seeds."""
    asked = as_object(exchange.asked)
    came_along = as_list(asked.get("messages")) or as_list(asked.get("additional_messages"))
    came_along = came_along or as_list(as_object(asked.get("thread")).get("messages"))
    if not came_along:
        return
    threads = {str(as_object(answer).get("thread_id") or as_object(answer).get("id")) for answer in exchange.answers()}
    for later in recording.exchanges[exchange.number :]:
        for shown in _shown(later):
            if shown.get("object") == "thread.message" and str(shown.get("thread_id")) in threads:
                made.setdefault(str(shown.get("id")), (exchange.number, shown))


def _before(shown: JsonObject, exchange: Exchange, made: Mapping[str, tuple[int, JsonObject]]) -> int:
    """Ahead of everything of its kind that is younger, and of the exchange that shows it."""
    listed = [str(one.get("id")) for one in _shown(exchange)]
    above = set(listed[: listed.index(str(shown.get("id")))])
    kind = shown.get("object")
    younger = [
        number
        for object_id, (number, body) in made.items()
        if object_id in above or (body.get("object") == kind and _born(body) > _born(shown))
    ]
    return min([exchange.number, *younger])


def _next_pages(recording: Recording) -> Iterator[Seed]:
    """A page that says there is more, of which nothing is shown: one older object makes it true."""
    for exchange in recording.exchanges:
        page = as_object(exchange.body)
        data = as_list(page.get("data"))
        if page.get("object") != "list" or page.get("has_more") is not True or not data:
            continue
        last = as_object(data[-1])
        is_asc = exchange.parameter("order") == "asc"
        if not _can_be_made(last) or (not is_asc and _shows_older(recording, last)):
            continue
        age = (-1.0, 0) if not is_asc else (float("inf"), 0)
        yield Seed(0 if not is_asc else exchange.number, age, str(last["object"]), "", last)
        return


def _shows_older(recording: Recording, last: JsonObject) -> bool:
    """Whether something of that kind stands behind `last` in any list."""
    for exchange in recording.exchanges:
        ids = [one.get("id") for one in _shown(exchange)]
        if last.get("id") in ids and ids.index(last.get("id")) < len(ids) - 1:
            return True
        page = as_object(exchange.body)
        follows = exchange.parameter("after") == last.get("id") and as_list(page.get("data"))
        if follows and exchange.parameter("order") != "asc":
            return True
    return False
