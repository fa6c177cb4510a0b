"""/v1/files over HTTP: what is sent is what comes back, and nothing is left of what was cut off."""

import asyncio
import io
import json
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest

from tests.support.serving import Live, Reply, serving
from tests.support.waiting import until

RED, BLUE = "key-of-project-red", "key-of-project-blue"

PURPOSE_TEXT = (
    "'world_domination' is not one of ['fine-tune', 'assistants', 'batch', 'user_data', 'vision', 'evals'] - 'purpose'"
)


def form_of(fields: Sequence[tuple[str, str]], file: tuple[str, bytes] | None, *, file_first: bool) -> bytes:
    """A form as the SDKs send it: names raw, in UTF-8."""
    parts = [f'Content-Disposition: form-data; name="{key}"\r\n\r\n{value}'.encode() for key, value in fields]
    if file is not None:
        name = file[0].replace("\\", "\\\\")
        head = f'Content-Disposition: form-data; name="file"; filename="{name}"\r\nContent-Type: text/plain\r\n\r\n'
        parts.insert(0 if file_first else len(parts), head.encode() + file[1])
    return b"".join(b"--b\r\n" + part + b"\r\n" for part in parts) + b"--b--\r\n"


async def upload(
    live: Live,
    content: bytes = b"hello",
    name: str | None = "a.txt",
    fields: Sequence[tuple[str, str]] = (("purpose", "user_data"),),
    *,
    file_first: bool = False,
) -> Reply:
    data = form_of(fields, None if name is None else (name, content), file_first=file_first)
    headers = live.api.headers | {"Content-Type": "multipart/form-data; boundary=b"}
    async with live.api.session.post(f"{live.url}/files", data=io.BytesIO(data), headers=headers) as got:
        body = await got.json()
        return Reply(got.status, body, dict(got.headers))


async def uploaded(live: Live, *args: Any, **more: Any) -> dict[str, Any]:
    reply = await upload(live, *args, **more)
    assert reply.status == 200, reply.body
    return reply.body


async def content_of(live: Live, file_id: str) -> tuple[int, bytes]:
    async with live.api.session.get(f"{live.url}/files/{file_id}/content", headers=live.api.headers) as got:
        return got.status, await got.read()


def blobs_in(directory: Path) -> list[Path]:
    return [path for path in (directory / "blobs").rglob("*") if path.is_file()]


@pytest.mark.parametrize("file_first", [True, False])
async def test_an_upload_comes_back_byte_for_byte_wherever_the_purpose_stands_in_the_form(
    live: Live, file_first: bool
) -> None:
    sent = bytes(range(256)) * 20_000
    made = await uploaded(live, sent, "你好.bin", file_first=file_first)
    assert list(made) == [
        "object", "id", "purpose", "filename", "bytes", "created_at", "expires_at", "status", "status_details",
    ]  # fmt: skip
    assert (made["filename"], made["bytes"], made["status"], made["expires_at"]) == (
        "你好.bin",
        len(sent),
        "processed",
        None,
    )
    assert made["id"].startswith("file-")
    assert await live.api.ok("GET", f"/files/{made['id']}") == made
    assert await content_of(live, made["id"]) == (200, sent)


async def test_a_file_whose_bytes_are_lost_is_told_as_an_error_not_as_a_torn_answer(live: Live, tmp_path: Path) -> None:
    made = await uploaded(live)
    for path in blobs_in(tmp_path):
        path.unlink()
    status, error = await live.api.refused("GET", f"/files/{made['id']}/content")
    assert (status, error["type"]) == (503, "server_error")
    assert "The content of this file is lost" in error["message"]


async def test_a_file_of_purpose_assistants_is_not_given_back(live: Live) -> None:
    made = await uploaded(live, fields=[("purpose", "assistants")])
    status, error = await live.api.refused("GET", f"/files/{made['id']}/content")
    assert (status, error["message"]) == (400, "Not allowed to download files of purpose: assistants")


@pytest.mark.parametrize(
    ("fields", "name", "message", "param"),
    [
        ("purpose=world_domination", "a", PURPOSE_TEXT, "purpose"),
        ("purpose=assistants_output", "a", PURPOSE_TEXT.replace("world_domination", "assistants_output"), "purpose"),
        ("purpose=vision&colour=red", "a", "Unknown parameter: 'colour'.", "colour"),
        ("purpose=vision", None, "Missing required parameter: 'file'.", "file"),
        ("", "a", "Missing required parameter: 'purpose'.", "purpose"),
        (
            "purpose=vision&expires_after[anchor]=created_at&expires_after[seconds]=3599",
            "a",
            "Invalid 'expires_after[seconds]': integer below minimum value. Expected a value >= 3600, but got 3599 instead.",
            "expires_after[seconds]",
        ),
        (
            "purpose=vision&expires_after[anchor]=now&expires_after[seconds]=3600",
            "a",
            "Invalid value: 'now'. Supported values are: 'created_at'.",
            "expires_after[anchor]",
        ),
    ],
)
async def test_a_form_with_a_fault_is_refused_and_leaves_no_bytes(
    live: Live, tmp_path: Path, *, fields: str, name: str | None, message: str, param: str
) -> None:
    reply = await upload(live, b"x", name, parse_qsl(fields))
    assert reply.status == 400
    assert (reply.body["error"]["message"], reply.body["error"]["param"]) == (message, param)
    assert not blobs_in(tmp_path)


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\temp\\a.csv", "a.csv"),
        ("..", "upload"),
        ("a\u0007b.txt", "ab.txt"),
        ("/etc/x", "x"),
        ("a/../x", "x"),
        ("a//x", "x"),
        ("a/.", "upload"),
    ],
)
async def test_a_name_that_tries_to_be_a_path_is_only_a_name(live: Live, sent: str, kept: str) -> None:
    assert (await uploaded(live, name=sent))["filename"] == kept


@pytest.mark.parametrize("name", ["text/csv", "src/a/main.py", "a..b/c"])
async def test_a_name_with_a_slash_is_kept_as_the_service_keeps_it(live: Live, name: str) -> None:
    assert (await uploaded(live, name=name))["filename"] == name


async def test_a_page_of_files_and_their_errors_are_written_as_the_service_writes_them(live: Live) -> None:
    await uploaded(live)
    assert list(await live.api.ok("GET", "/files")) == ["object", "data", "has_more", "first_id", "last_id"]
    gone = await live.api.call("GET", "/files/file-none")
    assert list(gone.body) == ["error", "detail"]
    assert gone.body["detail"] == {"message": gone.body["error"]["message"], "code": None}
    refused = await upload(live, fields=[("purpose", "world_domination")])
    assert list(refused.body["detail"]) == ["message", "code"]


async def test_an_empty_file_is_a_file(live: Live) -> None:
    made = await uploaded(live, b"")
    assert made["bytes"] == 0
    assert await content_of(live, made["id"]) == (200, b"")


async def test_files_with_one_name_and_one_content_are_two_until_both_are_deleted(live: Live, tmp_path: Path) -> None:
    first, second = [(await uploaded(live, b"same"))["id"] for _ in range(2)]
    assert first != second
    assert len(blobs_in(tmp_path)) == 1
    gone = await live.api.ok("DELETE", f"/files/{first}")
    assert list(gone.items()) == [("object", "file"), ("deleted", True), ("id", first)]
    assert await content_of(live, second) == (200, b"same")
    await live.api.ok("DELETE", f"/files/{second}")
    assert not blobs_in(tmp_path)


@pytest.mark.parametrize(("method", "tail"), [("GET", ""), ("DELETE", ""), ("GET", "/content")])
async def test_an_unknown_file_is_told_in_the_words_of_the_service(live: Live, method: str, tail: str) -> None:
    status, error = await live.api.refused(method, f"/files/fake_id{tail}")
    assert (status, error["message"], error["param"], error["code"]) == (
        404,
        "No such File object: fake_id",
        "id",
        None,
    )


async def test_files_are_listed_newest_first_by_purpose_and_in_pages(live: Live) -> None:
    ids = [(await uploaded(live, fields=[("purpose", purpose)]))["id"] for purpose in ("vision", "batch", "vision")]
    everything = await live.api.ok("GET", "/files")
    assert [one["id"] for one in everything["data"]] == ids[::-1]
    assert (everything["first_id"], everything["last_id"], everything["has_more"]) == (ids[2], ids[0], False)
    seen = await live.api.ok("GET", "/files?purpose=vision&order=asc&limit=1")
    assert ([one["id"] for one in seen["data"]], seen["has_more"]) == ([ids[0]], True)
    assert [
        one["id"] for one in (await live.api.ok("GET", f"/files?purpose=vision&order=asc&after={ids[0]}"))["data"]
    ] == [ids[2]]
    assert (await live.api.call("GET", "/files?limit=10000")).status == 200
    for query in ("limit=10001", "limit=0", "order=up", "purpose=fun", "after=file-nowhere"):
        assert (await live.api.refused("GET", f"/files?{query}"))[0] == 400


async def test_another_projects_file_is_not_there(tmp_path: Path) -> None:
    async with serving(tmp_path, keys=f"red={RED},blue={BLUE}") as live:
        red = Live(
            live.url, type(live.api)(live.api.base, live.api.session, {"Authorization": f"Bearer {RED}"}), live.assembly
        )
        blue = Live(
            live.url,
            type(live.api)(live.api.base, live.api.session, {"Authorization": f"Bearer {BLUE}"}),
            live.assembly,
        )
        made = await uploaded(red)
        for method, tail in (("GET", ""), ("GET", "/content"), ("DELETE", "")):
            assert (await blue.api.refused(method, f"/files/{made['id']}{tail}"))[0] == 404
        assert (await blue.api.ok("GET", "/files"))["data"] == []


async def test_an_upload_cut_off_half_way_leaves_nothing_behind(live: Live, tmp_path: Path) -> None:
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n' + b"x" * 3_000_000
    host, port = live.url.removeprefix("http://").removesuffix("/v1").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        b"POST /v1/files HTTP/1.1\r\nhost: localhost\r\ncontent-type: multipart/form-data; boundary=b\r\n"
        b"content-length: 9000000\r\n\r\n" + head
    )
    await writer.drain()
    await until("the first bytes to lie on the disk", lambda: bool(blobs_in(tmp_path)))
    writer.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    writer.close()
    await reader.read()
    await until("the half of the file to be deleted", lambda: not blobs_in(tmp_path))
    assert (await live.api.ok("GET", "/files"))["data"] == []


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", b"{}"),
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=b", b"no boundary here"),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nxyz',
        ),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\n\xff\r\n--b--\r\n',
        ),
    ],
)
async def test_a_body_that_is_no_form_is_refused_with_a_reason(
    live: Live, tmp_path: Path, kind: str, body: bytes
) -> None:
    headers = live.api.headers | {"Content-Type": kind}
    async with live.api.session.post(f"{live.url}/files", data=body, headers=headers) as got:
        assert got.status == 400
        assert (await got.json())["error"]["type"] == "invalid_request_error"
    assert not blobs_in(tmp_path)


async def test_what_a_crash_left_of_uploads_is_swept_at_the_next_start(tmp_path: Path) -> None:
    async with serving(tmp_path) as live:
        kept = await uploaded(live, b"kept")
    (tmp_path / "blobs" / "incoming").mkdir(exist_ok=True)
    (tmp_path / "blobs" / "incoming" / "torn").write_bytes(b"torn")
    (tmp_path / "blobs" / "ab").mkdir(exist_ok=True)
    (tmp_path / "blobs" / "ab" / ("ab" * 32)).write_bytes(b"orphan")
    async with serving(tmp_path) as live:
        assert len(blobs_in(tmp_path)) == 1
        assert await content_of(live, kept["id"]) == (200, b"kept")


async def test_a_file_that_says_it_is_too_large_is_refused_before_it_is_sent(live: Live, tmp_path: Path) -> None:
    host, port = live.url.removeprefix("http://").removesuffix("/v1").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        b"POST /v1/files HTTP/1.1\r\nhost: localhost\r\ncontent-type: multipart/form-data; boundary=b\r\n"
        b"content-length: 600000000\r\n\r\n"
    )
    answer = await reader.readuntil(b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 413 ")
    error = json.loads(await reader.readuntil(b"\n}"))["error"]
    assert (error["message"], error["code"]) == ("The file is too large. The maximum is 512 MB.", "file_too_large")
    writer.close()
    assert not blobs_in(tmp_path)
