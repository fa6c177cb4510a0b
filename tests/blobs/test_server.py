"""A whole server whose files lie in a bucket: it starts or says why not, and serves while the store fails."""

import asyncio
import io
import logging
import socket
import sys
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from tests.support.bucket import NAME, S3Server, front
from tests.support.serving import Live, serving
from tests.support.waiting import until
from threadmill.adapters.blobs.s3 import PART_SIZE
from threadmill.settings import SettingsError

SECRET = "sesame-open-sesame"


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The usual names, and nothing of the person's own who runs the tests."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test-key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)


def on(directory: Path, url: str, bucket: str = f"{NAME}/pre/fix") -> AbstractAsyncContextManager[Live]:
    return serving(directory, BLOBS=f"s3://{bucket}", BLOBS_ENDPOINT=url)


async def content_of(live: Live, file_id: str) -> bytes:
    async with live.api.session.get(f"{live.url}/files/{file_id}/content", headers=live.api.headers) as got:
        assert got.status == 200
        return await got.read()


async def test_files_live_in_the_bucket_from_upload_to_deletion_and_over_a_restart(
    s3: S3Server, tmp_path: Path
) -> None:
    large = bytes(range(256)) * (PART_SIZE // 100)
    async with on(tmp_path, s3.url) as live:
        ids = [await live.api.file("a.bin", data, "user_data") for data in (b"small", large)]
    assert [name.startswith("pre/fix/blobs/") for name in await s3.everything()] == [True, True]
    async with on(tmp_path, s3.url) as live:
        assert [await content_of(live, one) for one in ids] == [b"small", large]
        for one in ids:
            await live.api.ok("DELETE", f"/files/{one}")
    assert await s3.everything() == []
    assert not (tmp_path / "blobs").exists()


async def holds_anything(s3: S3Server, *, wanted: bool) -> bool:
    return bool(await s3.everything()) is wanted


async def test_an_upload_cut_off_half_way_leaves_nothing_in_the_bucket(s3: S3Server, tmp_path: Path) -> None:
    async with on(tmp_path, s3.url) as live:
        head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n' + b"x" * (PART_SIZE + 100)
        host, port = live.url.removeprefix("http://").removesuffix("/v1").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(
            b"POST /v1/files HTTP/1.1\r\nhost: localhost\r\ncontent-type: multipart/form-data; boundary=b\r\n"
            b"content-length: 99000000\r\n\r\n" + head
        )
        await writer.drain()
        await until("the first part to lie in the bucket", lambda: holds_anything(s3, wanted=True))
        writer.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        writer.close()
        await reader.read()
        await until("the part to be deleted", lambda: holds_anything(s3, wanted=False))
        assert (await live.api.ok("GET", "/files"))["data"] == []


async def refused(directory: Path, url: str, bucket: str = NAME) -> SettingsError:
    with pytest.raises(SettingsError) as failure:
        async with on(directory, url, bucket):
            pass
    assert SECRET not in str(failure.value) + failure.value.advice
    return failure.value


async def test_a_bucket_that_does_not_exist_ends_the_start(s3: S3Server, tmp_path: Path) -> None:
    error = await refused(tmp_path, s3.url, "nowhere")
    assert str(error) == f"The bucket 'nowhere' does not exist at {s3.url}."
    assert "THREADMILL_BLOBS" in error.advice


async def test_credentials_the_store_does_not_know_end_the_start_and_are_not_told(
    s3: S3Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await s3.ask("POST", "/moto-api/reset-auth", b"0")
    try:
        error = await refused(tmp_path, s3.url)
    finally:
        await s3.ask("POST", "/moto-api/reset-auth", b"inf")
    assert str(error) == f"{s3.url} refuses our credentials for the bucket 'files': InvalidAccessKeyId."
    assert "AWS_SECRET_ACCESS_KEY" in error.advice
    assert SECRET not in caplog.text


async def test_no_credentials_at_all_end_the_start(
    s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert "There are no credentials" in str(await refused(tmp_path, s3.url))


async def test_credentials_may_stand_in_the_file_of_settings(
    s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    lines = (
        f'[blobs]\nstore = "s3://{NAME}"\nendpoint = "{s3.url}"\naccess_key_id = "k"\nsecret_access_key = "{SECRET}"\n'
    )
    (tmp_path / "threadmill.toml").write_text(lines)
    async with serving(tmp_path, CONFIG=str(tmp_path / "threadmill.toml")) as live:
        await live.api.file("a.txt")
    assert len(await s3.everything()) == 1


async def test_a_store_that_does_not_answer_ends_the_start(tmp_path: Path) -> None:
    with socket.socket() as taken:  # bound, never listening
        taken.bind(("127.0.0.1", 0))
        error = await refused(tmp_path, f"http://127.0.0.1:{taken.getsockname()[1]}")
    assert "cannot be used" in str(error)
    assert "THREADMILL_BLOBS_ENDPOINT" in error.advice


async def test_without_the_extra_the_start_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("bucket", "s3"):
        monkeypatch.delitem(sys.modules, f"threadmill.adapters.blobs.{name}", raising=False)
    monkeypatch.setitem(sys.modules, "aiobotocore.config", None)
    error = await refused(tmp_path, "http://127.0.0.1:1")
    assert "the package aiobotocore is not installed" in str(error)
    assert error.advice == "Install the extra: pip install 'threadmill[s3]'."


def failing(code: str, status: int) -> web.Response:
    text = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>key {SECRET}</Message></Error>"
    return web.Response(status=status, text=text, content_type="application/xml")


class Trouble:
    """What the store answers to which requests; nothing at first."""

    code, status = "", 0
    at: tuple[str, str] = ("", "")

    def __call__(self, request: web.Request) -> web.Response | None:
        method, part = self.at
        return failing(self.code, self.status) if method == request.method and part in request.path_qs else None


@pytest.mark.parametrize(
    ("at", "size"),
    [
        (("PUT", "blobs/"), 10),
        (("PUT", "partNumber=2"), 2 * PART_SIZE + 10),
        (("POST", "uploadId="), PART_SIZE + 10),
        (("PUT", "pins/"), PART_SIZE + 10),
    ],
)
async def test_a_full_store_is_told_leaves_nothing_and_the_next_upload_works(
    s3: S3Server, tmp_path: Path, at: tuple[str, str], size: int
) -> None:
    trouble = Trouble()
    async with front(s3.url, trouble) as url, on(tmp_path, url) as live:
        trouble.at, trouble.code, trouble.status = at, "XMinioStorageFull", 507
        status, error = await upload(live, b"x" * size)
        assert status == 503
        assert error == {
            "message": "The server's file storage is full; the file was not stored.",
            "type": "server_error",
            "param": None,
            "code": None,
        }
        assert await s3.everything() == []
        trouble.at = ("", "")
        assert (await upload(live, b"x" * size))[0] == 200


async def upload(live: Live, data: bytes) -> tuple[int, object]:
    form = aiohttp.FormData({"purpose": "user_data"})
    form.add_field("file", io.BytesIO(data), filename="a.bin")
    async with live.api.session.post(f"{live.url}/files", data=form, headers=live.api.headers) as got:
        return got.status, (await got.json()).get("error")


async def test_a_store_that_fails_is_told_without_its_own_words_and_a_deletion_is_made_up_for_by_the_sweep(
    s3: S3Server, tmp_path: Path
) -> None:
    trouble = Trouble()
    async with front(s3.url, trouble) as url, on(tmp_path, url) as live:
        file_id = await live.api.file("a.bin", b"x", "user_data")
        trouble.code, trouble.status = "AccessDenied", 403
        trouble.at = ("GET", "blobs/")
        status, error = await live.api.refused("GET", f"/files/{file_id}/content")
        assert (status, error["message"]) == (503, "The server's file storage refuses a request: AccessDenied.")
        trouble.at = ("PUT", "doomed/")
        await live.api.ok("DELETE", f"/files/{file_id}")
        assert len(await s3.everything()) == 1
        trouble.at = ("", "")
        blobs, files = live.assembly.engine.ports.blobs, live.assembly.engine.ports.files
        assert await blobs.sweep(files.blobs_in_use) == 0  # young
