"""Completion as a shell does it: bash itself where the line is bash's, the protocol of the others."""

import subprocess

import pytest

from tests.cli.command import clean_environment, run

COMMANDS_OF_RUNS = {"list", "create", "retrieve", "update", "submit-tool-outputs", "cancel", "events", "trace"}


def completed(line: str) -> set[str]:
    """What bash offers behind `line`, each as the word it would put there, less what stands before the last colon."""
    script = 'eval "$(threadmill completion bash)"; COMP_LINE="$1"; COMP_POINT=${#1}; _threadmill_completion; printf "%s\\n" "${COMPREPLY[@]}"'
    done = subprocess.run(
        ["bash", "-c", script, "bash", line], env=clean_environment(), capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    return set(done.stdout.split())


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("threadmill beta:threads:runs ", COMMANDS_OF_RUNS),
        ("threadmill beta:threads:runs sub", {"submit-tool-outputs"}),
        ("threadmill beta:threads:runs create --truncation-strategy.type ", {"auto", "last_messages"}),
        ("threadmill beta:threads:runs list --order d", {"desc"}),
        ("threadmill beta:threads:runs create --max-", {"--max-prompt-tokens", "--max-completion-tokens"}),
        ("threadmill files create --purpose us", {"user_data"}),
        ("threadmill models list --format y", {"yaml"}),
        ("threadmill completion ", {"bash", "zsh", "fish"}),
    ],
)
def test_bash_completes_commands_flags_and_values(line: str, offered: set[str]) -> None:
    assert completed(line) == offered


def test_bash_completes_resources_across_their_colons() -> None:
    assert completed("threadmill beta:thr") == {"threads", "threads:messages", "threads:runs", "threads:runs:steps"}
    assert completed("threadmill beta:threads:ru") == {"runs", "runs:steps"}
    assert {"serve", "migrate", "files", "beta:assistants"} <= completed("threadmill ")


def test_zsh_and_fish_are_offered_the_same() -> None:
    words = {"COMP_WORDS": "threadmill beta:threads:runs ", "COMP_CWORD": "2"}
    zsh = run(_THREADMILL_COMPLETE="zsh_complete", **words)
    assert set(zsh.out.splitlines()) >= COMMANDS_OF_RUNS
    fish = run(_THREADMILL_COMPLETE="fish_complete", COMP_WORDS="threadmill beta:threads:runs ", COMP_CWORD="")
    assert {line.partition(",")[2].partition("\t")[0] for line in fish.out.splitlines()} >= COMMANDS_OF_RUNS
    for shell in ("zsh", "fish"):
        assert "_THREADMILL_COMPLETE" in run("completion", shell).out


def test_a_flag_that_takes_a_file_leaves_it_to_the_shell() -> None:
    words = {"COMP_WORDS": "threadmill files create --file rep", "COMP_CWORD": "4"}
    assert run(_THREADMILL_COMPLETE="zsh_complete", **words).out.split() == ["file", "rep", "_"]
