"""docs/reference/cli.md is true: its examples run as printed, its lists are the code's."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.cli.command import Shell, clean_environment
from threadmill.cli.resources.error import ExitCode
from threadmill.cli.resources.render import FORMATS

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "cli.md").read_text()
EXAMPLES = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)


def test_the_page_has_examples() -> None:
    assert len(EXAMPLES) >= 5


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_of_the_page_runs_as_printed(example: str, shell: Shell, tmp_path: Path) -> None:
    environment = clean_environment(THREADMILL_BASE_URL=shell.url)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", example],
        cwd=tmp_path, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


def test_the_page_lists_every_exit_code_and_format() -> None:
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE)} == set(ExitCode)
    assert set(re.findall(r"^\| `(auto|[a-z]+)` \| [^|]+\| [^|]+\| [^|]+\|$", PAGE, re.MULTILINE)) == set(FORMATS)


def test_the_first_example_shows_the_runs_words(shell: Shell) -> None:
    environment = clean_environment(THREADMILL_BASE_URL=shell.url)
    done = subprocess.run(["bash", "-ec", EXAMPLES[0]], env=environment, capture_output=True, text=True, check=True)
    assert '"Hello from a shell."' in done.stdout
