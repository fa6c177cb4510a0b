"""Recordings nobody made: one for each case the real ones lack, written after behaviour.md (sections in the names' docs)."""

from typing import Any

from tests.replay import service as s
from tests.replay.service import Book, Json, Scribe

written = Book()
"""Runs, messages, lists, refusals."""


def started(scribe: Scribe, text: str = "Hello!", **fields: Any) -> tuple[Json, Json]:
    """An assistant and a thread in which a user has spoken."""
    asked = {name: value for name, value in fields.items() if name != "tools"}
    if "tools" in fields:
        asked["tools"] = [one[0] for one in fields["tools"]]
        fields = fields | {"tools": [one[1] for one in fields["tools"]]}
    by = scribe.makes(s.assistant("1", **fields), asked)
    of = scribe.makes(s.thread("1", 1))
    scribe.tells(s.message("1", of, text, 2))
    return by, of


def event_run(shown: Json) -> Json:
    return shown | {"tool_resources": s.FILES}


def head(name: str, of: Json, by: Json) -> list[tuple[str, Json]]:
    """The first three events of a streamed run."""
    queued, going = s.run(name, of, by), s.run(name, of, by, "in_progress")
    return [
        ("thread.run.created", event_run(queued)),
        ("thread.run.queued", event_run(queued)),
        ("thread.run.in_progress", event_run(going)),
    ]


def open_step(name: str, of: Json, details: Json) -> Json:
    empty: Json = details | {"tool_calls": []} if details["type"] == "tool_calls" else details
    return s.step(name, of, empty, "in_progress", expires_at=s.NOW + 600)


def closed_step(name: str, of: Json, details: Json, status: str = "completed", **fields: Any) -> Json:
    return s.step(name, of, details, status, expires_at=s.NOW + 600, **fields)


def opening(name: str, of: Json, shown: Json) -> list[tuple[str, Json]]:
    """A message's four first events."""
    opened, empty = open_step(name, of, s.writing(shown)), s.told(shown, "in_progress", 0)
    return [
        ("thread.run.step.created", opened),
        ("thread.run.step.in_progress", opened),
        ("thread.message.created", empty),
        ("thread.message.in_progress", empty),
    ]


def saying(name: str, of: Json, shown: Json, *pieces: str) -> list[tuple[str, Json]]:
    """A whole message in pieces."""
    deltas = [s.text_delta(shown, piece, first=at == 0) for at, piece in enumerate(pieces)]
    return [
        *opening(name, of, shown),
        *deltas,
        ("thread.message.completed", s.told(shown, "completed", 3)),
        ("thread.run.step.completed", closed_step(name, of, s.writing(shown))),
    ]


def calling(name: str, of: Json, *calls: Json) -> list[tuple[str, Json]]:
    """A step of calls that waits for its outputs; arguments come in two pieces."""
    opened = open_step(name, of, s.calling(*calls))
    events: list[tuple[str, Json]] = [("thread.run.step.created", opened), ("thread.run.step.in_progress", opened)]
    for index, made in enumerate(calls):
        arguments = made["function"]["arguments"]
        events.append(s.call_opened(opened, index, made))
        events += [s.call_grown(opened, index, arguments[:3]), s.call_grown(opened, index, arguments[3:])]
    return events


@written
def two_threads_run_at_once(scribe: Scribe) -> None:
    """Two assistants, two threads, runs that overlap, polls between each other's."""
    one = scribe.makes(s.assistant("1", instructions="Be brief."), {"instructions": "Be brief."})
    two = scribe.makes(s.assistant("2", 1, name="Second"), {"name": "Second"})
    here, there = scribe.makes(s.thread("1", 2)), scribe.makes(s.thread("2", 3))
    asked, also = scribe.tells(s.message("1", here, "Hello!", 4)), scribe.tells(s.message("2", there, "Hello!", 5))
    scribe.starts(s.run("1", here, one, at=6))
    scribe.starts(s.run("2", there, two, at=7))
    scribe.polls(s.run("1", here, one, "in_progress", 6), s.run("2", there, two, "in_progress", 7))
    second = s.run("2", there, two, "completed", 7)
    scribe.polls(second)
    answer = s.message("4", there, "I am the second.", 9, second)
    scribe.says("GET", f"/threads/{there['id']}/messages", None, s.listing(answer, also))
    first = s.run("1", here, one, "completed", 6)
    scribe.polls(s.run("1", here, one, "in_progress", 6), first)
    answer = s.message("3", here, "I am the first.", 10, first)
    scribe.says("GET", f"/threads/{here['id']}/messages", None, s.listing(answer, asked))


@written
def a_conversation_goes_on(scribe: Scribe) -> None:
    """Three runs on one thread; the second is never polled, which the next message shows to be over."""
    by, of = started(scribe, "One?")
    shown: list[Json] = [s.message("1", of, "One?", 2)]
    for number, polled in (("1", True), ("2", False), ("3", True)):
        at = int(number) * 10
        scribe.starts(s.run(number, of, by, at=at))
        done = s.run(number, of, by, "completed", at)
        if polled:
            scribe.polls(done)
        shown.insert(0, s.message(f"a{number}", of, f"Answer {number}.", at + 2, done))
        if number != "3":
            shown.insert(0, scribe.tells(s.message(f"q{number}", of, f"And after {number}?", at + 5)))
    scribe.says("GET", f"/threads/{of['id']}/messages?limit=100", None, s.listing(*shown))
    ran = [s.run(number, of, by, "completed", int(number) * 10) for number in "321"]
    scribe.says("GET", f"/threads/{of['id']}/runs?limit=2", None, s.listing(*ran[:2], has_more=True))
    scribe.says("GET", f"/threads/{of['id']}/runs?limit=2&after={ran[1]['id']}", None, s.listing(ran[2]))
    changed = ran[0] | {"metadata": {"seen": "yes"}}
    scribe.says("POST", f"/threads/{of['id']}/runs/{ran[0]['id']}", {"metadata": {"seen": "yes"}}, changed)


@written
def two_calls_at_once_and_two_rounds(scribe: Scribe) -> None:
    """Parallel calls, outputs in another order, a second round of one call, then the steps (2.2)."""
    by, of = started(scribe, "Compare Rome and Oslo.", tools=[s.function("weather"), s.function("note")])
    scribe.starts(s.run("1", of, by, at=3))
    rome, oslo = s.call("rome", "weather", '{"of":"Rome"}'), s.call("oslo", "weather", '{"of":"Oslo"}')
    waiting = s.run("1", of, by, "requires_action", 3, required_action=s.required(rome, oslo))
    scribe.polls(s.run("1", of, by, "in_progress", 3), waiting, waiting)
    queued = s.run("1", of, by, "queued", 3, started_at=s.NOW + 4)
    scribe.submits(queued, {oslo["id"]: "cold", rome["id"]: "warm"})
    note = s.call("note", "note", '{"of": "Rome is warmer"}')
    again = s.run("1", of, by, "requires_action", 3, required_action=s.required(note), started_at=s.NOW + 10)
    scribe.polls(s.run("1", of, by, "in_progress", 3, started_at=s.NOW + 10), again)
    scribe.submits(queued | {"started_at": s.NOW + 10}, {note["id"]: "noted"})
    done = s.run("1", of, by, "completed", 3, started_at=s.NOW + 20)
    scribe.polls(s.run("1", of, by, "in_progress", 3, started_at=s.NOW + 20), done)
    answer = s.message("2", of, "Rome is warmer than Oslo.", 21, done)
    steps = [
        s.step("3", done, s.writing(answer), at=21),
        s.step("2", done, s.calling(note, outputs={note["id"]: "noted"}), at=11),
        s.step("1", done, s.calling(rome, oslo, outputs={rome["id"]: "warm", oslo["id"]: "cold"}), at=4),
    ]
    path = f"/threads/{of['id']}/runs/{done['id']}/steps"
    scribe.says("GET", path, None, s.listing(*steps))
    scribe.says("GET", f"{path}?order=asc&limit=1", None, s.listing(steps[2], has_more=True))
    scribe.says("GET", f"{path}/{steps[0]['id']}", None, steps[0])
    question = s.message("1", of, "Compare Rome and Oslo.", 2)
    scribe.says("GET", f"/threads/{of['id']}/messages", None, s.listing(answer, question))


@written
def a_stream_of_parallel_calls(scribe: Scribe) -> None:
    """Text ahead of two calls in one turn, then their outputs, all streamed (3.3)."""
    by, of = started(scribe, "Both, please.", tools=[s.function("weather")])
    going = s.run("1", of, by, "in_progress")
    said = s.message("2", of, "Let me look.", 3, going)
    rome, oslo = s.call("rome", "weather", '{"of":"Rome"}'), s.call("oslo", "weather", '{"of":"Oslo"}')
    waiting = s.run("1", of, by, "requires_action", required_action=s.required(rome, oslo))
    scribe.streams(
        f"/threads/{of['id']}/runs",
        {"assistant_id": by["id"]},
        *head("1", of, by),
        *saying("1", going, said, "Let", " me", " look."),
        *calling("2", going, rome, oslo),
        ("thread.run.requires_action", event_run(waiting)),
    )
    answer = s.message("3", of, "Rome: warm. Oslo: cold. ☀️", 9, going)
    outputs: dict[str, str | None] = {rome["id"]: "warm", oslo["id"]: "cold"}
    scribe.streams(
        f"/threads/{of['id']}/runs/{going['id']}/submit_tool_outputs",
        {"tool_outputs": [{"tool_call_id": one, "output": said} for one, said in outputs.items()]},
        ("thread.run.step.completed", closed_step("2", going, s.calling(rome, oslo, outputs=outputs))),
        ("thread.run.queued", event_run(s.run("1", of, by, "queued", started_at=s.NOW + 1))),
        ("thread.run.in_progress", event_run(going)),
        *saying("3", going, answer, "Rome:", " warm. Oslo:", " cold. ☀️"),
        ("thread.run.completed", event_run(s.run("1", of, by, "completed"))),
    )


@written
def a_run_is_cancelled_while_it_is_polled(scribe: Scribe) -> None:
    """Cancel answers cancelling; the run, its step and its message end cancelled (1.5). A second cancel is refused."""
    by, of = started(scribe, "Count to a million.")
    scribe.starts(s.run("1", of, by, at=3))
    scribe.polls(s.run("1", of, by, "in_progress", 3))
    path = f"/threads/{of['id']}/runs/{s.made_id('run', '1')}/cancel"
    scribe.says("POST", path, None, s.run("1", of, by, "cancelling", 3))
    gone = s.run("1", of, by, "cancelled", 3)
    scribe.polls(s.run("1", of, by, "cancelling", 3), gone)
    scribe.says("POST", path, None, s.error("Cannot cancel run with status 'cancelled'."), 400)
    scribe.tells(s.message("2", of, "Never mind.", 9))


@written
def a_streamed_run_is_cancelled(scribe: Scribe) -> None:
    """The cancel is recorded behind the stream it ends (3.3)."""
    by, of = started(scribe, "Count to a million.")
    going = s.run("1", of, by, "in_progress")
    said = s.message("2", of, "One, two,", 3, going)
    scribe.streams(
        f"/threads/{of['id']}/runs",
        {"assistant_id": by["id"]},
        *head("1", of, by),
        *opening("1", going, said),
        s.text_delta(said, "One,", first=True),
        s.text_delta(said, " two,"),
        ("thread.run.cancelling", event_run(s.run("1", of, by, "cancelling"))),
        ("thread.message.incomplete", s.told(said, "incomplete", 4, "run_cancelled")),
        ("thread.run.step.cancelled", closed_step("1", going, s.writing(said), "cancelled")),
        ("thread.run.cancelled", event_run(s.run("1", of, by, "cancelled"))),
    )
    path = f"/threads/{of['id']}/runs/{going['id']}/cancel"
    scribe.says("POST", path, None, s.run("1", of, by, "cancelling"))


@written
def a_required_action_expires(scribe: Scribe) -> None:
    """Nobody sends the outputs; then it is too late (1.2, 1.6)."""
    by, of = started(scribe, "Weather?", tools=[s.function("weather")])
    scribe.starts(s.run("1", of, by, at=3))
    rome = s.call("rome", "weather", '{"of":"Rome"}')
    scribe.polls(s.run("1", of, by, "requires_action", 3, required_action=s.required(rome)))
    late = s.run("1", of, by, "expired", 3)
    scribe.polls(late)
    path = f"/threads/{of['id']}/runs/{late['id']}/submit_tool_outputs"
    asked = {"tool_outputs": [{"tool_call_id": rome["id"], "output": "warm"}]}
    scribe.says("POST", path, asked, s.error('Runs in status "expired" do not accept tool outputs.'), 400)


@written
def a_run_fails_at_the_rate_limit(scribe: Scribe) -> None:
    """The text is the one of Chat Completions (1.7)."""
    by, of = started(scribe)
    scribe.starts(s.run("1", of, by, at=3))
    limit = "Rate limit reached for gpt-4o in organization org-1 on tokens per min (TPM): Limit 1, Used 1, Requested 9."
    broken = {"code": "rate_limit_exceeded", "message": limit}
    scribe.polls(s.run("1", of, by, "in_progress", 3), s.run("1", of, by, "failed", 3, last_error=broken))
    scribe.says("GET", f"/threads/{of['id']}/runs/{s.made_id('run', '1')}/steps", None, s.listing())


@written
def a_stream_fails_in_the_middle(scribe: Scribe) -> None:
    """Message incomplete, step failed, run failed (3.3)."""
    by, of = started(scribe)
    going = s.run("1", of, by, "in_progress")
    said = s.message("2", of, "Half a", 3, going)
    broken = {"code": "rate_limit_exceeded", "message": "Slow down."}
    scribe.streams(
        f"/threads/{of['id']}/runs",
        {"assistant_id": by["id"]},
        *head("1", of, by),
        *opening("1", going, said),
        s.text_delta(said, "Half", first=True),
        s.text_delta(said, " a"),
        ("thread.message.incomplete", s.told(said, "incomplete", 4, "run_failed")),
        ("thread.run.step.failed", closed_step("1", going, s.writing(said), "failed", last_error=broken)),
        ("thread.run.failed", event_run(s.run("1", of, by, "failed", last_error=broken))),
    )


@written
def a_run_runs_out_of_tokens(scribe: Scribe) -> None:
    """finish_reason length: message incomplete for max_tokens, step completed, run incomplete (1.7)."""
    by, of = started(scribe)
    limits: Json = {"max_completion_tokens": 300, "incomplete_details": None}
    going = s.run("1", of, by, "in_progress", **limits)
    said = s.message("2", of, "A long", 3, going)
    why: Json = limits | {"incomplete_details": {"reason": "max_completion_tokens"}}
    queued = s.run("1", of, by, **limits)
    scribe.streams(
        f"/threads/{of['id']}/runs",
        {"assistant_id": by["id"], "max_completion_tokens": 300},
        ("thread.run.created", event_run(queued)),
        ("thread.run.queued", event_run(queued)),
        ("thread.run.in_progress", event_run(going)),
        *opening("1", going, said),
        s.text_delta(said, "A", first=True),
        s.text_delta(said, " long"),
        ("thread.message.incomplete", s.told(said, "incomplete", 4, "max_tokens")),
        ("thread.run.step.completed", closed_step("1", going, s.writing(said))),
        ("thread.run.incomplete", event_run(s.run("1", of, by, "incomplete", **why))),
    )


@written
def a_reader_leaves_early(scribe: Scribe) -> None:
    """The recorded client read a few events and closed; the run goes on without it."""
    by, of = started(scribe)
    going = s.run("1", of, by, "in_progress")
    said = s.message("2", of, "Hello there.", 3, going)
    events = [*head("1", of, by), *opening("1", going, said), s.text_delta(said, "Hello", first=True)]
    scribe.streams(f"/threads/{of['id']}/runs", {"assistant_id": by["id"]}, *events, done=False)
    done = s.run("1", of, by, "completed")
    scribe.polls(done)
    scribe.says("GET", f"/threads/{of['id']}/messages?run_id={done['id']}", None, s.listing(said))


@written
def steps_are_looked_at_while_a_run_goes_on(scribe: Scribe) -> None:
    """The step of a waiting call is in progress and has no usage; its expires_at is the run's (2.1)."""
    by, of = started(scribe, "Weather?", tools=[s.function("weather")])
    scribe.starts(s.run("1", of, by, at=3))
    path = f"/threads/{of['id']}/runs/{s.made_id('run', '1')}"
    rome = s.call("rome", "weather", '{"of":"Rome"}')
    waiting = s.run("1", of, by, "requires_action", 3, required_action=s.required(rome))
    scribe.polls(waiting)
    still = s.step("1", waiting, s.calling(rome), "in_progress", expires_at=s.NOW + 600)
    scribe.says("GET", f"{path}/steps", None, s.listing(still))
    scribe.says("GET", f"{path}/steps/{still['id']}", None, still)
    scribe.submits(s.run("1", of, by, "queued", 3, started_at=s.NOW + 4), {rome["id"]: "warm"})
    scribe.polls(s.run("1", of, by, "completed", 3))


@written
def refusals_of_a_busy_thread(scribe: Scribe) -> None:
    """The texts that clients match (1.4, 1.5, 1.6, 1.9)."""
    by, of = started(scribe, "Weather?", tools=[s.function("weather")])
    busy = scribe.starts(s.run("1", of, by, at=3))
    path = f"/threads/{of['id']}/runs/{busy['id']}"
    rome, oslo = s.call("rome", "weather", '{"of":"Rome"}'), s.call("oslo", "weather", '{"of":"Oslo"}')
    scribe.polls(s.run("1", of, by, "requires_action", 3, required_action=s.required(rome, oslo)))
    lock = f"Can't add messages to {of['id']} while a run {busy['id']} is active."
    scribe.says("POST", f"/threads/{of['id']}/messages", {"role": "user", "content": "Hm"}, s.error(lock), 400)
    lock = f"Thread {of['id']} already has an active run {busy['id']}."
    scribe.says("POST", f"/threads/{of['id']}/runs", {"assistant_id": by["id"]}, s.error(lock), 400)
    wrong = f"Expected tool outputs for call_ids ['{rome['id']}', '{oslo['id']}'], got ['{rome['id']}']"
    asked = {"tool_outputs": [{"tool_call_id": rome["id"], "output": "warm"}]}
    scribe.says("POST", f"{path}/submit_tool_outputs", asked, s.error(wrong), 400)
    locked = s.error("Cannot update run with status 'requires_action'.")
    scribe.says("POST", path, {"metadata": {"a": "b"}}, locked, 400)
    scribe.submits(s.run("1", of, by, "queued", 3, started_at=s.NOW + 4), {rome["id"]: "warm", oslo["id"]: "cold"})
    done = s.run("1", of, by, "completed", 3)
    scribe.polls(done)
    scribe.says("POST", f"{path}/cancel", None, s.error("Cannot cancel run with status 'completed'."), 400)
    ended = s.error('Runs in status "completed" do not accept tool outputs.')
    scribe.says("POST", f"{path}/submit_tool_outputs", asked, ended, 400)


@written
def wrong_ids_and_wrong_bodies(scribe: Scribe) -> None:
    """Errors of 8.3; an id nobody made stays as it is."""
    by = scribe.makes(s.assistant("1"))
    of = scribe.makes(s.thread("1", 1))
    for path, kind, name in (
        ("/threads/{}", "thread", "thread"),
        ("/assistants/{}", "assistant", "asst"),
        ("/threads/" + of["id"] + "/runs/{}", "run", "run"),
        ("/threads/" + of["id"] + "/messages/{}", "message", "msg"),
    ):
        nobody = s.made_id(name, "nobody")
        scribe.says("GET", path.format(nobody), None, s.error(f"No {kind} found with id '{nobody}'."), 404)
    text = "Run creation requires a Thread with a user message or an assistant with instructions."
    asked = {"assistant_id": by["id"]}
    scribe.says("POST", f"/threads/{of['id']}/runs", asked, s.error(text, code="invalid_thread"), 400)
    text = "Invalid value: 'human'. Supported values are: 'user' and 'assistant'."
    asked = {"role": "human", "content": "Hi"}
    scribe.says("POST", f"/threads/{of['id']}/messages", asked, s.error(text, "role", "invalid_value"), 400)
    text = "Missing required parameter: 'assistant_id'."
    missing = s.error(text, "assistant_id", "missing_required_parameter")
    scribe.says("POST", f"/threads/{of['id']}/runs", {}, missing, 400)
    text = "Invalid type for 'metadata.modified': expected a string, but got a boolean instead."
    wrong = s.error(text, "metadata.modified", "invalid_type")
    scribe.says("POST", f"/threads/{of['id']}", {"metadata": {"modified": True}}, wrong, 400)
    text = "Invalid 'thread_id': 'undefined'. Expected an ID that begins with 'thread'."
    scribe.says("GET", "/threads/undefined", None, s.error(text, "thread_id", "invalid_value"), 400)


@written
def a_key_is_refused(scribe: Scribe) -> None:
    """The request's headers are not recorded; the refusal tells what they were (8.3)."""
    text = (
        "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth "
        "(i.e. Authorization: Bearer YOUR_KEY), or as the password field (with blank username) if you're accessing the "
        "API from your browser and are prompted for a username and password. You can obtain an API key from "
        "https://platform.openai.com/account/api-keys."
    )
    scribe.says("GET", "/assistants", None, s.error(text), 401)
    text = (
        "Incorrect API key provided: not-a-re****ized. You can find your API key at "
        "https://platform.openai.com/account/api-keys."
    )
    scribe.says("GET", "/assistants", None, s.error(text, code="invalid_api_key"), 401)


@written
def pages_of_an_account_in_use(scribe: Scribe) -> None:
    """Lists with cursors both ways, among assistants that were there before (8.4)."""
    old = [s.assistant(f"old{number}", -1000 - number, name=f"Old {number}") for number in range(3)]
    mine: list[Json] = []
    for number in range(3):
        name = f"Mine {number}"
        mine.insert(0, scribe.makes(s.assistant(f"mine{number}", number, name=name), {"name": name}))
    every = [*mine, *old]
    scribe.says("GET", "/assistants?limit=4&order=desc", None, s.listing(*every[:4], has_more=True))
    after = every[3]["id"]
    scribe.says("GET", f"/assistants?limit=4&order=desc&after={after}", None, s.listing(*every[4:6]))
    scribe.says("GET", f"/assistants?limit=2&order=asc&after={mine[2]['id']}", None, s.listing(mine[1], mine[0]))
    scribe.says("GET", f"/assistants?before={after}&limit=100", None, s.listing(*mine))
    scribe.says("GET", f"/assistants/{old[2]['id']}", None, old[2])
    for one in mine:
        scribe.says("DELETE", f"/assistants/{one['id']}", None, s.deleted(one))
    gone = s.error(f"No assistant found with id '{mine[0]['id']}'.")
    scribe.says("GET", f"/assistants/{mine[0]['id']}", None, gone, 404)
    scribe.says("GET", "/assistants", None, s.listing(*old))


@written
def a_page_with_more_behind_it(scribe: Scribe) -> None:
    """The recorded account had more assistants than anybody looked at."""
    one = scribe.makes(s.assistant("1"))
    scribe.says("GET", "/assistants?limit=1", None, s.listing(one, has_more=True))


@written
def messages_of_both_roles_and_an_image(scribe: Scribe) -> None:
    """First messages, an image by URL, roles, order within a second, before and after (4)."""
    url = "https://test.example.com/image.png"
    parts = [{"type": "text", "text": "Look:"}, {"type": "image_url", "image_url": {"url": url}}]
    first = [{"role": "user", "content": parts}, {"role": "assistant", "content": "I see."}]
    of = s.thread("1", metadata={"kind": "test"})
    scribe.says("POST", "/threads", {"messages": first, "metadata": {"kind": "test"}}, of)
    shown = [s.text_part("Look:"), {"type": "image_url", "image_url": {"url": url, "detail": "auto"}}]
    look = s.message("1", of, "", content=shown)
    see = s.message("2", of, "I see.", role="assistant")
    path = f"/threads/{of['id']}/messages"
    scribe.says("GET", f"{path}?order=asc", None, s.listing(look, see))
    more = scribe.tells(s.message("3", of, "你好", 1))
    also = scribe.tells(s.message("4", of, "And you?", 1, role="assistant"))
    scribe.says("GET", path, None, s.listing(also, more, see, look))
    scribe.says("GET", f"{path}?before={see['id']}", None, s.listing(also, more))
    scribe.says("GET", f"{path}?after={look['id']}", None, s.listing())
    scribe.says("DELETE", f"{path}/{see['id']}", None, s.deleted(see))
    gone = s.error(f"No message found with id '{see['id']}'.")
    scribe.says("GET", f"{path}/{see['id']}", None, gone, 404)
    scribe.says("DELETE", f"/threads/{of['id']}", None, s.deleted(of))
    scribe.says("GET", f"/threads/{of['id']}", None, s.error(f"No thread found with id '{of['id']}'."), 404)


@written
def options_of_a_run(scribe: Scribe) -> None:
    """What is asked for is echoed as it was asked (1.8)."""
    by, of = started(scribe, "Weather?", tools=[s.function("weather")], instructions="Be brief.")
    options: Json = {
        "model": "gpt-4o-mini",
        "instructions": "Be long.",
        "temperature": 0.5,
        "top_p": 0.25,
        "metadata": {"a": "b"},
        "max_completion_tokens": 5000,
        "max_prompt_tokens": 50_000,
        "truncation_strategy": {"type": "last_messages", "last_messages": 3},
        "tool_choice": {"type": "function", "function": {"name": "weather"}},
        "parallel_tool_calls": False,
        "response_format": {"type": "text"},
    }
    scribe.starts(s.run("1", of, by, at=3, **options), **options)
    rome = s.call("rome", "weather", '{"of":"Rome"}')
    waiting = s.run("1", of, by, "requires_action", 3, **options, required_action=s.required(rome))
    scribe.polls(waiting)
    scribe.says("POST", f"/threads/{of['id']}/runs/{waiting['id']}/cancel", None, waiting | {"status": "cancelling"})


@written
def a_thread_that_was_there_before(scribe: Scribe) -> None:
    """Neither the thread nor the assistant was made by the recorded test."""
    of, by = s.thread("old", -100), s.assistant("old", -200, instructions="Be old.")
    said = s.message("old", of, "Old words.", -90)
    scribe.says("GET", f"/threads/{of['id']}/messages", None, s.listing(said))
    new = scribe.tells(s.message("new", of, "New words.", 1))
    scribe.starts(s.run("1", of, by, at=2))
    done = s.run("1", of, by, "completed", 2)
    scribe.polls(done)
    answer = s.message("a", of, "Done.", 4, done)
    scribe.says("GET", f"/threads/{of['id']}/messages", None, s.listing(answer, new, said))
