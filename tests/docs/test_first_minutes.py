"""A stranger's first five minutes: the demo and the README's six lines do what they say."""

import asyncio
import os
import re
import sys
from pathlib import Path

from tests.support.serving import serving

ROOT = Path(__file__).parents[2]


async def output_of(*command: str) -> tuple[int, str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("THREADMILL_")} | {"COLUMNS": "200"}
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, env=env
    )
    out, _ = await process.communicate()
    return process.returncode or 0, out.decode()


async def test_the_demo_shows_a_run_that_calls_a_function_and_ends_completed() -> None:
    code, shown = await output_of(sys.executable, "-m", "threadmill", "demo")
    assert code == 0, shown
    order = [
        "thread.run.created",
        "thread.run.requires_action",
        'get_weather({"city": "Oslo"})',
        "The run waits for us",
        "thread.run.completed",
        "The run, step by step",
        "In Oslo it is 7 degrees and rainy right now. Take a coat.",
    ]
    places = [shown.find(text) for text in order]
    assert -1 not in places, shown
    assert places == sorted(places), shown


async def test_the_client_code_of_the_readme_prints_an_answer(tmp_path: Path) -> None:
    code = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)[0]
    async with serving(tmp_path) as live:
        status, shown = await output_of(
            sys.executable, "-W", "ignore", "-c", code.replace("http://127.0.0.1:8000/v1", live.url)
        )
    assert status == 0, shown
    assert "Hello!" in shown
