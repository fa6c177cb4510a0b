"""What goes wrong: one readable block on standard error, an exit code, and no secret anywhere."""

import json
import signal
import subprocess
from collections.abc import Generator

import pytest

from tests.cli.command import BIN, Shell, clean_environment, run, server

KEY = "sk-very-secret-key-0123456789"


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Generator[Shell, None, None]:
    """A server that knows one key."""
    with server(tmp_path_factory.mktemp("locked"), THREADMILL_API_KEYS=f"team={KEY}") as url:
        yield Shell(url)


def test_an_error_of_the_api_is_a_block_with_what_helps(shell: Shell) -> None:
    result = shell("beta:threads", "retrieve", "thread_000000000000000000000000")
    assert (result.code, result.out) == (4, "")
    lines = result.err.splitlines()
    assert lines[0] == "threadmill: 404: No thread found with id 'thread_000000000000000000000000'."
    assert {line.split("  ")[1] for line in lines[1:-1]} >= {"type", "request", "request id"}
    assert lines[-1] == "  Check the ids; they belong to one server and one key's project."


def test_an_error_can_be_had_as_data(shell: Shell) -> None:
    result = shell("beta:threads", "retrieve", "nope", "--format", "json")
    assert (result.code, json.loads(result.err)["error"]["param"]) == (1, "thread_id")
    block = shell("beta:threads", "retrieve", "nope", "--format", "json", "--format-error", "auto")
    assert block.err.startswith("threadmill: 400: ")
    assert shell("beta:threads", "retrieve", "nope", "--format-error", "yaml").err.startswith("error:\n  message: ")


def test_a_wrong_key_and_no_key_have_an_exit_code_and_the_next_step(locked: Shell) -> None:
    for arguments in (["--api-key", "sk-wrong-key-0123456789"], []):
        result = locked("models", "list", *arguments)
        assert result.code == 3
        assert result.err.splitlines()[-1] == "  Give a key this server knows with --api-key or OPENAI_API_KEY."
    assert locked("models", "list", OPENAI_API_KEY=KEY).code == 0
    assert locked("models", "list", "--api-key", KEY, OPENAI_API_KEY="sk-wrong-key").code == 0


def test_debug_shows_the_request_and_the_answer_but_no_key(locked: Shell) -> None:
    secret = "another-secret-header"
    flags = ("--api-key", KEY, "--header", f"X-Trace: {secret}", "--debug", "--metadata", f"{{leak: {KEY}}}")
    result = locked("beta:threads", "create", *flags)
    assert result.code == 0
    assert f"> POST {locked.url}/threads" in result.err
    assert "> Authorization: ***" in result.err
    assert "< 200 OK" in result.err
    assert "< {" in result.err
    assert KEY not in result.err
    assert secret not in result.err


def test_a_block_does_not_repeat_a_key_that_is_in_the_url(locked: Shell) -> None:
    result = locked("models", "retrieve", KEY, "--api-key", KEY)
    assert result.code == 4
    assert KEY not in result.err


def test_nobody_listening_says_how_to_start_a_server() -> None:
    result = run("models", "list", "--base-url", "http://127.0.0.1:1/v1")
    assert result.code == 7
    assert result.err.splitlines() == [
        "threadmill: Nothing listens on http://127.0.0.1:1/v1.",
        "  Start a server with `threadmill serve`, or name another with --base-url.",
    ]


def test_a_host_that_is_not_there_is_a_failed_connection() -> None:
    result = run("models", "list", "--base-url", "http://nowhere.invalid/v1")
    assert result.code == 7
    assert result.err.startswith("threadmill: The connection failed: ")


def test_a_base_url_without_its_end_says_so(shell: Shell) -> None:
    result = shell("models", "list", "--base-url", shell.url.removesuffix("/v1"))
    assert result.code == 4
    assert result.err.splitlines()[-1] == "  Check --base-url; it usually ends in /v1."


def test_the_servers_address_comes_from_flag_then_our_name_then_the_usual_one(shell: Shell) -> None:
    dead = "http://127.0.0.1:1/v1"
    assert run("models", "list", OPENAI_BASE_URL=shell.url).code == 0
    assert run("models", "list", OPENAI_BASE_URL=dead, THREADMILL_BASE_URL=shell.url).code == 0
    assert run("models", "list", "--base-url", shell.url, OPENAI_BASE_URL=dead, THREADMILL_BASE_URL=dead).code == 0
    port = shell.url.rpartition(":")[2].removesuffix("/v1")
    assert run("models", "list", THREADMILL_PORT=port).code == 0


def test_a_proxy_in_the_environment_does_not_stand_before_this_machine(shell: Shell) -> None:
    assert shell("models", "list", http_proxy="http://127.0.0.1:1").code == 0


def test_an_interrupted_stream_ends_with_130(shell: Shell) -> None:
    flags = ("--thread-id", shell.thread("say: words\nfail: stall"), "--assistant-id", shell.assistant(), "--stream")
    command = [str(BIN / "threadmill"), "beta:threads:runs", "create", *flags]
    environment = clean_environment(THREADMILL_BASE_URL=shell.url)
    pipe = subprocess.PIPE
    # Tests that run in a script's background are deaf to interrupts; their children need not be.
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=pipe,
        stderr=pipe,
        env=environment,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - no threads here
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 130
        assert process.stderr.read() == b""


def test_a_silent_server_is_given_up_after_the_timeout(shell: Shell) -> None:
    flags = ("--thread-id", shell.thread("fail: stall"), "--assistant-id", shell.assistant(), "--stream")
    result = shell("beta:threads:runs", "create", *flags, "--timeout", "0.5")
    assert result.code == 7
    assert result.err.splitlines()[0] == "threadmill: The server said nothing for 0.5 s."


def test_version_and_help_work_everywhere() -> None:
    assert run("--version").out.startswith("threadmill 0.")
    for words in ([], ["beta:threads:runs"], ["beta:threads:runs", "create"], ["serve"], ["completion"]):
        assert run(*words, "--help").code == 0
        assert run(*words, "-h").out.startswith("Usage: threadmill")
