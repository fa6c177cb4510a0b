"""A disk that is full is told, leaves nothing behind, and the server goes on."""

import asyncio
import io
import resource
import subprocess
from collections.abc import Generator
from pathlib import Path

import aiohttp
import openai
import pytest

from tests.support.serving import Json, Live, serving
from threadmill.api import readiness

MB = 2**20
FULL = "The server's disk is full; the file was not stored."


@pytest.fixture
def small_disk(tmp_path: Path) -> Generator[Path]:
    """Eight megabytes, in memory."""
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", place], check=False, capture_output=True
    )
    if mounted.returncode != 0:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.decode()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


async def upload(live: Live, data: bytes) -> tuple[int, Json]:
    form = aiohttp.FormData({"purpose": "user_data"})
    form.add_field("file", io.BytesIO(data), filename="a.bin")
    async with live.api.session.post(f"{live.url}/files", data=form, headers=live.api.headers) as got:
        return got.status, await got.json()


def blobs_in(directory: Path) -> list[Path]:
    return [path for path in (directory / "blobs").rglob("*") if path.is_file()]


async def test_an_upload_that_fills_the_disk_is_told_leaves_nothing_and_a_smaller_one_works(small_disk: Path) -> None:
    async with serving(small_disk) as live:
        for _ in range(3):
            status, body = await upload(live, b"x" * (20 * MB))
            assert (status, body["error"]) == (
                503,
                {"message": FULL, "type": "server_error", "param": None, "code": None},
            )
            assert not blobs_in(small_disk)
        status, made = await upload(live, b"y" * MB)
        assert status == 200
        async with live.api.session.get(f"{live.url}/files/{made['id']}/content", headers=live.api.headers) as got:
            assert await got.read() == b"y" * MB
        assert [one["id"] for one in (await live.api.ok("GET", "/files"))["data"]] == [made["id"]]


async def test_the_official_sdk_raises_the_servers_words_when_the_disk_is_full(small_disk: Path) -> None:
    async with serving(small_disk) as live, openai.AsyncOpenAI(base_url=live.url, api_key="k", max_retries=0) as client:
        with pytest.raises(openai.InternalServerError, match="disk is full") as failure:
            await client.files.create(file=("a.bin", b"x" * (20 * MB)), purpose="user_data")
        assert failure.value.status_code == 503
        assert (await client.files.create(file=("a.bin", b"x"), purpose="user_data")).bytes == 1


async def test_a_disk_without_a_byte_left_refuses_uploads_and_serves_what_it_has_until_there_is_room(
    small_disk: Path,
) -> None:
    async with serving(small_disk) as live:
        _, made = await upload(live, b"kept")
        filler = small_disk / "filler"
        with pytest.raises(OSError, match="No space"), filler.open("wb", buffering=0) as file:
            while file.write(b"x" * 4096):
                pass
        assert (await upload(live, b"z"))[0] == 503
        assert (await live.api.ok("GET", f"/files/{made['id']}"))["bytes"] == 4
        assert len(blobs_in(small_disk)) == 1
        filler.unlink()
        assert (await upload(live, b"z"))[0] == 200


async def test_a_full_disk_stands_in_the_log_once_and_in_readyz_until_there_is_room(
    small_disk: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "FRESH_SECONDS", 0.0)
    async with serving(small_disk) as live:
        thread = (await live.api.ok("POST", "/threads", {}))["id"]
        filler = small_disk / "filler"
        with pytest.raises(OSError, match="No space"), filler.open("wb", buffering=0) as file:
            while file.write(b"x" * 4096):
                pass
        said = {"role": "user", "content": "x" * 200_000}
        for _ in range(3):
            assert (await upload(live, b"z"))[0] == 503
            assert (await live.api.refused("POST", f"/threads/{thread}/messages", said))[0] == 503
        status, text = await ready(live)
        assert status == 503
        assert (
            "storing files fails (the disk is full); writing to the database fails (database or disk is full)" in text
        )
        told = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
        assert sorted(told) == [
            "Storing files fails: the disk is full.",
            "Writing to the database fails: database or disk is full.",
        ]
        filler.unlink()
        async with asyncio.timeout(20):
            while await ready(live) != (200, "ok\n"):
                await asyncio.to_thread(lambda: None)
        assert (await live.api.ok("POST", f"/threads/{thread}/messages", said))["role"] == "user"


async def ready(live: Live) -> tuple[int, str]:
    async with live.api.session.get(f"{live.api.base}/readyz") as got:
        return got.status, await got.text()


async def test_a_limit_on_the_size_of_files_is_told_too_and_leaves_nothing(tmp_path: Path) -> None:
    async with serving(tmp_path) as live:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (3 * MB, hard))  # Python ignores the signal, so writing fails
        try:
            status, body = await upload(live, b"x" * (20 * MB))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert (status, body["error"]["type"]) == (503, "server_error")
        assert body["error"]["message"] == "The server cannot store files right now: File too large."
        assert not blobs_in(tmp_path)
        assert (await upload(live, b"x"))[0] == 200
