"""Recordings from anywhere: whatever a file holds, it is read or refused with a reason, and playing it never breaks off."""

import copy
import json
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tools.replay.asking import Requests
from tools.replay.evidence import Evidence
from tools.replay.ids import Ids
from tools.replay.known import read_list
from tools.replay.recording import NotARecording, as_list, as_object, load, read
from tools.replay.replay import Options, replay
from tools.replay.seeds import seeds_of
from tools.replay.turns import turns_of

REAL = Path(__file__).parent / "recordings"
WHOLE: list[list[dict[str, Any]]] = [json.loads(path.read_text()) for path in sorted(REAL.glob("*.json"))]
DAMAGE: list[Any] = [None, 0, "", "queued", [], {}]
SCALARS = st.sampled_from([None, True, 0, -1, 2.5, "", "queued", "thread_x", "\ud800", [], {}, [None], {"id": 1}])


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every place in a value: its container and its key there."""
    inside: list[Any] = []
    keys = [*as_object(value), *range(len(as_list(value)))]
    for key in keys:
        inside += [(value, key), *places(value[key])]
    return inside


@st.composite
def damaged(draw: st.DrawFn) -> str:
    """A real recording in which a few values are others, or gone."""
    document = copy.deepcopy(draw(st.sampled_from(WHOLE)))
    for _ in range(draw(st.integers(1, 6))):
        container, key = draw(st.sampled_from(places(document)))
        if draw(st.booleans()):
            container[key] = copy.deepcopy(draw(SCALARS))
        else:
            del container[key]
        if not document:
            break
    return json.dumps(document)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(damaged())
def test_a_damaged_recording_is_understood_or_refused_with_its_place(text: str) -> None:
    try:
        recording = read("damaged", text, "damaged.json")
    except NotARecording as error:
        assert str(error).startswith("damaged.json")
        return
    for run in Evidence(recording).runs.values():
        assert all(turn.finish or turn.failure for turn in turns_of(run)[:-1])
    ids = Ids(recording)
    requests = Requests(recording, ids)
    for seed in seeds_of(recording):
        ids.translate_json(seed.body())
    for exchange in recording.exchanges:
        assert requests.of(exchange).method == exchange.method


@pytest.mark.parametrize("seed", range(5))
async def test_a_damaged_recording_is_played_to_its_end(seed: int) -> None:
    choice = Random(seed)
    document = copy.deepcopy(choice.choice([one for one in WHOLE if len(one) < 20]))
    for _ in range(4):
        container, key = choice.choice([place for place in places(document) if isinstance(place[1], str)])
        container[key] = "/threads/ä b/%zz" if key == "path" else choice.choice(DAMAGE)
    for one in document:
        one["request"] = {"method": "GET", "path": "/models", "body": None} | as_object(one.get("request"))
        one["response"] = {"status": 200} | as_object(one.get("response"))
    recording = read("damaged", json.dumps(document))
    outcome = (await replay([recording], read_list(), Options(patience=0.5)))[0]
    assert not outcome.broken
    assert outcome.stopped is not None or len(outcome.judged) == outcome.length


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("not json", "not JSON"),
        ("{}", "not a list of exchanges"),
        ("[1]", "exchange 0 is not"),
        ('[{"request": {"method": "GET", "path": "/models"}}]', "exchange 0 is not"),
        ('[{"request": {"path": "/models"}, "response": {"status": 200}}]', "exchange 0 is not"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_a_file_that_is_no_recording_is_named_and_the_others_are_read(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "bad.json").write_text(text)
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "empty.json").write_text("[]")
    recordings, faults = load(tmp_path)
    assert [one.name for one in recordings] == ["inner/empty"]
    assert len(faults) == 1
    assert str(tmp_path / "bad.json") in faults[0]
    assert reason in faults[0]


@pytest.mark.parametrize("prefix", ["", "/v1", "/openai/v1", "https://api.example.com/v1"])
async def test_a_path_is_understood_however_much_of_it_was_recorded(prefix: str) -> None:
    head = {"request": {"method": "get", "path": f"{prefix}/assistants?limit=1", "body": ""}}
    body: dict[str, Any] = {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}
    shown: dict[str, Any] = {
        "response": {"status": 200, "headers": {"Content-Type": ["application/json"]}, "body": body}
    }
    outcome = (await replay([read("one", json.dumps([head | shown]))], read_list()))[0]
    assert (outcome.unexplained, outcome.broken) == (0, "")
