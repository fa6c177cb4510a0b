"""Frameworks that drive assistants, each in an environment of its own, each with a function tool: `make clients`."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
ENVIRONMENTS = HERE.parents[2] / ".venv-clients"
BOTH = "sun in Oslo, sun in Rome"

EXPECTED: dict[str, dict[str, Any]] = {
    "langchain": {
        "OpenAIAssistantRunnable": BOTH,
        "OpenAIAssistantV2Runnable": BOTH,
        "same thread": "again",
        "async": "later",
    },
    "autogen": {
        "tool": BOTH,
        "second turn": "again",
        "inner events": ["ToolCallRequestEvent", "ToolCallExecutionEvent", "Response"],
        "after a reset": "fresh",
    },
    "semantic-kernel": {"polled": BOTH, "streamed": BOTH, "messages": 4},
    "agency-swarm": {
        "asked": "they say sun in Oslo",
        "second turn": "again",
        "streamed": ["sun in Oslo", "they say sun in Oslo"],
    },
}


@pytest.mark.parametrize("framework", EXPECTED)
def test_a_framework_works_unmodified(framework: str, server_url: str, tmp_path: Path) -> None:
    python = ENVIRONMENTS / framework / "bin" / "python"
    env = os.environ | {"OPENAI_BASE_URL": server_url, "OPENAI_API_KEY": "test", "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [python, HERE / framework / "drive.py"],
        cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert pins_of(framework).items() <= told["versions"].items()
    assert told["seen"] == EXPECTED[framework]


def pins_of(framework: str) -> dict[str, str]:
    """The versions its environment was asked for."""
    asked = (HERE / framework / "requirements.in").read_text()
    return dict(re.findall(r"^([a-z-]+)(?:\[.*\])?==(\S+)", asked, re.MULTILINE))
