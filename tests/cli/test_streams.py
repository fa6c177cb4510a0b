"""`--stream`: events as they come, and what their end means for scripts."""

import json
import subprocess

import yaml

from tests.cli.command import BIN, Shell, clean_environment
from tests.cli.test_answers import on_a_terminal
from threadmill.cli.resources.error import CliError
from threadmill.cli.resources.events import parse_events

CREATE = ("beta:threads:runs", "create")


def flags(shell: Shell, script: str) -> tuple[str, ...]:
    """Flags that stream a run of `script`."""
    return ("--thread-id", shell.thread(script), "--assistant-id", shell.assistant(), "--stream")


def test_a_piped_stream_is_an_event_a_line(shell: Shell) -> None:
    lines = shell(*CREATE, *flags(shell, "say: One two three.")).lines
    assert [lines[0]["event"], lines[-1]] == ["thread.run.created", {"event": "done", "data": "[DONE]"}]
    assert lines[-2]["event"] == "thread.run.completed"
    deltas = [line["data"] for line in lines if line["event"] == "thread.message.delta"]
    assert "".join(delta["delta"]["content"][0]["text"]["value"] for delta in deltas) == "One two three."


def test_events_are_printed_as_they_come(shell: Shell) -> None:
    """The model stalls for ever behind its first words; they must be there all the same."""
    command = [str(BIN / "threadmill"), *CREATE, *flags(shell, "say: First words\nfail: stall")]
    environment = clean_environment(THREADMILL_BASE_URL=shell.url)
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        seen = next(json.loads(line) for line in process.stdout if b"thread.message.delta" in line)
        process.kill()
    assert seen["data"]["delta"]["content"][0]["text"]["value"].startswith("First")


def test_a_readable_stream_tells_the_text_and_a_line_an_event(shell: Shell) -> None:
    said = shell(*CREATE, *flags(shell, "say: One two three."), "--format", "pretty").out
    assert "\nOne two three.\nthread.message.completed" in said
    assert "\x1b" not in said
    assert said.splitlines()[-1].split() == ["thread.run.completed", said.splitlines()[0].split()[1], "completed"]


def test_on_a_terminal_a_stream_is_readable_and_coloured(shell: Shell) -> None:
    said = on_a_terminal(shell, *CREATE, *flags(shell, "say: Hello"))
    assert "\x1b[36mthread.run.created" in said
    assert "\x1b[1mHello\x1b[0m" in said


def test_a_stream_that_waits_says_how_to_answer_and_the_answer_streams_on(shell: Shell) -> None:
    script = 'call: get_weather {"city": "Oslo"}\n---\nsay: It is {{output}}.'
    tool = "{type: function, function: {name: get_weather}}"
    waiting = shell(*CREATE, *flags(shell, script), "--tool", tool, "--format", "pretty")
    assert waiting.code == 0
    advice = next(line for line in waiting.out.splitlines() if "answer with:" in line)
    command = advice.partition("answer with: ")[2].replace("output: ...", "output: rainy")
    environment = clean_environment(THREADMILL_BASE_URL=shell.url)
    script = f"{command} --format pretty </dev/null"
    done = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert "It is rainy." in done.stdout


def test_a_transform_of_a_stream_leaves_out_events_it_finds_nothing_in(shell: Shell) -> None:
    picked = ("--transform", "data.delta.content[0].text.value")
    assert "".join(shell(*CREATE, *flags(shell, "say: One two"), *picked).out.split("\n")) == "One two"


def test_a_raw_stream_is_what_the_server_sent(shell: Shell) -> None:
    said = shell(*CREATE, *flags(shell, "say: Hi"), "--format", "raw").out
    assert "event: thread.run.created\ndata: {" in said
    assert said.endswith("event: done\ndata: [DONE]\n\n")


def test_a_yaml_stream_is_a_document_an_event(shell: Shell) -> None:
    said = shell(*CREATE, *flags(shell, "say: Hi"), "--format", "yaml").out
    events = list(yaml.safe_load_all(said))
    assert [events[0]["event"], events[-1]["event"]] == ["thread.run.created", "done"]


def test_create_and_run_streams_too(shell: Shell) -> None:
    thread = ("--thread.messages", "{role: user, content: 'say: Made and run'}", "--thread.metadata", "{a: b}")
    result = shell("beta:threads", "create-and-run", "--assistant-id", shell.assistant(), *thread, "--stream")
    assert result.lines[0]["event"] == "thread.created"
    assert result.lines[0]["data"]["metadata"] == {"a": "b"}
    assert result.code == 0


def test_a_run_that_fails_in_a_stream_is_an_exit_code_and_a_block(shell: Shell) -> None:
    result = shell(*CREATE, *flags(shell, "fail: rate_limit"))
    assert result.code == 8
    assert result.err.startswith("threadmill: The run ended failed: ")
    assert "rate_limit_exceeded" in result.err
    assert result.lines[-1]["event"] == "done"


def test_a_run_cut_short_by_its_budget_is_an_exit_code(shell: Shell) -> None:
    result = shell(*CREATE, *flags(shell, "repeat: 300\nsay: word"), "--max-completion-tokens", "256")
    assert (result.code, result.err.splitlines()[0]) == (
        8,
        "threadmill: The run ended incomplete: max_completion_tokens",
    )


def test_a_stream_that_breaks_off_is_a_broken_connection() -> None:
    try:
        list(parse_events([b"event: thread.run.created\n", b'data: {"id": "run_1"}\n', b"\n"]))
    except CliError as failure:
        assert failure.exit_code == 7
    else:
        raise AssertionError("a stream without its end passed")


def test_events_are_read_as_the_standard_says() -> None:
    lines = [b": keep-alive\r\n", b"id: 3\r\n", b"event: a\r\n", b"data: 1\r\n", b"data: 2\r\n", b"\r\n", b"\n"]
    events = list(parse_events([*lines, b"data: {}\n", b"\n", b"event: done\n", b"data: [DONE]\n", b"\n"]))
    assert [(event.name, event.data) for event in events] == [("a", "1\n2"), ("", {}), ("done", "[DONE]")]


def test_a_runs_events_are_followed_from_any_place_when_all_is_over(shell: Shell) -> None:
    thread, assistant = shell.thread("say: One two three."), shell.assistant()
    names = ("--thread-id", thread, "--assistant-id", assistant, "--stream")
    run = shell(*CREATE, *names).lines[0]["data"]["id"]
    follow = ("beta:threads:runs", "events", "--thread-id", thread, "--run-id", run)
    lines = shell(*follow).lines
    assert [lines[0]["event"], lines[-1]["event"]] == ["thread.run.created", "done"]
    rest = shell(*follow, "--after", "3").lines
    assert rest == lines[3:]


def test_a_runs_trace_is_shown(shell: Shell) -> None:
    thread, assistant = shell.thread("say: One."), shell.assistant()
    run = shell(*CREATE, "--thread-id", thread, "--assistant-id", assistant, "--stream").lines[0]["data"]["id"]
    shown = shell("beta:threads:runs", "trace", "--thread-id", thread, "--run-id", run).json
    assert [span["kind"] for span in shown["span"]["spans"]] == ["queue", "model"]
