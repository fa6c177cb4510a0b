"""A backup holds all of a data directory but its secrets; a restore takes nothing on trust and writes over nothing."""

import hashlib
import io
import json
import os
import sqlite3
import tarfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from threadmill.adapters.sql.migrate import migrate
from threadmill.adapters.sqlite.database import connect
from threadmill.adapters.sqlite.snapshot import copied_snapshot, live_snapshot
from threadmill.cli.backup.making import run_backup
from threadmill.cli.backup.restoring import KEPT_CONFIGURATION, run_restore
from threadmill.cli.resources.error import CliError

CONTENT = b"what the file says" * 9
KEY = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("THREADMILL_")]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("empty") / "threadmill.db"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture
def data(tmp_path: Path, empty: Path) -> Path:
    """A data directory with a file."""
    made = tmp_path / "data"
    (made / "blobs" / KEY[:2]).mkdir(parents=True)
    (made / "blobs" / KEY[:2] / KEY).write_bytes(CONTENT)
    (made / "threadmill.db").write_bytes(empty.read_bytes())
    with closing(sqlite3.connect(made / "threadmill.db")) as database, database:
        values = ("file-1", "p", 1, 1, b"{}", "assistants", KEY)
        columns = "id, project, created_at, version, data, purpose, blob"
        database.execute(f"INSERT INTO files ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?)", values)
    return made


@pytest.fixture
def archive(tmp_path: Path, data: Path) -> Path:
    assert run_backup(tmp_path / "archive.tar", data, overwrite=False) == 0
    return tmp_path / "archive.tar"


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def held(directory: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file()
    }


def test_what_was_backed_up_is_restored_byte_by_byte(
    tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = tmp_path / "a.tar"
    assert run_backup(archive, data, overwrite=False) == 0
    assert run_restore(archive, tmp_path / "new") == 0
    new = held(tmp_path / "new")
    assert sorted(new) == [f"blobs/{KEY[:2]}/{KEY}", KEPT_CONFIGURATION, "threadmill.db"]
    assert new[f"blobs/{KEY[:2]}/{KEY}"] == CONTENT
    with closing(sqlite3.connect(tmp_path / "new" / "threadmill.db")) as database:
        assert database.execute("SELECT id, blob FROM files").fetchall() == [("file-1", KEY)]
    said = capsys.readouterr().out
    assert f"backup: {archive} holds 0 assistants, 0 threads, 0 messages, 0 runs, 1 files (1 blobs, 162 bytes)" in said
    assert f"restore: {tmp_path / 'new'} holds 0 assistants" in said


def test_a_backup_is_for_its_owner_only_and_leaves_nothing_else_behind(tmp_path: Path, data: Path) -> None:
    before = names(data)
    assert run_backup(tmp_path / "a.tar", data, overwrite=False) == 0
    assert (tmp_path / "a.tar").stat().st_mode & 0o777 == 0o600
    assert names(tmp_path) == ["a.tar", "data"]
    assert names(data) == before


def test_any_tar_reads_a_backup_and_no_secret_is_in_it(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "threadmill.toml"
    config.write_text(
        '[[upstreams]]\nbase_url = "https://user:hunter2secret@host/v1?token=hunter2secret"\napi_key = "hunter2secret"\n'
        'headers = {x-key = "hunter2secret"}\nextra_body = {key = "hunter2secret"}\n'
        '[sandbox]\ntoken = "hunter2secret"\n[blobs]\nsecret_access_key = "hunter2secret"\nsession_token = "hunter2secret"\n'
        'access_key_id = "hunter2secret"\n[limits]\nmax_turns = 77\n'
    )
    monkeypatch.setenv("THREADMILL_CONFIG", str(config))
    monkeypatch.setenv("THREADMILL_API_KEYS", "team=hunter2secret-hunter2secret")
    assert run_backup(tmp_path / "a.tar", data, overwrite=False) == 0
    assert b"hunter2secret" not in (tmp_path / "a.tar").read_bytes()
    with tarfile.open(tmp_path / "a.tar") as opened:
        assert opened.getnames() == ["configuration.json", "threadmill.db", f"blobs/{KEY}", "manifest.json"]
        shown = opened.extractfile("configuration.json")
        assert shown is not None
        found = json.loads(shown.read())
    assert found["projects_with_keys"] == ["team"]
    assert found["configuration"]["upstreams"][0]["base_url"] == "https://host/v1"
    assert found["configuration"]["limits"]["max_turns"] == 77


def test_a_copy_is_of_one_moment_and_stops_no_writer(tmp_path: Path, data: Path) -> None:
    path, steps = data / "threadmill.db", list[tuple[int, int]]()
    with closing(connect(path, busy_ms=0)) as writer, live_snapshot(path) as moment:
        before = moment.count_rows()

        def write(done: int, pages: int) -> None:
            steps.append((done, pages))
            key = (f"{len(steps)}".encode(), bytes(10_000))
            writer.execute("INSERT INTO shared_parts VALUES (?, ?)", key)  # at once, or it raises

        moment.copy_to(tmp_path / "copy.db", write, pages=10)
    assert len(steps) > 5
    assert steps == sorted(steps), "it never began again"
    with copied_snapshot(tmp_path / "copy.db") as copy:
        assert (copy.problem(), copy.count_rows()) == (None, before)


def test_a_backup_does_not_write_over_a_file_unless_told(tmp_path: Path, data: Path) -> None:
    (tmp_path / "a.tar").write_text("mine")
    with pytest.raises(CliError, match="is there already"):
        run_backup(tmp_path / "a.tar", data, overwrite=False)
    assert (tmp_path / "a.tar").read_text() == "mine"
    assert run_backup(tmp_path / "a.tar", data, overwrite=True) == 0
    assert run_restore(tmp_path / "a.tar", tmp_path / "new") == 0


def test_a_damaged_blob_ends_the_backup_and_a_lost_one_is_told(
    tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    blob = data / "blobs" / KEY[:2] / KEY
    blob.write_bytes(b"X" + CONTENT[1:])
    with pytest.raises(CliError, match=f"The contents of blob {KEY} are damaged"):
        run_backup(tmp_path / "a.tar", data, overwrite=False)
    assert names(tmp_path) == ["data"]
    blob.unlink()
    assert run_backup(tmp_path / "a.tar", data, overwrite=False) == 1
    assert "1 files have no contents in the data directory any more" in capsys.readouterr().err
    assert run_restore(tmp_path / "a.tar", tmp_path / "new") == 0


def test_where_there_is_no_database_no_backup_is_made(tmp_path: Path) -> None:
    with pytest.raises(CliError, match="There is no database at"):
        run_backup(tmp_path / "a.tar", tmp_path / "nowhere", overwrite=False)
    assert names(tmp_path) == []


def test_what_a_killed_backup_and_a_killed_restore_left_is_cleared_away(tmp_path: Path, data: Path) -> None:
    (data / ".backup-999999999").mkdir()
    assert run_backup(tmp_path / "a.tar", data, overwrite=False) == 0
    assert names(data) == ["blobs", "threadmill.db"]
    (tmp_path / "new" / ".restoring" / "blobs").mkdir(parents=True)
    assert run_restore(tmp_path / "a.tar", tmp_path / "new") == 0
    assert names(tmp_path / "new") == ["blobs", KEPT_CONFIGURATION, "threadmill.db"]


def test_a_restore_never_writes_over_data(tmp_path: Path, archive: Path) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "notes.txt").write_text("mine")
    with pytest.raises(CliError, match="is not empty, and a restore never writes over data. It holds notes.txt"):
        run_restore(archive, tmp_path / "new")
    assert held(tmp_path / "new") == {"notes.txt": b"mine"}


def member(name: str, data: bytes = b"", **fields: object) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for key, value in fields.items():
        setattr(info, key, value)
    return info.tobuf(tarfile.GNU_FORMAT) + data + bytes(-len(data) % 512)


def without(archive: bytes, name: str) -> bytes:
    """The archive without one of its files."""
    kept = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(archive)) as old, tarfile.open(fileobj=kept, mode="w") as new:
        for info in old:
            if info.name != name:
                new.addfile(info, old.extractfile(info))
    return kept.getvalue()


HOSTILE: dict[str, Callable[[bytes], bytes]] = {
    "nothing": lambda _: b"",
    "no tar": lambda _: b"The diary of another program. " * 99,
    "cut off": lambda good: good[: len(good) // 2],
    "without its last block": lambda good: good[:-1024],
    "a path out of the directory": lambda good: member("../outside", b"x") + good,
    "a path below blobs": lambda good: member("blobs/../../outside", b"x") + good,
    "an absolute path": lambda good: member("/tmp/outside", b"x") + good,
    "a symbolic link": lambda good: member("threadmill.db", type=tarfile.SYMTYPE, linkname="/etc/passwd") + good,
    "a hard link": lambda good: member(f"blobs/{'0' * 64}", type=tarfile.LNKTYPE, linkname="threadmill.db") + good,
    "a device": lambda good: member("threadmill.db", type=tarfile.CHRTYPE) + good,
    "a sparse file": lambda good: member("threadmill.db", type=tarfile.GNUTYPE_SPARSE) + good,
    "a long name's header": lambda good: member("././@LongLink", b"x" * 4096, type=tarfile.GNUTYPE_LONGNAME) + good,
    "a pax header": lambda good: member("x", b"20 size=99999999999\n", type=tarfile.XHDTYPE) + good,
    "a file twice": lambda good: member("configuration.json", b"{}") + good,
    "more than it has": lambda _: member("threadmill.db", b"")[:124] + b"77777777777\x00" + bytes(376),
    "a file nobody names": lambda good: member(f"blobs/{hashlib.sha256(b'x').hexdigest()}", b"x") + good,
    "a blob of another content": lambda good: good.replace(CONTENT, b"X" + CONTENT[1:]),
    "no blob": lambda good: without(good, f"blobs/{KEY}"),
    "no manifest": lambda good: without(good, "manifest.json"),
    "no database": lambda good: without(good, "threadmill.db"),
    "another database": lambda good: good.replace(b"file-1", b"file-2"),
    "another count": lambda good: good.replace(b'"files": 1', b'"files": 2'),
    "a later format": lambda good: good.replace(b'"format": 1', b'"format": 2'),
    "a manifest of another kind": lambda good: without(good, "manifest.json")[:-10240] + member("manifest.json", b"[]"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_an_archive_with(what: str, tmp_path: Path, archive: Path) -> None:
    good = archive.read_bytes()
    bad = HOSTILE[what](good)
    assert bad != good
    (tmp_path / "bad.tar").write_bytes(bad)
    with pytest.raises(CliError, match="was not restored") as refused:
        run_restore(tmp_path / "bad.tar", tmp_path / "new")
    assert refused.value.advice == "Nothing was changed."
    assert names(tmp_path / "new") == []
    assert names(tmp_path) == ["archive.tar", "bad.tar", "data", "new"]
