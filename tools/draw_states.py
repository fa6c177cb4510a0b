"""Draws the status diagrams into docs/explanation/run-lifecycle.md from the domain's tables. `--check`: only compare."""

import sys
from collections import defaultdict
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

from threadmill.domain.message import MESSAGE_TRANSITIONS
from threadmill.domain.run import RUN_TRANSITIONS
from threadmill.domain.run_step import RUN_STEP_TRANSITIONS

PAGE = Path(__file__).parent.parent / "docs" / "explanation" / "run-lifecycle.md"
BEGIN, END = "<!-- drawn by tools/draw_states.py: begin -->", "<!-- drawn by tools/draw_states.py: end -->"


def run_diagram() -> str:
    """The run's table as Mermaid: one arrow a pair, its commands as label."""
    lines = ["```mermaid", "stateDiagram-v2", "    [*] --> queued"]
    for status, ways in RUN_TRANSITIONS.items():
        labels: dict[str, list[str]] = defaultdict(list)
        for command, target in ways.items():
            labels[target.value].append(command.__name__)
        lines += [f"    {status.value} --> {target}: {', '.join(names)}" for target, names in labels.items()]
        if not ways:
            lines.append(f"    {status.value} --> [*]")
    return "\n".join([*lines, "```"])


def plain_table(title: str, table: Mapping[StrEnum, frozenset[StrEnum]]) -> str:
    """Where each status may go."""
    rows = [f"| {s.value} | {', '.join(sorted(t.value for t in to)) or 'never left'} |" for s, to in table.items()]
    return "\n".join([f"{title}:", "", "| from | to |", "|---|---|", *rows])


def drawing() -> str:
    """Everything between the markers."""
    steps: Mapping[StrEnum, frozenset[StrEnum]] = {s: frozenset(to) for s, to in RUN_STEP_TRANSITIONS.items()}
    messages: Mapping[StrEnum, frozenset[StrEnum]] = {s: frozenset(to) for s, to in MESSAGE_TRANSITIONS.items()}
    tables = (plain_table("A run step", steps), plain_table("A message", messages))
    return "\n\n".join([BEGIN, run_diagram(), *tables, END])


def main() -> int:
    """1 if the page is stale and `--check` was asked."""
    text = PAGE.read_text()
    before, _, rest = text.partition(BEGIN)
    drawn = before + drawing() + rest.partition(END)[2]
    if drawn == text:
        return 0
    if "--check" in sys.argv:
        print(f"{PAGE.name} is stale: run make docs")
        return 1
    PAGE.write_text(drawn)
    return 0


if __name__ == "__main__":
    sys.exit(main())
