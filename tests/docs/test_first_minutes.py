"""A stranger's first five minutes: the demo and the README's six lines do what they say."""

import asyncio
import os
import pty
import re
import sys
from pathlib import Path

import pytest

from tests.sandbox.support import ENVIRONMENT
from tests.support.serving import serving

ROOT = Path(__file__).parents[2]


def environment(**extra: str) -> dict[str, str]:
    given = {name: value for name, value in os.environ.items() if not name.startswith("THREADMILL_")}
    return given | {"COLUMNS": "200"} | extra


async def output_of(*command: str, **extra: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, env=environment(**extra)
    )
    out, _ = await process.communicate()
    return process.returncode or 0, out.decode()


async def demo(directory: Path, **extra: str) -> str:
    """What the demo shows when it works; its downloads lie in `directory/demo`."""
    config = directory / "threadmill.toml"
    config.write_text(f'[sandbox]\npython = "{ENVIRONMENT}"\n')
    mine = {"THREADMILL_CONFIG": str(config), "THREADMILL_DATA_DIR": str(directory)}
    code, shown = await output_of(sys.executable, "-m", "threadmill", "demo", **{**mine, **extra})
    assert code == 0, shown
    return shown


def assert_in_order(shown: str, *texts: str) -> None:
    at = 0
    for text in texts:
        found = shown.find(text, at)
        assert found >= 0, f"{text!r} is not there, or not behind the one before it, in\n{shown}"
        at = found + len(text)


@pytest.mark.needs("sandbox")
async def test_the_demo_shows_a_run_with_a_function_and_code_and_a_search(tmp_path: Path) -> None:
    shown = await demo(tmp_path, COLUMNS="80")
    assert_in_order(
        shown,
        "code_interpreter  its sandbox blocked all ",
        "thread.run.created",
        'thread.run.step.delta        get_weather {"city": "Oslo", "days": 5}  ×4',
        "thread.run.requires_action   get_weather",
        "The run waits for us",
        "thread.run.step.delta        code_interpreter\n",
        '│ week = pd.Series({"Mon": 7.1, "Tue": 6.4,\n',
        "thread.run.step.delta        printed 7.9 degrees on average\n",
        '│ plt.savefig("/mnt/data/oslo.png")',
        "thread.run.step.delta        picture file-",
        "thread.run.step.delta        file_search\n",
        "thread.message.delta         picture file-",
        "thread.message.delta         Oslo had 7.9 degrees on average; all of it\n",
        "[oslo.csv](sandbox:/mnt/data/oslo.csv\n",
        "‹file-",
        "scarf【4:0†clothes.md】",
        "‹file-",
        "thread.run.completed",
        "The run, step by step",
        "= 7.9 degrees on average",
        "= a picture",
        "= clothes.md, score 1.00",
        f"{tmp_path}/demo/oslo.png",
        f"{tmp_path}/demo/oslo.csv",
    )
    assert "\x1b" not in shown
    assert "WARNING" not in shown, "a log is for when something goes wrong"
    rows = shown[shown.index("thread.run.created") : shown.index("Its files")].splitlines()
    assert max(map(len, rows)) <= 80
    assert (tmp_path / "demo" / "oslo.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "demo" / "oslo.csv").read_text().splitlines()[:2] == [",degrees", "Mon,7.1"]


async def test_the_demo_goes_on_without_code_where_there_is_no_bubblewrap(tmp_path: Path) -> None:
    shown = await demo(tmp_path, PATH=str(tmp_path))
    assert_in_order(
        shown,
        "code_interpreter  left out: bubblewrap is not installed (apt-get install bubblewrap).\n",
        "The run waits for us",
        'Degrees by day: {"Mon": 7.1,',
        "【4:0†clothes.md】",
        "thread.run.completed",
    )
    assert "pandas" not in shown
    assert "Its files" not in shown
    assert not (tmp_path / "demo").exists()
    assert shown.count("bubblewrap is not installed") == 1, "said once, in one line"


async def test_the_demo_is_coloured_on_a_terminal(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    env = environment(TERM="xterm-256color", THREADMILL_SANDBOX="off", THREADMILL_DATA_DIR=str(tmp_path))
    del env["COLUMNS"]
    env.pop("NO_COLOR", None)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "threadmill", "demo", stdout=theirs, stderr=theirs, env=env
    )
    os.close(theirs)
    shown = await asyncio.to_thread(everything, ours)
    assert await process.wait() == 0, shown
    assert "\x1b[36mthread.run.created" in shown
    assert "left out: THREADMILL_SANDBOX is off." in shown


def everything(terminal: int) -> str:
    """What was written to a terminal until all who write have closed it."""
    read = bytearray()
    with os.fdopen(terminal, "rb", buffering=0) as stream:
        try:
            while piece := stream.read(4096):
                read += piece
        except OSError:  # so Linux says that nobody is left to write
            pass
    return read.decode()


async def test_the_client_code_of_the_readme_prints_an_answer(tmp_path: Path) -> None:
    code = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)[0]
    async with serving(tmp_path) as live:
        status, shown = await output_of(
            sys.executable, "-W", "ignore", "-c", code.replace("http://127.0.0.1:8000/v1", live.url)
        )
    assert status == 0, shown
    assert "Hello!" in shown


@pytest.mark.needs("sandbox")
async def test_the_client_code_of_the_page_on_code_interpreter_runs(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "how-to" / "code-interpreter.md").read_text()
    code = "\n".join(re.findall(r"```python\n(.*?)```", page, re.DOTALL))
    config = tmp_path / "threadmill.toml"
    config.write_text(f'[sandbox]\npython = "{ENVIRONMENT}"\n')
    async with serving(tmp_path, CONFIG=str(config), SANDBOX="bwrap") as live:
        code = f"import os\nos.chdir({str(tmp_path)!r})\n" + code.replace("http://127.0.0.1:8000/v1", live.url)
        status, shown = await output_of(sys.executable, "-W", "ignore", "-c", code)
    assert status == 0, shown
    assert_in_order(shown, "import pandas as pd", "> total: 42", "> file-", "sandbox:/mnt/data/summary.csv")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "summary.csv").read_text().startswith(",total")
