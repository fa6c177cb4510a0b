"""The clients the script set runs on: each an SDK version in an environment of its own, made by `make setup`."""

import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
ENVIRONMENTS = ROOT / ".venv-clients"
SECONDS = 1_500

Report: TypeAlias = dict[str, dict[str, dict[str, Any]]]
"""Kind of client -> check -> `seen` or `error`."""


@dataclass(frozen=True)
class Sdk:
    """One SDK version. `kinds` are its clients; `needs` is there once it is installed."""

    name: str
    version: str
    command: tuple[str, ...]
    needs: Path
    kinds: tuple[str, ...]

    def missing(self) -> str:
        """Why it cannot run here; nothing if it can."""
        if self.command[0] == "node" and shutil.which("node") is None:
            return "node is not installed"
        return "" if self.needs.exists() else f"{self.name} is not installed: make test, with a network"

    def drive(self, server: str, backstage: str) -> Report:
        """What every check of every kind saw."""
        driver = subprocess.Popen(
            [*self.command[:-1], *_arguments(self.command[-1], server, backstage), *self.kinds],
            cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        report, log = _told(driver)
        assert driver.returncode == 0, f"{self.name} ended with {driver.returncode}: {log[-2000:]}"
        told = json.loads(report)
        assert told["version"] == self.version
        return told["report"]


def _told(driver: subprocess.Popen[str]) -> tuple[str, str]:
    """What it printed as its report and as its log."""
    try:
        return driver.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        driver.kill()
        return driver.communicate()


def _arguments(last: str, server: str, backstage: str) -> list[str]:
    """The script's own arguments; Node's script also takes the generation."""
    return [server, backstage, last] if last.isdecimal() else [last, server, backstage]


def _python(folder: Path) -> Sdk:
    pinned = re.search(r"^openai==([\d.]+)", (folder / "requirements.in").read_text(), re.MULTILINE)
    assert pinned is not None
    python = ENVIRONMENTS / f"python-{folder.name}" / "bin" / "python"
    kinds = ("sync", "async", "azure-async")
    return Sdk(f"python-{folder.name}", pinned[1], _module(python), python.parents[1] / ".ready", kinds)


def _module(python: Path) -> tuple[str, ...]:
    return (str(python), "-m", "tests.sdk.python.drive")


def _newest_python() -> Sdk:
    """The one every other test uses too."""
    version = importlib.metadata.version("openai")
    kinds = ("sync", "async", "aiohttp", "azure-sync")
    name = ".".join(version.split(".")[:2])
    return Sdk(f"python-{name}", version, _module(Path(sys.executable)), Path(sys.executable), kinds)


def _node(alias: str, pinned: str) -> Sdk:
    generation = alias.removeprefix("openai-")
    command = ("node", str(HERE / "node" / "drive.mjs"), generation)
    return Sdk(
        f"node-{generation}",
        pinned.rpartition("@")[2],
        command,
        HERE / "node" / "node_modules" / alias,
        ("openai", "azure"),
    )


def sdks() -> tuple[Sdk, ...]:
    """All of them, oldest first."""
    folders = (HERE / "python").glob("*/requirements.in")
    older = sorted((_python(path.parent) for path in folders), key=lambda sdk: [int(n) for n in sdk.version.split(".")])
    aliases = json.loads((HERE / "node" / "package.json").read_text())["dependencies"]
    return (*older, _newest_python(), *(_node(alias, pinned) for alias, pinned in aliases.items()))


SDKS = sdks()
