"""The doctor says of each thing that it is well, or what to do; and changes nothing."""

import asyncio
import os
import resource
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.command import server
from tests.support.scripted import ScriptedUpstream
from threadmill.adapters.sql.migrate import migrate
from threadmill.cli.doctor.command import run_doctor

FAR = 2**40


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("THREADMILL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("THREADMILL_SANDBOX", "off")


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("empty") / "threadmill.db"
    migrate(f"sqlite:///{path}")
    return path.read_bytes()


@pytest.fixture
def data(tmp_path: Path, empty: bytes) -> Path:
    made = tmp_path / "data"
    made.mkdir(mode=0o700)
    (made / "threadmill.db").write_bytes(empty)
    return made


def change(data: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(data / "threadmill.db")) as database, database:
        database.execute(statement, values)


class Doctor:
    """What it said, by subject."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, data: Path, *, deep: bool = False) -> tuple[int, dict[str, str]]:
        code = run_doctor(data, deep=deep)
        lines = [
            line.split(maxsplit=1) for line in self._capsys.readouterr().out.replace("to do", "to-do").splitlines()
        ]
        return code, {text.split()[0]: f"{verdict} {text.split(maxsplit=1)[1]}" for verdict, text in lines}


@pytest.fixture
def doctor(capsys: pytest.CaptureFixture[str]) -> Doctor:
    return Doctor(capsys)


def test_a_healthy_directory_is_told_to_be_one_and_stays_as_it_is(data: Path, doctor: Doctor) -> None:
    before = {path.name: path.read_bytes() for path in data.iterdir()}
    code, said = doctor(data, deep=True)
    assert code == 0
    everything = {"keys", "database", "schema", "clock", "rights", "files", "disk", "limits", "upstream", "embedder"}
    assert set(said) == everything | {"sandbox"}
    assert all(text.startswith("ok ") for text in said.values())
    assert said["database"].endswith("in use by no server")
    assert {path.name: path.read_bytes() for path in data.iterdir()} == before


def test_a_running_server_is_seen_and_not_disturbed(tmp_path: Path, doctor: Doctor) -> None:
    with server(tmp_path):
        code, said = doctor(tmp_path)
        assert code == 0
        assert " in use by process " in said["database"]


def test_a_directory_of_a_server_that_never_ran_is_no_trouble(tmp_path: Path, doctor: Doctor) -> None:
    code, said = doctor(tmp_path / "new" / "er")
    assert code == 0
    assert said["database"].startswith("ok there is none at ")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("statement", "subject", "text"),
    [
        ("UPDATE alembic_version SET version_num = '0005'", "schema", "threadmill migrate, or a restart"),
        ("UPDATE alembic_version SET version_num = 'future'", "schema", "upgrade threadmill"),
        ("DROP TABLE alembic_version", "schema", "choose another --data-dir"),
        (f"INSERT INTO threads VALUES (1, 't', 'p', {FAR}, 1, '{{}}')", "clock", "set this machine's clock"),
        (
            "INSERT INTO files (id, project, created_at, version, data, purpose, blob) VALUES ('f', 'p', 1, 1, '', '', 'ab')",
            "files",
            "1 of 1 have lost their contents: restore them from a backup",
        ),
    ],
)
def test_what_is_wrong_in_the_database_is_told_with_what_to_do(
    statement: str, subject: str, text: str, data: Path, doctor: Doctor
) -> None:
    change(data, statement)
    code, said = doctor(data)
    assert code == 1
    assert text in said[subject]
    assert [name for name, line in said.items() if line.startswith("to-do")] == [subject]


def test_a_damaged_page_is_found_when_it_is_looked_for(data: Path, doctor: Doctor) -> None:
    path = data / "threadmill.db"
    found = bytearray(path.read_bytes())
    with closing(sqlite3.connect(path)) as database:
        (page,) = database.execute("SELECT rootpage FROM sqlite_master WHERE name = 'runs_page'").fetchone()
    found[(page - 1) * 4096 : page * 4096] = b"\xff" * 4096
    path.write_bytes(found)
    assert doctor(data)[0] == 0
    code, said = doctor(data, deep=True)
    assert code == 1
    assert "is damaged" in said["database"]


def test_a_file_that_is_no_database_is_told(data: Path, doctor: Doctor) -> None:
    (data / "threadmill.db").write_text("The diary of another program. " * 99)
    code, said = doctor(data)
    assert code == 1
    assert "cannot be read: file is not a database" in said["database"]


def test_data_others_may_read_and_a_place_nobody_may_write_are_told(data: Path, doctor: Doctor) -> None:
    (data / "threadmill.db").chmod(0o644)
    assert doctor(data)[0] == 0, "its directory is closed"
    data.chmod(0o755)
    code, said = doctor(data)
    assert code == 1
    assert f"chmod -R go= {data}" in said["rights"]


def test_services_that_do_not_answer_are_told(data: Path, doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THREADMILL_UPSTREAM_URL", "http://127.0.0.1:9/v1")
    monkeypatch.setenv("THREADMILL_EMBEDDING_MODEL", "text-embedding")
    monkeypatch.setenv("THREADMILL_SANDBOX", "http://127.0.0.1:9")
    code, said = doctor(data)
    assert code == 1
    assert "look at its URL, its key and the network" in said["upstream"]
    assert "bring it back" in said["embedder"]
    assert said["sandbox"].startswith("to-do ")


async def test_services_that_answer_are_told(
    data: Path, doctor: Doctor, monkeypatch: pytest.MonkeyPatch, upstream: ScriptedUpstream
) -> None:
    monkeypatch.setenv("THREADMILL_UPSTREAM_URL", upstream.url)
    code, said = await asyncio.to_thread(doctor, data)
    assert code == 0
    assert "environment answers in" in said["upstream"]


def test_limits_of_the_system_that_are_too_low_are_told(
    data: Path, doctor: Doctor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config = tmp_path / "threadmill.toml"
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    config.write_text(f"[limits]\nmax_connections = {hard if hard > 0 else 10_000}\n")
    monkeypatch.setenv("THREADMILL_CONFIG", str(config))
    code, said = doctor(data)
    assert code == (1 if hard > 0 else 0)
    assert ("raise it to" in said["limits"]) == (hard > 0)
