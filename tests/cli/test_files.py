"""`threadmill files`: uploads from a path, contents to a file or a pipe, whole or not at all."""

import hashlib
import json
import socket
import subprocess
import threading
from pathlib import Path

import pytest

from tests.cli.command import BIN, Shell, clean_environment, run, server
from tests.cli.test_answers import on_a_terminal

CREATE = ("files", "create", "--purpose", "user_data", "--file")
ALL_BYTES = bytes(range(256)) * 5000
"""Every byte, 1.28 MB: more than one piece of the client's and the server's."""


def test_a_file_is_uploaded_from_its_path_with_or_without_an_at(shell: Shell, tmp_path: Path) -> None:
    path = tmp_path / 'a "strange" näme;x.txt'
    path.write_bytes(b"line one\r\nline two")
    for written in (str(path), f"@{path}", f"@file://{path}"):
        made = shell.ok(*CREATE, written)
        assert (made["filename"], made["bytes"], made["purpose"]) == (path.name, 18, "user_data")


def test_what_is_uploaded_is_downloaded_byte_for_byte(shell: Shell, tmp_path: Path) -> None:
    source, target = tmp_path / "a.bin", tmp_path / "b.bin"
    source.write_bytes(ALL_BYTES)
    file = shell.ok(*CREATE, str(source))["id"]
    assert shell("files", "content", file, "--output", str(target)).out == ""
    assert target.read_bytes() == ALL_BYTES
    assert shell("files", "content", "--file-id", file, "-o", str(target)).code == 0  # written over
    environment = clean_environment(THREADMILL_BASE_URL=shell.url)
    piped = subprocess.run([str(BIN / "threadmill"), "files", "content", file], env=environment, capture_output=True, check=True)  # fmt: skip
    assert hashlib.sha256(piped.stdout).digest() == hashlib.sha256(ALL_BYTES).digest()
    assert sorted(one.name for one in tmp_path.iterdir()) == ["a.bin", "b.bin"]


def test_a_files_life_retrieve_list_and_delete(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    made = shell.ok(*CREATE, str(tmp_path / "a.txt"))
    assert shell.ok("files", "retrieve", made["id"]) == made
    assert made in shell.ok("files", "list")["data"]
    assert made not in shell.ok("files", "list", "--purpose", "vision")["data"]
    assert shell.ok("files", "delete", made["id"]) == {"object": "file", "deleted": True, "id": made["id"]}
    assert shell("files", "retrieve", made["id"]).code == 4


def test_a_list_of_files_pages_by_itself(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    made = [shell.ok(*CREATE, str(tmp_path / "a.txt"))["id"] for _ in range(3)]
    lines = shell("files", "list", "--limit", "1", "--max-items", "3", "--format", "jsonl").lines
    assert [line["id"] for line in lines] == made[::-1]


def test_fields_of_an_object_are_sent_in_the_form(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    flags = ("--expires-after.anchor", "created_at", "--expires-after.seconds", "3600")
    for given in (flags, ("--expires-after", "{anchor: created_at, seconds: 3600}")):
        made = shell.ok(*CREATE, str(tmp_path / "a.txt"), *given)
        assert made["expires_at"] == made["created_at"] + 3600


def test_an_uploaded_file_goes_into_a_message_by_its_id(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    file = shell.ok("files", "create", "--purpose", "assistants", "--file", str(tmp_path / "a.txt"))["id"]
    flags = (shell.thread(), "--role", "user", "--content", "See the file", "--attachment.file-id", file)
    tools = ("--attachment.tools", "[{type: code_interpreter}]")
    made = shell.ok("beta:threads:messages", "create", *flags, *tools)
    assert made["attachments"] == [{"file_id": file, "tools": [{"type": "code_interpreter"}]}]


@pytest.mark.parametrize(
    ("file", "told"),
    [
        ("nowhere.txt", "--file: the file nowhere.txt cannot be read: No such file or directory."),
        (".", "--file: . is no regular file."),
        ("/dev/null", "--file: /dev/null is no regular file."),
        ("-", "--file cannot be standard input."),
        ("@-", "--file cannot be standard input."),
    ],
)
def test_a_file_that_cannot_be_sent_is_told_before_anything_is(file: str, told: str, shell: Shell) -> None:
    result = shell(*CREATE, file, "--debug")
    assert (result.code, result.err.splitlines()[0]) == (2, f"threadmill: {told}")


def test_debug_does_not_write_out_a_file(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("private words")
    err = shell(*CREATE, str(tmp_path / "a.txt"), "--debug").err
    assert "> (a form with a file)" in err
    assert "private words" not in err


def test_contents_are_not_written_to_a_terminal(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("\x1b[2J")
    file = shell.ok(*CREATE, str(tmp_path / "a.txt"))["id"]
    assert on_a_terminal(shell, "files", "content", file).splitlines() == [
        "\x1b[31mthreadmill: The answer is a file; it is not written to a terminal.\x1b[0m",
        "  Name a file with --output, or use a pipe.",
    ]


def test_contents_that_may_not_be_had_leave_no_file(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    file = shell.ok("files", "create", "--purpose", "assistants", "--file", str(tmp_path / "a.txt"))["id"]
    result = shell("files", "content", file, "--output", str(tmp_path / "b.txt"))
    assert result.code == 1
    assert "Not allowed to download files of purpose: assistants" in result.err
    assert not (tmp_path / "b.txt").exists()


def test_an_output_that_cannot_be_written_is_told(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    file = shell.ok(*CREATE, str(tmp_path / "a.txt"))["id"]
    result = shell("files", "content", file, "--output", str(tmp_path / "no" / "b.txt"))
    assert result.code == 2
    assert "b.txt cannot be written: No such file or directory." in result.err


def test_contents_that_break_off_are_an_error_and_leave_what_was_there(tmp_path: Path) -> None:
    """A server that promises 10 bytes and dies after 4."""
    target = tmp_path / "b.txt"
    target.write_text("before")
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfour")

        thread = threading.Thread(target=answer)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        result = run("files", "content", "file-x", "--output", str(target), "--base-url", url)
        thread.join()
    assert result.code == 7
    assert result.err.startswith("threadmill: The connection failed: 4 of 10 bytes came.")
    assert target.read_text() == "before"
    assert list(tmp_path.iterdir()) == [target]


def test_an_upload_that_is_refused_half_way_shows_the_servers_reason(tmp_path: Path) -> None:
    large = tmp_path / "large.txt"
    with large.open("wb") as file:
        file.truncate(64 * 1024 * 1024)
    with server(tmp_path / "data", THREADMILL_API_KEYS="the-only-key-there-is") as url:
        result = run(*CREATE, str(large), "--base-url", url, "--api-key", "another-key", "--format", "json")
    assert result.code == 3
    assert json.loads(result.err)["error"]["code"] == "invalid_api_key"
