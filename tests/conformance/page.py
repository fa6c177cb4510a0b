"""Writes docs/reference/conformance.md from what the last run of all tests has shown: `make docs`.

A row keeps the test file it names as long as that file still shows it, so that the page changes only with the facts.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

from tests.conformance.limits import LIMITS, Limit
from tests.conformance.scope import GAPS, gap_of
from tests.conformance.statuses import ANSWERS, OK, STATUSES
from tests.sdk.clients import SDKS
from tests.sdk.expected import EXPECTED
from tests.sdk.page import KINDS
from tests.support.session import ROOT, read
from tests.support.surface import ANY, Fact, everything
from threadmill.wire.deviations import ADDED_OPERATIONS, DEVIATIONS, OTHER_CONTENT

PAGE = ROOT / "docs" / "reference" / "conformance.md"

Facts: TypeAlias = Mapping[Fact, set[str]]
Lines: TypeAlias = Iterator[str]

HEAD = """\
# Conformance

This page is written by `make docs` from what a run of all tests has shown, and a test fails when it is stale. Every
request and answer, and every event of every stream, of every test with a live server passes one observer
(`tests/support/witness.py`). It checks the answer against the pinned specification (`spec/openapi.yaml`), with objects
taken as closed; it holds each stream to what the official accumulators demand; and it notes what was shown: operation
and status, each parameter and value of a request that was answered with 200, each closed value of an answer, each event.
What is in the specification and not shown by any test must stand in the last table with its reason, or the tests fail.
Malformed input is schemathesis' part (`tests/conformance/test_fuzz.py`): on each operation no 5xx, always the error body.
"""

STATUS_HEAD = """\

## Requests in each status of a run

| status | {names} |
|---|{dashes}|"""

STATUS_TAIL = """
A 400 has type `invalid_request_error`, `param` and `code` null, and these texts:
"""

LIMIT_HEAD = """\

## Limits

Each is tested over HTTP at its edge: the last value taken, the first refused, and the whole refusal with text, `param`
and `code` ([test_limits](../../tests/conformance/test_limits.py)). Wrong types, unknown fields and nulls are tested at
every place of every body ([test_wrong](../../tests/conformance/test_wrong.py)), ids that are malformed, of another kind,
unknown, deleted or of another thread in every path ([test_ids](../../tests/conformance/test_ids.py)).

| place | limit | code | operations |
|---|---|---|---|"""

CLIENTS = """
## Clients

Each check of one script set runs on each client, unmodified, and every client must see the same; which check shows what,
and the frameworks that are known to work: [clients](clients.md). Kept by [test_clients](../../tests/sdk/test_clients.py).

| SDK | version | clients | checks |
|---|---|---|---|"""


class Row(NamedTuple):
    """A line of the page: its section and place, what is told of it, and the files of the tests that show it."""

    section: str
    place: str
    told: str
    files: frozenset[str]


def page(facts: Facts, old: str) -> str:
    """The whole page; `old` is the one before."""
    known, kept = everything(), claims(old)
    rows = list(_rows(facts, known))
    parts = [
        HEAD,
        *_numbers(facts, known),
        *_tables(rows, kept),
        *_statuses(),
        *_limits(),
        *_clients(),
        *_deviations(),
        *_gaps(known - facts.keys()),
    ]
    return "\n".join(parts).rstrip("\n") + "\n"


class Claim(NamedTuple):
    """What a row of a written page says."""

    told: str
    file: str


def claims(text: str) -> dict[tuple[str, str], Claim]:
    """(section, place) -> what its row says."""
    found: dict[tuple[str, str], Claim] = {}
    section = ""
    for line in text.split("\n"):
        if line.startswith("## "):
            section = line.removeprefix("## ")
        elif row := re.fullmatch(r"\| `([^`]+)` \| (.*) \| \[\w+\]\(\.\./\.\./(tests/[^)]+)\) \|", line):
            found[section, row[1]] = Claim(row[2], row[3])
    return found


def with_skipped(facts: Facts, old: str) -> Facts:
    """The facts with those that the page claims, for a run that had to skip tests: it cannot tell that they are wrong."""
    said = claims(old)
    lost = {
        fact: {claim.file}
        for fact in everything() - facts.keys()
        if (claim := said.get((section_of(fact), fact.place))) and (not fact.value or f"`{fact.value}`" in claim.told)
    }
    return {**facts, **lost}


def section_of(fact: Fact) -> str:
    """The heading a fact stands under."""
    return {"status": "Operations", "parameter": "Parameters", "value": "Values in answers", "event": "Events"}[
        fact.kind
    ]


def _rows(facts: Facts, known: set[Fact]) -> Iterator[Row]:
    held: dict[tuple[str, str], list[Fact]] = defaultdict(list)
    for fact in sorted(facts):
        if fact in known or fact.kind in ("status", "event"):
            held[section_of(fact), fact.place] = [*held[section_of(fact), fact.place], fact]
    for (section, place), shown in held.items():
        values = [fact.value for fact in shown if fact.value != ANY and not fact.value.startswith("5")]
        proving = [fact for fact in shown if fact.value in (ANY, "200")] or shown[:1]
        files = frozenset(test.partition("::")[0] for test in facts[proving[0]])
        yield Row(section, place, ", ".join(f"`{value}`" for value in values), files)


def _numbers(facts: Facts, known: set[Fact]) -> Lines:
    yield "| | in the specification | shown | not shown, with a reason |\n|---|---|---|---|"
    for kind, name in (
        ("status", "operations"),
        ("parameter", "parameters and their values"),
        ("value", "closed values in answers"),
        ("event", "stream events"),
    ):
        here = {fact for fact in known if fact.kind == kind and (kind != "status" or fact.value == "200")}
        yield f"| {name} | {len(here)} | {len(here & facts.keys())} | {len(here - facts.keys())} |"


TITLES = {
    "Operations": ("operation", "answers shown"),
    "Parameters": ("parameter", "values"),
    "Values in answers": ("field", "values"),
    "Events": ("event", "in the streams of"),
}


def _tables(rows: Sequence[Row], kept: Mapping[tuple[str, str], Claim]) -> Lines:
    for section, titles in TITLES.items():
        yield f"\n## {section}\n\n| {' | '.join(titles)} | kept by |\n|---|---|---|"
        for row in rows:
            if row.section == section:
                before = kept.get((section, row.place))
                file = before.file if before and before.file in row.files else min(row.files, key=_rank)
                yield f"| `{row.place}` | {row.told} | [{Path(file).stem}](../../{file}) |"


CHOSEN = (
    "tests/conformance/test_parameters.py",
    "tests/conformance/test_lists.py",
    "tests/api/test_endings.py",
    "tests/api/test_runs.py",
    "tests/api/test_objects.py",
    "tests/api/test_files.py",
)
"""Files that look at what they are named for; others only pass by."""


def _rank(file: str) -> tuple[int, str]:
    return (CHOSEN.index(file) if file in CHOSEN else len(CHOSEN)), file


def _statuses() -> Lines:
    names = " | ".join(request.name for request in ANSWERS)
    yield STATUS_HEAD.format(names=names, dashes="|".join("---" for _ in ANSWERS))
    for status in STATUSES:
        told = " | ".join("200" if answers[status] == OK else "400" for answers in ANSWERS.values())
        yield f"| `{status}` | {told} |"
    yield STATUS_TAIL
    for request, answers in ANSWERS.items():
        texts = {text.replace(status, "STATUS") for status, text in answers.items() if text}
        yield from (f"- {request.name}: `{text}`" for text in sorted(texts))


def _limits() -> Lines:
    yield LIMIT_HEAD
    held: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for limit in LIMITS:
        known = held[limit.place, _described(limit), limit.code]
        known.extend(operation for operation in limit.operations if operation not in known)
    for (place, told, code), operations in held.items():
        yield f"| `{place}` | {told} | `{code}` | {', '.join(f'`{one}`' for one in operations)} |"
    yield "| `messages` of a thread | at most 100,000 (`max_thread_messages`) | `thread_message_limit_exceeded` | all that add one |"
    yield "| `file` | at most 512 MB | `file_too_large` (413) | `POST /files` |"


def _described(limit: Limit) -> str:
    number = re.search(r"(?:maximum length|>=|<=) (-?\d+)", limit.text)
    amount = f"{int(number[1]):,}" if number else ""
    return {
        "maxLength": f"at most {amount} characters",
        "maxItems": f"at most {amount} items",
        "minimum": f"at least {amount}",
        "maximum": f"at most {amount}",
        "name": "1 to 64 of letters, digits, `_` and `-`",
        "minItems": "not empty",
        "text": "not empty",
        "maxProperties": "at most 16 pairs",
        "pairs": "at most 16 pairs",
        "key": "keys of at most 64 characters",
        "value": "values of at most 512 characters",
    }[limit.bound]


def _clients() -> Lines:
    yield CLIENTS
    for sdk in SDKS:
        kinds = ", ".join(KINDS[kind] for kind in sdk.kinds)
        yield f"| `{sdk.name}` | {sdk.version} | {kinds} | {len(EXPECTED) * len(sdk.kinds)} |"


def _deviations() -> Lines:
    yield "\n## Where answers leave the schema\n"
    yield "The service left its own schema too; this server sends what clients of the service saw. Sections are those of the"
    yield "collected behaviour of the service.\n\n| field | how | what | section |\n|---|---|---|---|"
    for row in DEVIATIONS:
        yield f"| `{row.object}.{row.field}` | {row.kind} | {row.description} | {row.reason} |"
    for other in OTHER_CONTENT:
        yield f"| `{other.operation}` | `{other.content_type}` | {other.description} | {other.reason} |"
    for added in ADDED_OPERATIONS:
        yield f"| `{added.method} {added.path}` | ours | {added.description} | |"


def _gaps(hidden: set[Fact]) -> Lines:
    yield "\n## Not shown, and why\n\n| what | where | facts | reason |\n|---|---|---|---|"
    for gap in GAPS:
        count = sum(gap_of(fact) is gap for fact in hidden)
        where = gap.place if gap.value == "*" else f"{gap.place}: {gap.value}"
        yield f"| {gap.kind} | `{where}` | {count} | {gap.reason} |"


def write() -> None:
    """Write it from the evidence of the last whole run; without one, say how to get it."""
    try:
        facts, _ = read()
    except FileNotFoundError:
        print("docs/reference/conformance.md is written from the evidence of a run of all tests: make test first")
        return
    PAGE.write_text(page(facts, PAGE.read_text() if PAGE.exists() else ""))


if __name__ == "__main__":
    write()
