"""How answers are written: formats, transforms, lists that page by themselves, colours."""

import json
import os
import pty
import subprocess
from typing import Any

import pytest
import yaml

from tests.cli.command import BIN, Shell, clean_environment
from threadmill.cli.resources.transform import from_gjson


@pytest.fixture(scope="module")
def thread(shell: Shell) -> str:
    """A thread with five messages."""
    return shell.thread("one", "two", "three", "four", "five")


def texts(messages: Any) -> list[str]:
    """What messages say."""
    return [message["content"][0]["text"]["value"] for message in messages]


def on_a_terminal(shell: Shell, *arguments: str, **environment: str) -> str:
    """What a command writes to a terminal."""
    ours, theirs = pty.openpty()
    env = clean_environment(THREADMILL_BASE_URL=shell.url, TERM="xterm", **environment)
    command = [str(BIN / "threadmill"), *arguments]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs, env=env):
        os.close(theirs)
        said = b""
        try:
            while piece := os.read(ours, 65536):
                said += piece
        except OSError:  # the command is gone
            pass
    os.close(ours)
    return said.decode().replace("\r\n", "\n")


LIST = ("beta:threads:messages", "list")


def test_a_list_pages_by_itself_and_is_one_list_object(shell: Shell, thread: str) -> None:
    result = shell(*LIST, thread, "--limit", "2", "--max-items", "-1", "--order", "asc", "--debug")
    assert texts(result.json["data"]) == ["one", "two", "three", "four", "five"]
    assert result.err.count("> GET") == 3
    found = result.json
    assert found["has_more"] is False
    assert [found["first_id"], found["last_id"]] == [found["data"][0]["id"], found["data"][-1]["id"]]
    assert list(found) == ["object", "data", "first_id", "last_id", "has_more"]


def test_a_list_of_more_than_a_page_needs_no_flag(shell: Shell) -> None:
    said = [f"message {number}" for number in range(105)]
    body = json.dumps({"messages": [{"role": "user", "content": text} for text in said]})
    thread = shell.ok("beta:threads", "create", stdin=body)["id"]
    assert texts(shell.ok(*LIST, thread, "--order", "asc")["data"]) == said
    assert len(shell(*LIST, thread, "--format", "jsonl").lines) == 105


@pytest.mark.parametrize(("most", "pages"), [(0, 1), (1, 1), (2, 1), (3, 2), (5, 3), (9, 3)])
def test_max_items_bounds_a_list_and_no_page_is_read_beyond_it(
    most: int, pages: int, shell: Shell, thread: str
) -> None:
    flags = (thread, "--limit", "2", "--order", "asc", "--max-items", str(most), "--debug")
    result = shell(*LIST, *flags)
    assert texts(result.json["data"]) == ["one", "two", "three", "four", "five"][:most]
    assert result.json["has_more"] is (most < 5)
    assert result.json["last_id"] == (result.json["data"][-1]["id"] if most else None)
    assert result.err.count("> GET") == pages


def test_a_limit_alone_is_one_page_of_that_many(shell: Shell, thread: str) -> None:
    result = shell(*LIST, thread, "--limit", "2", "--order", "asc", "--debug")
    assert texts(result.json["data"]) == ["one", "two"]
    assert result.json["has_more"] is True
    assert result.err.count("> GET") == 1


def test_a_list_goes_on_from_a_cursor(shell: Shell, thread: str) -> None:
    first = shell.ok(*LIST, thread, "--limit", "3", "--order", "asc")
    rest = shell.ok(*LIST, thread, "--after", first["last_id"], "--order", "asc")
    assert texts(rest["data"]) == ["four", "five"]


def test_jsonl_is_an_object_a_line(shell: Shell, thread: str) -> None:
    assert texts(shell(*LIST, thread, "--format", "jsonl", "--order", "asc", "--max-items", "3").lines) == [
        "one",
        "two",
        "three",
    ]
    assert len(shell("beta:threads", "retrieve", thread, "--format", "jsonl").lines) == 1


def test_json_is_the_servers_object_with_its_keys_in_order(shell: Shell, thread: str) -> None:
    assert list(shell("beta:threads", "retrieve", thread, "--format", "json").json) == [
        "id", "object", "created_at", "metadata", "tool_resources",
    ]  # fmt: skip


def test_raw_is_what_the_server_sent_and_one_page_of_a_list(shell: Shell, thread: str) -> None:
    result = shell(*LIST, thread, "--format", "raw", "--limit", "1")
    assert result.json["has_more"] is True
    assert len(result.json["data"]) == 1


def test_yaml_reads_back_as_the_same_object(shell: Shell) -> None:
    odd = {"a": "line\nline", "b": "no", "c": "1", "d": "ünï: [x]", "e": "null", "f": "2026-01-01"}
    made = shell.ok("beta:threads", "create", "--metadata", json.dumps(odd))["id"]
    result = shell("beta:threads", "retrieve", made, "--format", "yaml")
    assert yaml.safe_load(result.out) == shell.ok("beta:threads", "retrieve", made)


def test_pretty_in_a_pipe_is_plain_and_readable(shell: Shell) -> None:
    tool = {"type": "function", "function": {"name": "f", "description": "d"}}
    assistant = shell.assistant(tools=[tool], instructions="first\nsecond\n")
    said = shell("beta:assistants", "retrieve", assistant, "--format", "pretty").out
    assert "\x1b" not in said
    assert "instructions: |\n  first\n  second\n" in said
    assert "tools:\n  - type: function\n    function:\n      name: f\n" in said


def test_on_a_terminal_auto_is_pretty_and_coloured_unless_told_not_to(shell: Shell, thread: str) -> None:
    assert on_a_terminal(shell, "beta:threads", "retrieve", thread).startswith(f"\x1b[36mid\x1b[0m: {thread}\n")
    assert on_a_terminal(shell, "beta:threads", "retrieve", thread, NO_COLOR="1").startswith(f"id: {thread}\n")
    coloured = on_a_terminal(shell, "beta:threads", "retrieve", thread, "--format", "json")
    assert f'\x1b[36m"id"\x1b[0m: \x1b[32m"{thread}"\x1b[0m' in coloured


def test_a_models_words_cannot_drive_a_terminal(shell: Shell) -> None:
    thread = shell.thread("evil \x1b[2J\x9b31m words")
    for form in ("auto", "json", "pretty", "jsonl", "raw", "yaml"):
        said = on_a_terminal(shell, *LIST, thread, "--format", form)
        assert "\x1b[2J" not in said
        assert "\x9b" not in said
        assert "evil" in said
    text = on_a_terminal(shell, *LIST, thread, "--transform", "data[0].content[0].text.value")
    assert text == "evil \\u001b[2J\\u009b31m words\n"


def test_a_transform_of_a_text_is_bare_and_json_when_asked(shell: Shell, thread: str) -> None:
    assert shell("beta:threads", "retrieve", thread, "--transform", "id").out == f"{thread}\n"
    assert shell("beta:threads", "retrieve", thread, "--transform", "id", "--format", "json").out == f'"{thread}"\n'
    assert shell("beta:threads", "retrieve", thread, "--transform", "id", "--format", "json", "-r").out == f"{thread}\n"


def test_a_transform_speaks_jmespath(shell: Shell, thread: str) -> None:
    expression = "data[?role=='user'].{who: role, said: content[0].text.value} | [0]"
    assert shell.ok(*LIST, thread, "--order", "asc", "--transform", expression) == {"who": "user", "said": "one"}


def test_a_transform_of_jsonl_is_one_of_each_line(shell: Shell, thread: str) -> None:
    flags = ("--format", "jsonl", "--order", "asc", "--transform", "content[0].text.value")
    assert shell(*LIST, thread, *flags).lines == ["one", "two", "three", "four", "five"]


def test_simple_paths_of_gjson_work_too(shell: Shell, thread: str) -> None:
    assert shell.ok(*LIST, thread, "--order", "asc", "--transform", "data.1.content.0.text.value") == "two"
    assert shell.ok(*LIST, thread, "--transform", "data.#.role") == ["user"] * 5
    assert shell.ok(*LIST, thread, "--transform", "data.#") == 5
    assert shell.ok("beta:threads", "retrieve", thread, "--transform", "@this")["id"] == thread


@pytest.mark.parametrize("path", ["data.#(role==user).id", "a|b", "data.*", "{a,b}", "", "#"])
def test_any_other_gjson_is_told_to_be_none_of_ours(path: str) -> None:
    assert from_gjson(path) in (None, "[*]")


def test_a_transform_that_finds_nothing_in_a_list_says_where_its_objects_are(shell: Shell, thread: str) -> None:
    result = shell(*LIST, thread, "--transform", "id")
    assert result.out == "null\n"
    assert "data[].id" in result.err


def test_a_reader_that_has_enough_ends_the_command_quietly(shell: Shell, thread: str) -> None:
    script = f'threadmill {" ".join(LIST)} {thread} --format jsonl --limit 1 --max-items -1 | head -n 1; echo "${{PIPESTATUS[0]}}"'
    environment = clean_environment(THREADMILL_BASE_URL=shell.url)
    done = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout.splitlines()[-1] in {"0", "141"}  # 0: all was written before head left
