"""What the tool finds: a real recording with one thing changed must show exactly that; and what the command says of it."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from tools.replay.__main__ import main
from tools.replay.compare import Difference, Kind
from tools.replay.known import read_list
from tools.replay.recording import read
from tools.replay.replay import Options, replay
from tools.replay.report import Outcome

Document: TypeAlias = list[dict[str, Any]]
Change: TypeAlias = Callable[[Document], object]

OTHER = {"openai-version": "2021-10-01"}

REAL = Path(__file__).parent / "recordings"


def real(name: str) -> Document:
    return json.loads((REAL / f"{name}.json").read_text())


async def played(name: str, change: Change) -> Outcome:
    document = copy.deepcopy(real(name))
    change(document)
    return (await replay([read("changed", json.dumps(document))], read_list(), Options(patience=1)))[0]


def found(outcome: Outcome) -> list[tuple[int, Difference]]:
    return [(one.exchange.number, difference) for one in outcome.judged for difference in one.unexplained]


def body(number: int, change: Callable[[dict[str, Any]], object]) -> Change:
    return lambda document: change(document[number]["response"]["body"])


def renamed(shown: dict[str, Any]) -> None:
    items = [("colour" if key == "metadata" else key, value) for key, value in shown.items()]
    shown.clear()
    shown.update(items)


def turned_round(shown: dict[str, Any]) -> None:
    items = list(shown.items())[::-1]
    shown.clear()
    shown.update(items)


ANSWERS: list[tuple[str, Change, Kind]] = [
    ("status", lambda document: document[3]["response"].update(status=201), Kind.STATUS),
    ("metadata.a", body(3, lambda shown: shown.update(metadata={"a": "b"})), Kind.MISSING),
    ("object", body(3, lambda shown: shown.update(object="threads")), Kind.VALUE),
    ("metadata", body(3, lambda shown: shown.update(metadata=None)), Kind.VALUE),
    ("created_at", body(3, lambda shown: shown.update(created_at="now")), Kind.VALUE),
    ("id", body(3, lambda shown: shown.update(id="msg_AHqXohYpLueVwYQ23H8ZIaGO")), Kind.VALUE),
    ("extra", body(3, lambda shown: shown.update(extra=1)), Kind.MISSING),
    ("colour", body(3, renamed), Kind.MISSING),
    ("", body(3, turned_round), Kind.ORDER),
    ("headers.openai-version", lambda document: document[3]["response"]["headers"].update(OTHER), Kind.HEADER),
]


@pytest.mark.parametrize(("field", "change", "kind"), ANSWERS, ids=[field or "order" for field, *_ in ANSWERS])
async def test_one_changed_thing_of_an_answer_is_found_where_it_is(field: str, change: Change, kind: Kind) -> None:
    differences = found(await played("BasicThreadOperationsWork", change))
    assert differences, "nothing was found"
    at, first = differences[0]
    assert (at, first.kind, first.field) == (3, kind, field)


def events(change: Callable[[Document], object]) -> Change:
    return lambda document: change(document[2]["response"]["events"])


def swapped(rows: Document) -> None:
    rows[3], rows[5] = rows[5], rows[3]


EVENTS: list[tuple[str, Callable[[Document], object], Kind]] = [
    ("thread.run.queued", lambda rows: rows.pop(1), Kind.EVENT_ADDED),
    ("thread.run.created", lambda rows: rows.insert(2, copy.deepcopy(rows[0])), Kind.EVENT_MISSING),
    ("thread.run.step.created", swapped, Kind.EVENT_MISSING),
    ("thread.run.created", lambda rows: rows[0]["data"].update(model="other"), Kind.VALUE),
    ("thread.run.completed", lambda rows: rows[-2]["data"].update(metadata={"a": "b"}), Kind.MISSING),
    ("ping", lambda rows: rows.append({"event": "ping", "data": {}}), Kind.EVENT_MISSING),
]


@pytest.mark.parametrize(("named", "change", "kind"), EVENTS)
async def test_one_changed_event_is_found(named: str, change: Callable[[Document], object], kind: Kind) -> None:
    outcome = await played("StreamingRunWorks", events(change))
    of = [difference for _, difference in found(outcome) if difference.kind is kind]
    assert of, found(outcome)
    assert any(named in f"{one.where} {one.object} {one.recorded} {one.ours}" for one in of)
    assert not [difference for number, difference in found(outcome) if number != 2]


async def test_a_run_that_ends_otherwise_is_found_and_soon_given_up() -> None:
    def failed(document: Document) -> None:
        for one in document[13:16]:
            one["response"]["body"].update(status="no_such_status")

    differences = found(await played("FunctionToolsWork", failed))
    assert {(at, one.field) for at, one in differences} >= {(13, "status"), (14, "status"), (15, "status")}


def test_the_command_says_where_and_exits_with_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = real("BasicThreadOperationsWork")
    document[3]["response"]["body"]["metadata"] = {"a": "b"}
    (tmp_path / "changed.json").write_text(json.dumps(document))
    assert main([str(tmp_path)]) == 1
    said = capsys.readouterr().out
    assert "DIFFERS  changed" in said
    assert "missing at body.metadata.a of thread" in said
    assert "added at body.metadata.threadMetadata" in said
    assert "2 unexplained differences" in said


def test_the_command_plays_what_it_can_and_exits_with_two_for_the_rest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.json").write_text("nothing")
    (tmp_path / "b.json").write_text(json.dumps(real("BasicThreadOperationsWork")))
    assert main([str(tmp_path)]) == 2
    said = capsys.readouterr()
    assert "a.json is not JSON" in said.err
    assert "same  b" in said.out
    assert main([str(tmp_path / "nowhere")]) == 2


def test_a_row_that_explains_nothing_any_more_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    row = '[[difference]]\nkind = "value"\nobject = "thread"\nfield = "metadata"\nreason = "once"\n'
    (tmp_path / "list.toml").write_text(row + 'seen_in = ["BasicThreadOperationsWork"]\n')
    place = str(REAL / "BasicThreadOperationsWork.json")
    assert main([place, "--list", str(tmp_path / "list.toml")]) == 1
    assert "no longer seen in BasicThreadOperationsWork" in capsys.readouterr().out
    (tmp_path / "list.toml").write_text(row)
    assert main([place, "--list", str(tmp_path / "list.toml")]) == 2
    assert "lacks seen_in" in capsys.readouterr().err
