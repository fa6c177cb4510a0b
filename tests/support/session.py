"""One run of the tests as a whole: which tests it had, how they ended, and where its evidence is kept.

Several processes share the work. Each leaves its part in a folder (`--evidence`), and the tests that look at all others
run behind them, in a process of their own that joins the parts.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.support.evidence import LEDGER, plain_name
from tests.support.surface import Fact

ROOT = Path(__file__).parents[2]
EVIDENCE = ROOT / ".evidence.json"
"""What the last run of all tests showed; `make docs` writes the conformance page from it."""

LAST = "tests/conformance/test_complete.py"
"""Its tests look at all others, so they run behind them."""

TOGETHER = {
    "sandboxes": ("tests/sandbox/", "tests/api/test_code.py"),
    "crowds": ("tests/soak/", "tests/sdk/", "tests/docs/test_first_minutes.py"),
}
"""Files that one process runs, one after the other: each fills the machine by itself."""

SLOWEST = ("tests/sdk/", "tests/soak/", "tests/replay/", "tests/cli/", "tests/faults/", "tests/docs/", "tests/sandbox/")
"""Floors whose files take longest; begun first, so that no process is left alone with one at the end."""


class Session:
    """Kept by the hooks of tests/conftest.py."""

    def __init__(self) -> None:
        self.is_whole = False
        self.files: set[str] = set()
        self.skipped: set[str] = set()
        self.failed: set[str] = set()
        self.shown: dict[Fact, set[str]] = LEDGER.facts

    def arrange(self, items: list[pytest.Item], skipped: Iterable[str]) -> None:
        """Put the slowest first and the last last; see whether these are all tests there are."""
        items.sort(key=lambda item: (item.nodeid.startswith(LAST), not item.nodeid.startswith(SLOWEST)))
        self.files |= {item.nodeid.partition("::")[0] for item in items}
        self.skipped |= set(skipped)
        self._see_whether_whole()

    def _see_whether_whole(self) -> None:
        there = {str(path.relative_to(ROOT)) for path in (ROOT / "tests").rglob("test_*.py")}
        self.is_whole = {path for path in there if "node_modules" not in path} <= self.files | self.skipped

    def leave_part(self, folder: Path, process: str) -> None:
        """What this process has seen, for who joins the parts."""
        facts = [[*fact, sorted(tests)] for fact, tests in self.shown.items()]
        part = {
            "files": sorted(self.files),
            "skipped": sorted(self.skipped),
            "failed": sorted(self.failed),
            "facts": facts,
        }
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{process}.json").write_text(json.dumps(part))

    def join_parts(self, folder: Path) -> None:
        """Take what the processes before have left."""
        for path in sorted(folder.glob("*.json")):
            part: dict[str, Any] = json.loads(path.read_text())
            self.files |= set(part["files"])
            self.skipped |= set(part["skipped"])
            self.failed |= set(part["failed"])
            for kind, place, value, tests in part["facts"]:
                self.shown[Fact(kind, place, value)] |= set(tests)
        self._see_whether_whole()

    def ended(self, report: pytest.TestReport) -> None:
        """One phase of one test is over."""
        test = plain_name(report.nodeid)
        if report.failed:
            self.failed.add(test)
        elif report.skipped:
            self.skipped.add(test)

    def facts(self) -> dict[Fact, set[str]]:
        """What was shown by tests that did not fail."""
        held = {fact: tests - self.failed for fact, tests in self.shown.items()}
        return {fact: tests for fact, tests in held.items() if tests}


def write(facts: dict[Fact, set[str]], skipped: set[str]) -> None:
    """Keep the evidence for `make docs`."""
    rows = [[*fact, sorted(tests)] for fact, tests in sorted(facts.items())]
    EVIDENCE.write_text(json.dumps({"facts": rows, "skipped": sorted(skipped)}, indent=0))


def read() -> tuple[dict[Fact, set[str]], set[str]]:
    """The evidence of the last whole run. Raises FileNotFoundError."""
    kept: dict[str, Any] = json.loads(EVIDENCE.read_text())
    facts = {Fact(kind, place, value): set(tests) for kind, place, value, tests in kept["facts"]}
    return facts, set(kept["skipped"])


SESSION = Session()
