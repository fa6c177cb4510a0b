"""From flags, files and standard input to what the server gets. Seen on the server, or in --debug's account of it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import BIN, Result, Shell, clean_environment


def sent(result: Result) -> Any:
    """The body of the one request, from --debug."""
    bodies = [line[2:] for line in result.err.splitlines() if line.startswith("> {")]
    assert len(bodies) == 1, result.err
    return json.loads(bodies[0])


def create_run(shell: Shell, *flags: str, stdin: str | None = None) -> Any:
    """The body of a create-run request with these flags; the server need not like it."""
    where = ("--thread-id", "thread_x", "--assistant-id", "asst_x", "--debug")
    return sent(shell("beta:threads:runs", "create", *where, *flags, stdin=stdin))


def test_repeated_flags_make_an_array(shell: Shell) -> None:
    body = create_run(shell, "--tool", "{type: code_interpreter}", "--tool", '{"type": "file_search"}')
    assert body["tools"] == [{"type": "code_interpreter"}, {"type": "file_search"}]


def test_one_flag_may_hold_a_whole_array(shell: Shell) -> None:
    body = create_run(shell, "--tool", "[{type: code_interpreter}, {type: file_search}]")
    assert [tool["type"] for tool in body["tools"]] == ["code_interpreter", "file_search"]


def test_inner_flags_fill_one_object_until_a_field_comes_again(shell: Shell) -> None:
    body = create_run(
        shell,
        *("--additional-message.role", "user", "--additional-message.content", "One"),
        *("--additional-message.role", "assistant", "--additional-message.content", "Two: 2"),
        *("--additional-message", "{role: user, content: Three}", "--additional-message.metadata", "{n: 3}"),
    )
    assert body["additional_messages"] == [
        {"role": "user", "content": "One"},
        {"role": "assistant", "content": "Two: 2"},
        {"role": "user", "content": "Three", "metadata": {"n": "3"}},
    ]


def test_inner_flags_of_an_object_join_it(shell: Shell) -> None:
    body = create_run(shell, "--truncation-strategy.type", "last_messages", "--truncation-strategy.last-messages", "3")
    assert body["truncation_strategy"] == {"type": "last_messages", "last_messages": 3}


def test_values_have_the_types_of_the_api(shell: Shell) -> None:
    body = create_run(
        shell,
        *("--temperature", "0.5", "--max-prompt-tokens", "300", "--parallel-tool-calls=false"),
        *("--metadata", "{order: 007, paid: yes, note: 2026-01-01, n: null}", "--tool-choice", "auto"),
        *("--response-format", "{type: json_object}", "--instructions", "Speak: {plainly} [now]"),
    )
    assert body | {"assistant_id": ""} == {
        "assistant_id": "",
        "temperature": 0.5,
        "max_prompt_tokens": 300,
        "parallel_tool_calls": False,
        "metadata": {"order": "007", "paid": "yes", "note": "2026-01-01", "n": "null"},
        "tool_choice": "auto",
        "response_format": {"type": "json_object"},
        "instructions": "Speak: {plainly} [now]",
    }


def test_yaml_keeps_words_that_yaml_1_1_took_for_truth_values(shell: Shell) -> None:
    body = create_run(shell, "--tool", "{type: function, function: {name: no, strict: true, parameters: {on: off}}}")
    assert body["tools"] == [
        {"type": "function", "function": {"name": "no", "strict": True, "parameters": {"on": "off"}}}
    ]


def test_content_that_only_looks_like_a_structure_stays_text(shell: Shell) -> None:
    flags = ("--thread-id", "thread_x", "--role", "user", "--debug")
    for text in ("{name}, hello: you", "[1] is a footnote", "42", "true", "a: b"):
        assert sent(shell("beta:threads:messages", "create", *flags, "--content", text))["content"] == text
    parts = '[{"type": "text", "text": "hi"}]'
    assert sent(shell("beta:threads:messages", "create", *flags, "--content", parts))["content"] == json.loads(parts)


def test_an_at_names_a_file_also_inside_yaml_and_a_backslash_keeps_it(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("Grüße: {so}\n")
    (tmp_path / "tool.yaml").write_text("type: function\nfunction: {name: f, description: '@me'}\n")
    (tmp_path / "image.bin").write_bytes(b"\x00\xff")
    body = create_run(
        shell,
        *("--instructions", f"@{tmp_path}/words.txt", "--tool", f"@{tmp_path}/tool.yaml"),
        *("--metadata", f"{{words: '@{tmp_path}/words.txt', at: '\\@me'}}", "--additional-instructions", "\\@all"),
        *("--additional-message.content", f"@data://{tmp_path}/words.txt", "--model", f"@{tmp_path}/image.bin"),
    )
    assert body["instructions"] == "Grüße: {so}\n"
    assert body["tools"] == [{"type": "function", "function": {"name": "f", "description": "@me"}}]
    assert body["metadata"] == {"words": "Grüße: {so}\n", "at": "@me"}
    assert body["additional_instructions"] == "@all"
    assert body["additional_messages"] == [{"content": "R3LDvMOfZToge3NvfQo="}]
    assert body["model"] == "AP8="


def test_a_body_comes_on_standard_input_and_flags_win(shell: Shell) -> None:
    piped = "instructions: piped\nmodel: piped\nmetadata:\n  a: '1'\n"
    body = create_run(shell, "--model", "flag", stdin=piped)
    assert body == {"assistant_id": "asst_x", "instructions": "piped", "model": "flag", "metadata": {"a": "1"}}
    assert sent(shell("beta:threads", "create", "--debug", stdin='{"metadata": {"b": "2"}}')) == {
        "metadata": {"b": "2"}
    }


def test_a_required_field_may_come_on_standard_input(shell: Shell) -> None:
    made = shell.ok("beta:assistants", "create", stdin='{"model": "rehearsal", "name": "Piped"}')
    assert made["name"] == "Piped"


def test_a_piped_body_reads_files_unless_it_is_not_trusted(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("from a file")
    piped = f"metadata: {{text: '@{tmp_path}/a.txt'}}"
    trusted = shell("beta:threads", "create", "--debug", stdin=piped)
    assert sent(trusted)["metadata"] == {"text": "from a file"}
    untrusted = shell("beta:threads", "create", "--debug", stdin=piped, OPENAI_UNTRUSTED_STDIN="1")
    assert sent(untrusted)["metadata"] == {"text": f"@{tmp_path}/a.txt"}


def test_a_file_named_minus_is_standard_input(shell: Shell) -> None:
    thread = shell.thread()
    flags = ("--thread-id", thread, "--role", "user", "--content", "@-", "--transform", "content[0].text.value")
    assert shell("beta:threads:messages", "create", *flags, stdin="Not a body: text\n").out == "Not a body: text\n\n"


def test_an_open_pipe_that_says_nothing_does_not_hang_a_command(shell: Shell) -> None:
    reading, writing = os.pipe()
    environment = clean_environment(THREADMILL_BASE_URL=shell.url)
    try:
        command = [str(BIN / "threadmill"), "beta:threads", "create"]
        done = subprocess.run(
            command, stdin=reading, env=environment, capture_output=True, text=True, timeout=30, check=False
        )
    finally:
        os.close(reading)
        os.close(writing)
    assert done.returncode == 0
    assert "standard input is open but said nothing for 2 s" in done.stderr


def test_a_listing_never_reads_standard_input(shell: Shell) -> None:
    script = 'printf "a\\nb\\n" | while read line; do threadmill models list --transform "data[0].id"; done'
    environment = clean_environment(THREADMILL_BASE_URL=shell.url)
    done = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout == "rehearsal\nrehearsal\n"


def test_ids_may_stand_without_their_flags(shell: Shell) -> None:
    thread, run, _ = shell.waiting()
    assert shell.ok("beta:threads:runs", "retrieve", thread, run)["id"] == run
    assert shell.ok("beta:threads:runs", "retrieve", "--thread-id", thread, run)["id"] == run
    assert shell.ok("beta:threads", "retrieve", thread)["id"] == thread


def test_an_id_cannot_leave_its_place_in_the_path(shell: Shell) -> None:
    result = shell("beta:threads", "retrieve", "--thread-id", "../assistants?limit=1", "--debug")
    assert "/threads/..%2Fassistants%3Flimit%3D1" in result.err


def test_common_flags_may_stand_anywhere(shell: Shell) -> None:
    for words in (
        ["--format", "jsonl", "models", "list"],
        ["models", "--format", "jsonl", "list"],
        ["models", "list", "--format", "jsonl"],
        ["--format", "yaml", "models", "list", "--format", "jsonl"],
    ):
        assert shell(*words).lines[0]["id"] == "rehearsal"


def test_an_include_is_a_query_value_each(shell: Shell) -> None:
    thread, run, _ = shell.waiting()
    field = "step_details.tool_calls[*].file_search.results[*].content"
    result = shell("beta:threads:runs:steps", "list", thread, run, "--include", field, "--debug")
    assert result.code == 0, result.err
    assert "include%5B%5D=step_details.tool_calls" in result.err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["beta:threads:runs", "create", "--assistant-id", "a"], "Missing: --thread-id."),
        (["beta:threads:runs", "create", "t", "--assistant-id", "a", "--tool", "{type"], "--tool is neither JSON nor YAML"),
        (["beta:threads:runs", "create", "t", "--assistant-id", "a", "--tool", "x"], "--tool must be object, not 'x'."),
        (["beta:threads:runs", "create", "t", "--top-p", "much"], "--top-p must be a number, not 'much'."),
        (["beta:threads:runs", "create", "t", "--top-p", "nan"], "--top-p must be a number, not 'nan'."),
        (["beta:threads:runs", "create", "t", "--max-prompt-tokens", "1.5"], "must be a whole number, not '1.5'."),
        (["beta:threads:runs", "create", "t", "--stream=maybe"], "--stream must be true or false, not 'maybe'."),
        (["beta:threads:runs", "create", "t", "--model", "a", "--model", "b"], "--model is given twice."),
        (["beta:threads:runs", "create", "t", "--instructions", "@nofile"], "--instructions: the file nofile cannot be read"),
        (["beta:threads", "retrieve", "a", "b"], "Too many arguments: b."),
        (["models", "list", "--transform", "data[?"], "--transform 'data[?' cannot be read"),
        (["models", "list", "--base-url", "ftp://host"], "--base-url is 'ftp://host'; it must be like"),
        (["models", "list", "--header", "nothing"], "--header must be 'Name: value'."),
    ],
)  # fmt: skip
def test_a_wrong_command_line_is_told_in_one_block_before_anything_is_sent(
    arguments: list[str], told: str, shell: Shell
) -> None:
    result = shell(*arguments, "--debug")
    assert result.code == 2
    assert result.err.startswith("threadmill: ")
    assert told in result.err
    assert "> " not in result.err
    assert result.out == ""


def test_a_mistyped_command_or_flag_gets_a_suggestion(shell: Shell) -> None:
    for arguments, suggested in (
        (["beta:thread"], "beta:threads"),
        (["beta:threads:runs", "creat"], "create"),
        (["beta:threads:runs", "create", "--thread"], "--thread-id"),
    ):
        result = shell(*arguments)
        assert result.code == 2
        assert suggested in result.err.splitlines()[-1]


def test_a_body_that_is_no_object_is_refused(shell: Shell) -> None:
    result = shell("beta:threads", "create", stdin="just words")
    assert (result.code, result.out) == (2, "")
    assert "Standard input must be one object" in result.err
    assert shell("beta:threads", "create", "--stdin", "ignore", stdin="just words").code == 0


def test_a_bad_header_value_is_refused_without_showing_it(shell: Shell) -> None:
    result = shell("models", "list", "--api-key", "secret\nkey")
    assert result.code == 2
    assert "secret" not in result.err


def test_help_and_listing_import_nothing_heavy() -> None:
    code = (
        "import sys; from threadmill.cli.main import app; app.main(['beta:threads:runs', 'create', '--help'],"
        " standalone_mode=False); print(sorted(set(sys.modules) & {'pydantic', 'sqlalchemy', 'aiohttp', 'starlette',"
        " 'rich', 'yaml', 'jmespath', 'asyncio'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
