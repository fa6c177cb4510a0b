"""The reference's own command line: each of its examples as it stands, each of its flags."""

import json
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.cli.command import Shell, clean_environment
from threadmill.cli.resources.command_spec import Flag, load
from threadmill.wire.deviations import ADDED_PARAMETERS

EXAMPLES = {
    "List runs": """\
openai beta:threads:runs list \\
  --api-key 'My API Key' \\
  --thread-id thread_id""",
    "Create run": """\
openai beta:threads:runs create \\
  --api-key 'My API Key' \\
  --thread-id thread_id \\
  --assistant-id assistant_id""",
    "Retrieve run": """\
openai beta:threads:runs retrieve \\
  --api-key 'My API Key' \\
  --thread-id thread_id \\
  --run-id run_id""",
    "Modify run": """\
openai beta:threads:runs update \\
  --api-key 'My API Key' \\
  --thread-id thread_id \\
  --run-id run_id""",
    "Submit tool outputs to run": """\
openai beta:threads:runs submit-tool-outputs \\
  --api-key 'My API Key' \\
  --thread-id thread_id \\
  --run-id run_id \\
  --tool-output '{}'""",
    "Cancel a run": """\
openai beta:threads:runs cancel \\
  --api-key 'My API Key' \\
  --thread-id thread_id \\
  --run-id run_id""",
    "List run steps": """\
openai beta:threads:runs:steps list \\
  --api-key 'My API Key' \\
  --thread-id thread_id \\
  --run-id run_id""",
    "Retrieve run step": """\
openai beta:threads:runs:steps retrieve \\
  --api-key 'My API Key' \\
  --thread-id thread_id \\
  --run-id run_id \\
  --step-id step_id""",
}
"""Every example of the reference's pages on runs and run steps, as printed there."""

SHOWN = {
    "Retrieve run": "thread.run",
    "Cancel a run": "thread.run",
    "Retrieve run step": "thread.run.step",
}
"""What an example's answer is, where it is no list."""

OF_THEIR_OWN = {"Create run", "Modify run", "Submit tool outputs to run"}
"""Examples that need a thread or a run in a certain state, each with a test below."""

FLAGS: dict[tuple[str, str], str] = {
    ("beta:threads:runs", "list"): "thread-id! after before limit order",
    ("beta:threads:runs", "create"): "thread-id! assistant-id! include* additional-instructions additional-message*"
    " instructions max-completion-tokens max-prompt-tokens metadata model parallel-tool-calls reasoning-effort"
    " response-format temperature tool-choice tool* top-p truncation-strategy",
    ("beta:threads:runs", "retrieve"): "thread-id! run-id!",
    ("beta:threads:runs", "update"): "thread-id! run-id! metadata",
    ("beta:threads:runs", "submit-tool-outputs"): "thread-id! run-id! tool-output*!",
    ("beta:threads:runs", "cancel"): "thread-id! run-id!",
    ("beta:threads:runs:steps", "list"): "thread-id! run-id! after before include* limit order",
    ("beta:threads:runs:steps", "retrieve"): "thread-id! run-id! step-id! include*",
}
"""Every flag of the reference: `!` is required, `*` an array."""


def as_it_stands(example: str, shell: Shell, ids: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """The example in a real shell, with our ids, under the reference's own name."""
    text = example
    for placeholder, value in ids.items():
        text = text.replace(f" {placeholder}", f" {value}")
    environment = clean_environment(OPENAI_BASE_URL=shell.url)
    script = 'openai() { threadmill "$@"; }\n' + text
    return subprocess.run(
        ["bash", "-c", script], env=environment, capture_output=True, text=True, check=False, input=""
    )


@pytest.fixture(scope="module")
def ids(shell: Shell) -> dict[str, str]:
    thread, run, _ = shell.waiting()
    step = shell.ok("beta:threads:runs:steps", "list", thread, run)["data"][0]["id"]
    return {"thread_id": thread, "run_id": run, "assistant_id": shell.assistant(), "step_id": step}


@pytest.mark.parametrize("name", [name for name in EXAMPLES if name not in OF_THEIR_OWN])
def test_an_example_of_the_reference_runs_as_it_stands(name: str, shell: Shell, ids: dict[str, str]) -> None:
    done = as_it_stands(EXAMPLES[name], shell, ids)
    assert (done.returncode, done.stderr) == (0, "")
    answer = json.loads(done.stdout)
    assert answer["object"] == SHOWN.get(name, "list")
    if name in SHOWN:
        assert answer["thread_id"] == ids["thread_id"]
    else:
        assert set(answer) == {"object", "data", "first_id", "last_id", "has_more"}
        assert [one["thread_id"] for one in answer["data"]] == [ids["thread_id"]]


def test_the_example_that_creates_a_run_creates_one(shell: Shell, ids: dict[str, str]) -> None:
    done = as_it_stands(EXAMPLES["Create run"], shell, ids | {"thread_id": shell.thread("Hello")})
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["assistant_id"] == ids["assistant_id"]


def test_the_example_that_modifies_a_run_modifies_an_ended_one(shell: Shell, ids: dict[str, str]) -> None:
    thread = shell.thread("Hello")
    flags = ("--thread-id", thread, "--assistant-id", ids["assistant_id"], "--stream", "--format", "jsonl")
    run = shell("beta:threads:runs", "create", *flags).lines[0]["data"]["id"]
    done = as_it_stands(EXAMPLES["Modify run"], shell, {"thread_id": thread, "run_id": run})
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["id"] == run


def test_the_example_that_submits_an_empty_output_reaches_the_server_which_names_the_call(shell: Shell) -> None:
    thread, run, call = shell.waiting()
    done = as_it_stands(EXAMPLES["Submit tool outputs to run"], shell, {"thread_id": thread, "run_id": run})
    assert done.returncode == 1
    assert done.stderr.startswith(f"threadmill: 400: Expected tool outputs for call_ids ['{call}']")


def test_the_same_example_with_the_calls_id_and_output_goes_on(shell: Shell) -> None:
    thread, run, call = shell.waiting()
    output = shlex.quote(json.dumps({"tool_call_id": call, "output": "7 degrees"}))
    example = EXAMPLES["Submit tool outputs to run"].replace("'{}'", output)
    done = as_it_stands(example, shell, {"thread_id": thread, "run_id": run})
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["status"] in {"queued", "in_progress", "completed"}


@pytest.mark.parametrize(("resource", "command"), FLAGS)
def test_a_command_has_every_flag_of_the_reference(resource: str, command: str) -> None:
    flags = next(c.flags for r in load() if r.name == resource for c in r.commands if c.name == command)
    ours = {_marked(flag) for flag in flags}
    reference = set(FLAGS[resource, command].split())
    # The reference's page does not show `--stream`, its command line has it; and what we added is ours.
    added = {row.name.replace("_", "-") for row in ADDED_PARAMETERS}
    assert ours - {"stream"} - added == reference


def _marked(flag: Flag) -> str:
    return flag.flag + "*" * flag.many + "!" * flag.required


def test_the_packaged_table_has_every_command_of_the_reference() -> None:
    commands = {(r.name, c.name) for r in load() for c in r.commands}
    assert commands >= FLAGS.keys()
    assert Path(load.__code__.co_filename).with_name("commands.json").is_file()
