"""What an upload is called, as clients of other languages write it."""

import json

import aiohttp
import pytest

from tests.support.serving import Live
from threadmill.api.filenames import filename_of

NET = "=?utf-8?B?w5xiZXIudHh0?="


@pytest.mark.parametrize(
    ("disposition", "plain", "name"),
    [
        (f"form-data; name=file; filename=\"{NET}\"; filename*=utf-8''%C3%9Cber.txt", NET, "Über.txt"),
        ("form-data; name=file; filename*=UTF-8'de'%C3%9Cber.txt; filename=x.txt", "x.txt", "Über.txt"),
        ("form-data; name=file; filename*=\"utf-8''%C3%9Cber.txt\"", None, "Über.txt"),
        ("form-data; name=file; filename*=iso-8859-1''%DCber.txt", None, "Über.txt"),
        (f'form-data; name=file; filename="{NET}"', NET, "Über.txt"),
        ("form-data", "=?utf-8?Q?=C3=9Cber?= =?utf-8?Q?_alles.txt?=", "Über alles.txt"),
        # What is not whole does not count.
        ("form-data; name=file; filename*=utf-8''%C3; filename=x.txt", "x.txt", "x.txt"),
        ("form-data; name=file; filename*=utf-8''%ZZ; filename=x.txt", "x.txt", "x.txt"),
        ("form-data; name=file; filename*=utf-8''; filename=x.txt", "x.txt", "x.txt"),
        ("form-data; name=file; filename*=klingon''a; filename=x.txt", "x.txt", "x.txt"),
        ("form-data", "=?utf-8?B?!!!?=", "=?utf-8?B?!!!?="),
        ("form-data", "=?klingon?B?w5xiZXIudHh0?=", "=?klingon?B?w5xiZXIudHh0?="),
        # Nor what only looks like it inside another value.
        ("form-data; name=\"; filename*=utf-8''evil\"; filename=x.txt", "x.txt", "x.txt"),
        (
            "form-data; name=file; filename=\"a; filename*=utf-8''evil.txt\"",
            "a; filename*=utf-8''evil.txt",
            "a; filename*=utf-8''evil.txt",
        ),
        ("form-data; name=file", None, None),
    ],
)
def test_a_files_name(disposition: str, plain: str | None, name: str | None) -> None:
    assert filename_of(disposition, plain) == name


@pytest.mark.parametrize(
    ("disposition", "status", "name"),
    [
        (f"filename=\"{NET}\"; filename*=utf-8''%C3%9Cber.txt", 200, "Über.txt"),
        ("filename*=utf-8''..%2F..%2Fetc%2Fpasswd", 200, "passwd"),
        ("x=y", 400, "file"),
    ],
)
async def test_an_upload_of_another_language_keeps_its_name(
    live: Live, disposition: str, status: int, name: str
) -> None:
    body = (
        f"--b\r\nContent-Disposition: form-data; name=purpose\r\n\r\nassistants\r\n"
        f"--b\r\nContent-Disposition: form-data; name=file; {disposition}\r\n\r\nx\r\n--b--\r\n"
    )
    headers = {**live.api.headers, "Content-Type": "multipart/form-data; boundary=b"}
    async with aiohttp.ClientSession() as session, session.post(f"{live.url}/files", data=body, headers=headers) as got:
        found = json.loads(await got.read())
    assert got.status == status
    assert (found["filename"] if status == 200 else found["error"]["param"]) == name
