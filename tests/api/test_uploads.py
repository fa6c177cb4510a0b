"""/v1/uploads over HTTP, with the official SDK and by hand."""

import hashlib
import io
from pathlib import Path
from typing import Any

import pytest
from openai import AsyncOpenAI

from tests.support.serving import Live

CONTENT = bytes(range(256)) * 4_000
NEW = {"bytes": 6, "filename": "a.txt", "mime_type": "text/plain", "purpose": "user_data"}


def blobs_in(directory: Path) -> list[Path]:
    return [path for path in (directory / "blobs").rglob("*") if path.is_file()]


async def begun(live: Live, **fields: Any) -> str:
    return (await live.api.ok("POST", "/uploads", NEW | fields))["id"]


async def add(live: Live, upload: str, data: bytes, name: str = "data", filename: str = "part") -> tuple[int, Any]:
    head = f'--b\r\nContent-Disposition: form-data; name="{name}"; filename="{filename}"\r\n\r\n'
    form = head.encode() + data + b"\r\n--b--\r\n"
    headers = live.api.headers | {"Content-Type": "multipart/form-data; boundary=b"}
    async with live.api.session.post(
        f"{live.url}/uploads/{upload}/parts", data=io.BytesIO(form), headers=headers
    ) as got:
        return got.status, await got.json()


async def test_the_official_sdk_uploads_a_file_in_parts(live: Live, tmp_path: Path) -> None:
    client = AsyncOpenAI(base_url=live.url, api_key="x" * 20)
    path = tmp_path / "big.bin"
    path.write_bytes(CONTENT)
    done = await client.uploads.upload_file_chunked(
        file=path,
        mime_type="application/octet-stream",
        purpose="user_data",
        part_size=100_000,
        md5=hashlib.md5(CONTENT, usedforsecurity=False).hexdigest(),
    )
    assert (done.object, done.status, done.filename, done.bytes) == ("upload", "completed", "big.bin", len(CONTENT))
    assert done.file is not None
    assert await client.files.retrieve(done.file.id) == done.file
    assert (await client.files.content(done.file.id)).content == CONTENT
    await client.close()


@pytest.mark.parametrize("purpose", ["assistants", "batch", "fine-tune", "vision", "user_data", "evals"])
async def test_an_upload_is_for_whatever_a_file_may_be_for(live: Live, purpose: str) -> None:
    assert (await live.api.ok("POST", "/uploads", NEW | {"purpose": purpose}))["purpose"] == purpose


async def test_an_upload_by_hand_from_beginning_to_end(live: Live) -> None:
    made = await live.api.ok("POST", "/uploads", NEW | {"expires_after": {"anchor": "created_at", "seconds": 3600}})
    assert list(made)[:4] == ["id", "object", "bytes", "created_at"]
    assert (made["status"], made["file"], made["expires_at"] - made["created_at"]) == ("pending", None, 3600)
    (_, second), (_, first) = [await add(live, made["id"], data) for data in (b"def", b"abc")]
    assert (first["object"], first["upload_id"]) == ("upload.part", made["id"])
    done = await live.api.ok("POST", f"/uploads/{made['id']}/complete", {"part_ids": [first["id"], second["id"]]})
    assert (done["status"], done["file"]["bytes"]) == ("completed", 6)
    assert done["file"]["expires_at"] - done["file"]["created_at"] == 3600


async def test_a_cancelled_upload_leaves_no_bytes(live: Live, tmp_path: Path) -> None:
    upload = await begun(live)
    await add(live, upload, b"abc")
    assert len(blobs_in(tmp_path)) == 1
    assert (await live.api.ok("POST", f"/uploads/{upload}/cancel"))["status"] == "cancelled"
    assert blobs_in(tmp_path) == []
    status, body = await add(live, upload, b"abc")
    assert (status, body["error"]["code"]) == (400, "upload_not_pending")
    assert blobs_in(tmp_path) == []


@pytest.mark.parametrize(
    ("wrong", "param", "code"),
    [
        ({"bytes": 8 * 1024**3 + 1}, "bytes", "integer_above_max_value"),
        ({"bytes": "6"}, "bytes", "invalid_type"),
        ({"purpose": "assistants_output"}, "purpose", "invalid_value"),
        ({"mime_type": None}, "mime_type", "missing_required_parameter"),
        ({"filename": ""}, "filename", "empty_string"),
        (
            {"expires_after": {"anchor": "created_at", "seconds": 60}},
            "expires_after.seconds",
            "integer_below_min_value",
        ),
        ({"colour": 1}, "colour", "unknown_parameter"),
    ],
)
async def test_what_an_upload_cannot_be(live: Live, wrong: dict[str, Any], param: str, code: str) -> None:
    given = {key: value for key, value in (NEW | wrong).items() if value is not None}
    status, error = await live.api.refused("POST", "/uploads", given)
    assert (status, error["param"], error["code"]) == (400, param, code)


async def test_what_a_part_cannot_be(live: Live, tmp_path: Path) -> None:
    upload = await begun(live, bytes=100)
    for form, told in {("data", b"x" * (64 * 1024**2 + 1)): 413, ("file", b"x"): 400}.items():
        status, body = await add(live, upload, form[1], form[0])
        assert (status, body["error"]["type"]) == (told, "invalid_request_error")
    assert (await add(live, "upload_none", b"x"))[0] == 404
    assert blobs_in(tmp_path) == []


async def test_a_list_of_parts_that_is_not_the_file(live: Live) -> None:
    upload = await begun(live)
    _, part = await add(live, upload, b"abc")
    for ids, md5 in (([part["id"]], None), (["part_none"], None), ([], None), ([part["id"]], "nonsense")):
        body = {"part_ids": ids} | ({} if md5 is None else {"md5": md5})
        status, _ = await live.api.refused("POST", f"/uploads/{upload}/complete", body)
        assert status == 400
