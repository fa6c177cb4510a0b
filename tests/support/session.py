"""One run of the tests as a whole: which tests it had, how they ended, and where its evidence is kept."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.support.evidence import LEDGER
from tests.support.surface import Fact

ROOT = Path(__file__).parents[2]
EVIDENCE = ROOT / ".evidence.json"
"""What the last run of all tests showed; `make docs` writes the conformance page from it."""

LAST = "tests/conformance/test_complete.py"
"""Its tests look at all others, so they run behind them."""


class Session:
    """Kept by the hooks of tests/conftest.py."""

    def __init__(self) -> None:
        self.is_whole = False
        self.skipped: set[str] = set()
        self.failed: set[str] = set()

    def arrange(self, items: list[pytest.Item], skipped: Iterable[str]) -> None:
        """Put the last last; see whether these are all tests there are."""
        items.sort(key=lambda item: item.nodeid.startswith(LAST))
        files = {item.nodeid.partition("::")[0] for item in items}
        self.skipped |= set(skipped)
        there = {str(path.relative_to(ROOT)) for path in (ROOT / "tests").rglob("test_*.py")}
        self.is_whole = {path for path in there if "node_modules" not in path} <= files | self.skipped

    def ended(self, report: pytest.TestReport) -> None:
        """One phase of one test is over."""
        test = report.nodeid.partition("[")[0]
        if report.failed:
            self.failed.add(test)
        elif report.skipped:
            self.skipped.add(test)

    def facts(self) -> dict[Fact, set[str]]:
        """What was shown by tests that did not fail."""
        held = {fact: tests - self.failed for fact, tests in LEDGER.facts.items()}
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
