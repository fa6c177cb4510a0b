"""More recordings nobody made: files, stores, uploads, runs with the service's own tools, and a service that was down."""

from tests.replay import service as s
from tests.replay.service import Book, Json, Scribe
from tests.replay.written_by_hand import head, opening, saying, started

written = Book()
"""Files and what uses them."""

NO_SUCH_FILE = "No such File object: {}"


def file(name: str, at: int = 0, size: int = 5, **fields: object) -> Json:
    """behaviour.md 7.1."""
    shown: Json = {
        "object": "file",
        "id": f"file-{name:0<22}",
        "purpose": "user_data",
        "filename": f"{name}.txt",
        "bytes": size,
        "created_at": s.NOW + at,
        "expires_at": None,
        "status": "processed",
        "status_details": None,
    }
    return shown | fields


def store(name: str, at: int = 0, **fields: object) -> Json:
    """behaviour.md 7.2: an empty one."""
    shown: Json = {
        "id": f"vs_{name:0<32}",
        "object": "vector_store",
        "created_at": s.NOW + at,
        "name": name,
        "description": None,
        "usage_bytes": 0,
        "file_counts": {"in_progress": 0, "completed": 0, "failed": 0, "cancelled": 0, "total": 0},
        "status": "completed",
        "expires_after": None,
        "expires_at": None,
        "last_active_at": s.NOW + at,
        "metadata": {},
    }
    return shown | fields


def no_such_file(name: str) -> Json:
    text = NO_SUCH_FILE.format(name)
    return s.error(text, "id") | {"detail": {"message": text, "code": None}}


@written
def files_live_and_die(scribe: Scribe) -> None:
    """Uploads, a list among older ones, a download, a deletion, what is refused (7.1)."""
    old = file("old", -500, 70, purpose="vision", filename="old.png")
    words = "Two lines,\nof which one is 你好.\n"
    one = file("one", 1, len(words.encode()), filename="你好.txt")
    two = file("two", 2, 18, filename="text/csv", purpose="assistants")
    late = file("late", 3, expires_at=s.NOW + 3 + 7200)
    for made in (one, two, late):
        scribe.says("POST", "/files", None, made)
    ends = {"has_more": False, "first_id": late["id"], "last_id": old["id"]}
    scribe.says("GET", "/files", None, {"object": "list", "data": [late, two, one, old]} | ends)
    scribe.says("GET", f"/files/{one['id']}", None, one)
    scribe.says("GET", f"/files/{one['id']}/content", None, words)
    scribe.says("DELETE", f"/files/{one['id']}", None, {"object": "file", "deleted": True, "id": one["id"]})
    scribe.says("GET", f"/files/{one['id']}", None, no_such_file(one["id"]), 404)
    names = "['fine-tune', 'assistants', 'batch', 'user_data', 'vision', 'evals']"
    text = f"'world_domination' is not one of {names} - 'purpose'"
    refused = s.error(text, "purpose") | {"detail": {"message": text, "code": None}}
    scribe.says("POST", "/files", None, refused, 400)


@written
def an_upload_is_recorded_with_its_form(scribe: Scribe) -> None:
    """Some recorders keep the form as text."""
    form = '--b1\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nuser_data\r\n--b1\r\n'
    form += 'Content-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\nhello\r\n--b1--\r\n'
    made = file("a")
    scribe.says("POST", "/files", form, made)
    scribe.says("GET", f"/files/{made['id']}/content", None, "hello")


@written
def a_job_of_fine_tuning(scribe: Scribe) -> None:
    """Not a part of the Assistants API."""
    made: Json = {"id": "ftjob-1", "object": "fine_tuning.job", "created_at": s.NOW, "status": "queued"}
    scribe.says("POST", "/fine_tuning/jobs", {"model": "gpt-4o", "training_file": "file-1"}, made)
    scribe.says("GET", "/fine_tuning/jobs/ftjob-1", None, made)


@written
def a_vector_store_is_made_and_deleted(scribe: Scribe) -> None:
    """Its routes (7.2)."""
    made = store("mine")
    scribe.says("POST", "/vector_stores", {"name": "mine"}, made)
    scribe.says("GET", f"/vector_stores/{made['id']}", None, made)
    gone: Json = {"id": made["id"], "object": "vector_store.deleted", "deleted": True}
    scribe.says("DELETE", f"/vector_stores/{made['id']}", None, gone)


@written
def the_service_was_down(scribe: Scribe) -> None:
    """429 and 500 say nothing about the API, and what was asked was not done: the client asked again."""
    by = scribe.makes(s.assistant("1"))
    path, asked = f"/assistants/{by['id']}", {"name": "New"}
    limit = "Rate limit reached for requests"
    scribe.says("POST", path, asked, s.error(limit, code="rate_limit_exceeded"), 429)
    scribe.says("POST", path, asked, s.error("The server had an error processing your request."), 500)
    scribe.says("GET", path, None, by)
    scribe.says("POST", path, asked, by | asked)


def calculated(of: Json, name: str, code: str) -> tuple[Json, Json]:
    """A code_interpreter call and its step's details."""
    made = {"id": s.made_id("call", name), "type": "code_interpreter"}
    whole: Json = made | {"code_interpreter": {"input": code, "outputs": []}}
    return whole, {"type": "tool_calls", "tool_calls": [whole]}


@written
def code_is_run_between_two_messages(scribe: Scribe) -> None:
    """Polled, steps looked at behind the end: the code is known whole (2.2)."""
    tools = {"type": "code_interpreter"}
    by, of = started(scribe, "What is 6 * 7?", tools=[(tools, tools)], tool_resources=s.FILES)
    scribe.starts(s.run("1", of, by, at=3))
    done = s.run("1", of, by, "completed", 3)
    scribe.polls(s.run("1", of, by, "in_progress", 3), done)
    answer = s.message("2", of, "It is 42.", 6, done)
    _, details = calculated(done, "six", "answer = 6 * 7\nanswer")
    steps = [s.step("2", done, s.writing(answer), at=6), s.step("1", done, details, at=4)]
    scribe.says("GET", f"/threads/{of['id']}/runs/{done['id']}/steps", None, s.listing(*steps))
    scribe.says("GET", f"/threads/{of['id']}/messages?run_id={done['id']}", None, s.listing(answer))


@written
def code_is_streamed_as_it_is_written(scribe: Scribe) -> None:
    """Deltas of the code, then the answer."""
    tools = {"type": "code_interpreter"}
    by, of = started(scribe, "What is 6 * 7?", tools=[(tools, tools)], tool_resources=s.FILES)
    going = s.run("1", of, by, "in_progress")
    call, details = calculated(going, "six", "print('6 * 7 =', 6 * 7)")
    opened = s.step("1", going, {"type": "tool_calls", "tool_calls": []}, "in_progress", expires_at=s.NOW + 600)
    first: Json = {"id": call["id"], "type": "code_interpreter", "code_interpreter": {"input": "", "outputs": []}}
    pieces: list[Json] = [
        {"type": "code_interpreter", "code_interpreter": {"input": text}} for text in ("print('6 * 7", " =', 6 * 7)")
    ]
    answer = s.message("2", of, "It is 42.", 5, going)
    scribe.streams(
        f"/threads/{of['id']}/runs",
        {"assistant_id": by["id"]},
        *head("1", of, by),
        ("thread.run.step.created", opened),
        ("thread.run.step.in_progress", opened),
        *(s.call_delta(opened, 0, **one) for one in (first, *pieces)),
        ("thread.run.step.completed", s.step("1", going, details, expires_at=s.NOW + 600)),
        *saying("2", going, answer, "It is", " 42."),
        ("thread.run.completed", s.run("1", of, by, "completed") | {"tool_resources": s.FILES}),
    )


@written
def a_file_is_searched(scribe: Scribe) -> None:
    """What was asked of the search is not recorded; without a store nothing is found (2.3)."""
    options = {"ranking_options": {"ranker": "default_2024_08_21", "score_threshold": 0.0, "hybrid_search": None}}
    kept = {"type": "file_search", "file_search": options}
    by, of = started(scribe, "What does Ada like?", tools=[({"type": "file_search"}, kept)])
    scribe.starts(s.run("1", of, by, at=3))
    done = s.run("1", of, by, "completed", 3)
    scribe.polls(done)
    answer = s.message("2", of, "Engines.", 6, done)
    ranking = {"ranker": "default_2024_08_21", "score_threshold": 0.0}
    found: Json = {"ranking_options": ranking, "results": []}
    call: Json = {"id": s.made_id("call", "ada"), "type": "file_search", "file_search": found}
    searched = {"type": "tool_calls", "tool_calls": [call]}
    steps = [s.step("2", done, s.writing(answer), at=6), s.step("1", done, searched, at=4)]
    scribe.says("GET", f"/threads/{of['id']}/runs/{done['id']}/steps", None, s.listing(*steps))


@written
def a_stream_is_left_before_its_first_delta(scribe: Scribe) -> None:
    """And the run is cancelled by somebody else, who then finds it cancelled."""
    by, of = started(scribe, "Count to a million.")
    going = s.run("1", of, by, "in_progress")
    said = s.message("2", of, "One,", 3, going)
    scribe.streams(
        f"/threads/{of['id']}/runs",
        {"assistant_id": by["id"]},
        *head("1", of, by),
        *opening("1", going, said),
        done=False,
    )
    path = f"/threads/{of['id']}/runs/{going['id']}"
    scribe.says("POST", f"{path}/cancel", None, s.run("1", of, by, "cancelling"))
    scribe.polls(s.run("1", of, by, "cancelling"), s.run("1", of, by, "cancelled"))
    again = s.error("Cannot cancel run with status 'cancelled'.")
    scribe.says("POST", f"{path}/cancel", None, again, 400)
