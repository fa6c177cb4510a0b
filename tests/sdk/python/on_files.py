"""Checks of files: what is uploaded in every way a client has, listed, read back, shown to a thread."""

import base64
import inspect
import io
import tempfile
from pathlib import Path
from typing import Any

from tests.sdk.python.colour import each, got, opened, raised
from tests.sdk.python.subject import Seen, Subject

NOTES = b"one\r\ntwo \xe2\x80\xa8 three\n"
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
PURPOSES = ("fine-tune", "assistants", "batch", "user_data", "vision", "evals")


async def files_from_anything(on: Subject) -> Seen:
    """Uploads from bytes, a path, an open file, a pair of name and bytes, the same with a type: as they were."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "notes.txt"
        path.write_bytes(NOTES)
        with path.open("rb") as stream:
            ways: dict[str, Any] = {
                "a path": path,
                "a stream": stream,
                "named": ("Übersicht 世界.txt", NOTES),
                "typed": ("plan.md", NOTES, "text/markdown"),
                "in memory": ("memory.txt", io.BytesIO(NOTES)),
                "without a name": NOTES,
            }
            made = {way: await got(on.files.create(file=file, purpose="user_data")) for way, file in ways.items()}
    contents = [await _content(on, one.id) for one in made.values()]
    return {way: one.filename for way, one in made.items()} | {
        "same bytes": contents == [NOTES] * len(made),
        "sizes": sorted({one.bytes for one in made.values()}),
    }


async def files(on: Subject) -> Seen:
    """A file is made, retrieved, deleted; every purpose."""
    made = await got(on.files.create(file=("a.txt", NOTES), purpose="user_data"))
    found = await got(on.files.retrieve(made.id))
    gone = await got(on.files.delete(made.id))
    purposes = [(await got(on.files.create(file=("b", b"b"), purpose=purpose))).purpose for purpose in PURPOSES]
    return {
        "made": [made.object, made.filename, made.bytes, made.purpose, made.status],
        "found": found == made,
        "gone": [gone.deleted, gone.object, gone.id == made.id],
        "after": await raised(lambda: on.files.retrieve(made.id)),
        "again": await raised(lambda: on.files.delete(made.id)),
        "purposes": purposes,
    }


async def files_that_expire(on: Subject) -> Seen:
    """`expires_after` in an upload, where old SDKs know no such parameter too."""
    after = {"anchor": "created_at", "seconds": 3600}
    made = await got(on.files.create(file=("a", b"a"), purpose="batch", **_expiring(on, after)))
    soon = _expiring(on, after | {"seconds": 3599})
    return {
        "lives": made.to_dict()["expires_at"] - made.created_at,
        "too soon": await raised(lambda: on.files.create(file=("a", b"a"), purpose="batch", **soon)),
    }


def _expiring(on: Subject, after: Seen) -> Seen:
    known = "expires_after" in inspect.signature(on.files.create).parameters
    return {"expires_after": after} if known else {"extra_body": {"expires_after": after}}


async def files_page_by_themselves(on: Subject) -> Seen:
    """Auto-paging of files, page by page, both orders, by purpose. On a server of its own."""
    server = await on.call("/servers")
    mine = on.connect(server["url"], "any").files
    for number in range(5):
        purpose: Any = "batch" if number % 2 else "user_data"
        await got(mine.create(file=(f"{number}.txt", b"x"), purpose=purpose))
    pages: list[int] = []
    page = await got(mine.list(limit=2))
    while True:
        pages.append(len(page.data))
        if not page.has_next_page():
            break
        page = await got(page.get_next_page())
    down = [file.filename async for file in each(mine.list(limit=2))]
    up = [file.filename async for file in each(mine.list(limit=3, order="asc"))]
    return {
        "pages": [size for size in pages if size],
        "newest first": down,
        "turned": up == down[::-1],
        "by purpose": [file.filename async for file in each(mine.list(purpose="batch"))],
        "bad limit": await raised(lambda: mine.list(limit=10_001)),
        "bad cursor": (await raised(lambda: mine.list(after="file-none")))[:2],
    }


async def file_contents(on: Subject) -> Seen:
    """Contents as bytes, as text, in pieces, to disk; what is not given back."""
    sent = bytes(range(256)) * 4000
    made = await got(on.files.create(file=("big.bin", sent), purpose="user_data"))
    words = await got(on.files.create(file=("a.json", '{"a": "é"}'.encode()), purpose="user_data"))
    kept = await got(on.files.create(file=("a.txt", NOTES), purpose="assistants"))
    whole = await got(on.files.content(made.id))
    async with opened(on.files.with_streaming_response.content(made.id)) as answer:
        pieces = [piece async for piece in each(answer.iter_bytes(8192))]
    return {
        "whole": whole.read() == sent,
        "length": whole.response.headers["content-length"],
        "type": whole.response.headers["content-type"],
        "in pieces": b"".join(pieces) == sent,
        "to disk": await _on_disk(on, made.id) == sent,
        "text": (await got(on.files.content(words.id))).text,
        "of assistants": await raised(lambda: on.files.content(kept.id)),
        "missing": await raised(lambda: on.files.content("file-none")),
    }


async def _on_disk(on: Subject, file_id: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "copy"
        async with opened(on.files.with_streaming_response.content(file_id)) as answer:
            await got(answer.stream_to_file(path))
        return path.read_bytes()


async def wait_for_processing(on: Subject) -> Seen:
    """`wait_for_processing` comes back at once."""
    made = await got(on.files.create(file=("a.txt", NOTES), purpose="assistants"))
    ready = await got(on.files.wait_for_processing(made.id, poll_interval=0.01))
    return {"status": ready.status, "same": ready.id == made.id}


async def uploads_refused(on: Subject) -> Seen:
    """Uploads with a purpose or a parameter nobody knows."""
    nobody: Any = "world_domination"
    more = {"colour": "red"}
    return {
        "purpose": await raised(lambda: on.files.create(file=("a", b"a"), purpose=nobody)),
        "parameter": await raised(lambda: on.files.create(file=("a", b"a"), purpose="batch", extra_body=more)),
        "no such file": await raised(lambda: on.files.retrieve("file-none")),
    }


async def messages_with_files(on: Subject) -> Seen:
    """Attachments and `image_file` parts: shown as sent, kept for the thread, refused where wrong, gone with the file."""
    notes = (await got(on.files.create(file=("notes.txt", NOTES), purpose="assistants"))).id
    picture = (await got(on.files.create(file=("pixel.png", PIXEL), purpose="vision"))).id
    attached = [{"file_id": notes, "tools": [{"type": "code_interpreter"}]}]
    parts = [{"type": "text", "text": "say: seen"}, _image(picture, detail="low")]
    message: Any = {"role": "user", "content": parts, "attachments": attached}
    at = (await got(on.threads.create(messages=[message]))).id
    say = on.threads.messages.create
    plain = await got(say(at, role="assistant", content=[_image(picture)]))
    first = (await got(on.threads.messages.list(at, order="asc", limit=1))).data[0]
    run = await got(on.runs.create_and_poll(thread_id=at, assistant_id=on.assistant, additional_messages=[message]))
    held = await _held(on, at)
    await got(on.files.delete(notes))
    return {
        "parts": [part.type for part in first.content],
        "detail": [first.content[1].image_file.detail, plain.content[0].image_file.detail],
        "attachments": first.to_dict(mode="json")["attachments"] == attached,
        "held for the thread": held == [notes],
        "answer": [run.status, (await got(on.threads.messages.list(at, limit=1))).data[0].content[0].text.value],
        "held when the file is gone": await _held(on, at),
        "no such file": await raised(lambda: say(at, role="user", content="x", attachments=attached)),
        "no such picture": await raised(lambda: say(at, role="user", content=[_image("file-none")])),
        "no picture": await raised(lambda: _showing_text(on, at)),
    }


def _image(file_id: str, **more: str) -> Any:
    return {"type": "image_file", "image_file": {"file_id": file_id, **more}}


async def _showing_text(on: Subject, at: str) -> Any:
    text = (await got(on.files.create(file=("a.txt", NOTES), purpose="vision"))).id
    return await got(on.threads.messages.create(at, role="user", content=[_image(text)]))


async def _held(on: Subject, at: str) -> Any:
    return (await got(on.threads.retrieve(at))).tool_resources.code_interpreter.file_ids


async def assistants_with_files(on: Subject) -> Seen:
    """Files given to an assistant and to a thread for their code interpreters."""
    one = (await got(on.files.create(file=("a.csv", b"a,b"), purpose="assistants"))).id
    tools: Any = [{"type": "code_interpreter"}]
    made = await got(on.assistants.create(model="rehearsal", tools=tools, tool_resources=_code(one)))
    changed = await got(on.assistants.update(made.id, tool_resources=_code()))
    thread = await got(on.threads.create(tool_resources=_code(one)))
    return {
        "made": made.tool_resources.code_interpreter.file_ids == [one],
        "changed": changed.tool_resources.code_interpreter.file_ids,
        "thread": thread.tool_resources.code_interpreter.file_ids == [one],
        "missing": await raised(lambda: on.threads.create(tool_resources=_code("file-none"))),
    }


def _code(*file_ids: str) -> Any:
    return {"code_interpreter": {"file_ids": list(file_ids)}}


async def _content(on: Subject, file_id: str) -> bytes:
    return (await got(on.files.content(file_id))).read()


CHECKS = (
    files_from_anything,
    files,
    files_that_expire,
    files_page_by_themselves,
    file_contents,
    wait_for_processing,
    uploads_refused,
    messages_with_files,
    assistants_with_files,
)
