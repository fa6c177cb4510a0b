"""A server that cannot start says why and what to do next, in one block, and ends with an exit code; never a traceback."""

import socket
import sqlite3
from pathlib import Path

import pytest

from tests.cli.command import Result, run, server
from threadmill.settings import SettingsError, load

WRONG_FILES = {
    "no TOML": (
        b"[[upstreams",
        "config.toml is not valid TOML: Expected ']]' at the end of an array declaration (at ",
    ),
    "no text": (b"\xff\xfe", "config.toml is not valid TOML: 'utf-8' codec can't decode byte 0xff in position 0"),
    "an unknown key": (
        b'[[upstreams]]\nbase_url = "http://a/v1"\nurl = "b"\n',
        "config.toml: upstreams.0.url: this version knows no such setting.",
    ),
    "a missing key": (b'[[upstreams]]\nname = "a"\n', "config.toml: upstreams.0.base_url: Field required."),
    "a wrong type": (
        b'[limits]\nmax_turns = "many"\n',
        "config.toml: limits.max_turns: Input should be a valid integer",
    ),
    "a wrong URL": (
        b'[[upstreams]]\nname = "near"\nbase_url = "localhost:9001"\n',
        "The upstream 'near' has base URL 'localhost:9001'; it must be like http://127.0.0.1:9001/v1 or https://host/v1.",
    ),
    "a wrong port": (
        b'[[upstreams]]\nbase_url = "http://host:many/v1"\n',
        "The upstream 'default' has base URL 'http://host:many/v1'; it must be like",
    ),
    "no model at all": (
        b"[models]\nrehearsal = false\n",
        "There is no model: the built-in one is switched off and no upstream is set.",
    ),
    "an alias for a model that is switched off": (
        b'[[upstreams]]\nbase_url = "http://a/v1"\nmodels = ["x"]\n[models]\nrehearsal = false\n[aliases]\n"gpt-4" = "rehearsal"\n',
        "The alias 'gpt-4' stands for 'rehearsal', which no upstream serves.",
    ),
    "an alias for nobody": (
        b'[[upstreams]]\nbase_url = "http://a/v1"\nmodels = ["llama-*"]\n[aliases]\n"gpt-4" = "gpt-5"\n',
        "The alias 'gpt-4' stands for 'gpt-5', which no upstream serves.",
    ),
    "no such certificates": (
        b'[[upstreams]]\nbase_url = "https://a/v1"\nca_file = "nope.pem"\n',
        "The upstream 'default' has ca_file 'nope.pem', which cannot be used: No such file or directory.",
    ),
    "a missing key of an upstream": (
        b'[[upstreams]]\nbase_url = "https://a/v1"\napi_key_env = "NO_SUCH_KEY"\n',
        "The upstream 'default' wants its key in NO_SUCH_KEY, which is not set.",
    ),
}


def refused(result: Result) -> list[str]:
    """The lines of a start that failed as it should."""
    assert (result.code, result.out) == (2, ""), result.err
    lines = result.err.splitlines()
    assert lines[0].startswith("threadmill: "), result.err
    assert all(line.startswith("  ") for line in lines[1:]), result.err
    return [lines[0].removeprefix("threadmill: "), *lines[1:]]


def serve(directory: Path, *arguments: str, **environment: str) -> list[str]:
    """What `serve` says when it cannot."""
    return refused(run("serve", "--port", "0", "--data-dir", str(directory), *arguments, **environment))


@pytest.mark.parametrize("kind", WRONG_FILES)
def test_a_wrong_configuration_names_its_place_and_the_next_step(kind: str, tmp_path: Path) -> None:
    content, told = WRONG_FILES[kind]
    (tmp_path / "config.toml").write_bytes(content)
    with pytest.raises(SettingsError) as raised:
        load({"THREADMILL_CONFIG": str(tmp_path / "config.toml")})
    assert str(raised.value).replace(f"{tmp_path}/", "").startswith(told)


def test_a_configuration_says_how_to_go_on(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_bytes(b"[[upstreams")
    for path in ("config.toml", "nowhere.toml", "."):
        said = serve(tmp_path / "data", THREADMILL_CONFIG=str(tmp_path / path))
        assert said[1].startswith("  Mend the file, or unset THREADMILL_CONFIG to start without it")
        assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("PORT", "eighty", "THREADMILL_PORT is 'eighty'; it must be a whole number."),
        ("PORT", "65536", "THREADMILL_PORT is 65536; it must be 0 (any free one) to 65535."),
        ("LOG_FORMAT", "xml", "THREADMILL_LOG_FORMAT is 'xml'; it must be text or json."),
        ("LEASE_SECONDS", "1", "THREADMILL_LEASE_SECONDS: Input should be greater than or equal to 3."),
        (
            "CORS_ORIGINS",
            "app.example",
            "THREADMILL_CORS_ORIGINS has 'app.example'; each entry must be like https://app.",
        ),
        ("ALLOWED_HOSTS", "http://a", "THREADMILL_ALLOWED_HOSTS has 'http://a'; each entry must be a name like api."),
        ("METRICS_OPEN", "yes", "THREADMILL_METRICS_OPEN is 'yes'; it must be 1 or 0."),
        (
            "API_KEYS",
            "a=key-of-two-projects,b=key-of-two-projects",
            "THREADMILL_API_KEYS gives one key to two projects.",
        ),
        ("UPSTREAM_URL", "http://", "The upstream 'environment' has base URL 'http://'; it must be like http://127."),
    ],
)
def test_a_wrong_setting_of_the_environment_is_named_with_what_is_allowed(name: str, value: str, told: str) -> None:
    with pytest.raises(SettingsError) as raised:
        load({f"THREADMILL_{name}": value})
    assert str(raised.value).startswith(told)


def test_a_wrong_flag_of_serve_is_a_usage_error(tmp_path: Path) -> None:
    assert serve(tmp_path, "--role", "boss") == ["--role is 'boss'; it must be all, api or worker."]
    for flags in (["--port", "65536"], ["--prot", "1"]):
        result = run("serve", *flags)
        assert result.code == 2
        assert flags[0] in result.err.splitlines()[-1]


def test_a_port_in_use_says_so_and_how_to_take_another(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        said = refused(run("serve", "--port", str(port), "--data-dir", str(tmp_path)))
    assert said == [
        f"Cannot listen on 127.0.0.1:{port}: Address already in use.",
        "  Stop what listens there, or choose another port with --port; 0 picks a free one.",
    ]


def test_an_address_that_is_not_ours_says_so(tmp_path: Path) -> None:
    for host, why in (("192.0.2.1", "Cannot assign requested address."), ("nowhere.invalid", "")):
        said = serve(tmp_path, "--host", host, THREADMILL_API_KEYS="key-of-sixteen-or-more")
        assert said[0].startswith(f"Cannot listen on {host}:0: {why}")
        assert said[1] == "  Choose another with --host."


def test_a_server_without_keys_does_not_listen_to_the_network(tmp_path: Path) -> None:
    (said,) = serve(tmp_path, "--host", "0.0.0.0")
    assert said.endswith("Set THREADMILL_API_KEYS=<key> to open it to the network, or use --host 127.0.0.1.")


@pytest.mark.parametrize("command", ["serve", "migrate"])
def test_a_data_directory_that_cannot_be_written_is_told(command: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path, why in ((tmp_path / "file" / "data", "Not a directory"), (Path("/proc/self/data"), "")):
        (said,) = refused(run(command, "--data-dir", str(path), THREADMILL_PORT="0"))
        assert said.startswith(f"The data directory {path} cannot be used: {why}")
        assert said.endswith(". Choose another with --data-dir.")


@pytest.mark.parametrize("command", ["serve", "migrate"])
def test_a_database_newer_than_the_program_is_left_as_it_is(command: str, tmp_path: Path) -> None:
    assert run("migrate", "--data-dir", str(tmp_path)).code == 0
    path = tmp_path / "threadmill.db"
    database = sqlite3.connect(path)
    database.execute("UPDATE alembic_version SET version_num = 'from_the_future'")
    database.commit()
    before = list(database.iterdump())
    (said,) = refused(run(command, "--data-dir", str(tmp_path), THREADMILL_PORT="0"))
    assert said.startswith(f"The database {path} was written by a newer version of threadmill")
    assert said.endswith("Upgrade threadmill, or choose another database (--data-dir).")
    assert list(database.iterdump()) == before
    database.close()


@pytest.mark.parametrize("command", ["serve", "migrate"])
def test_a_file_that_is_no_database_is_left_as_it_is(command: str, tmp_path: Path) -> None:
    path = tmp_path / "threadmill.db"
    path.write_text("The diary of another program. " * 99)
    (said,) = refused(run(command, "--data-dir", str(tmp_path), THREADMILL_PORT="0"))
    assert said.endswith("If it is another program's file, choose another --data-dir.")
    assert path.read_text() == "The diary of another program. " * 99


@pytest.mark.parametrize("command", ["serve", "migrate"])
def test_a_data_directory_in_use_is_not_shared(command: str, tmp_path: Path) -> None:
    with server(tmp_path):
        (said,) = refused(run(command, "--data-dir", str(tmp_path), THREADMILL_PORT="0"))
    assert said.startswith(f"Another threadmill server uses {tmp_path}/threadmill.db. Stop it, or ")


def test_a_damaged_database_ends_the_start_instead_of_hanging_it(tmp_path: Path) -> None:
    assert run("migrate", "--data-dir", str(tmp_path)).code == 0
    database = sqlite3.connect(tmp_path / "threadmill.db")
    database.execute("DROP TABLE runs")
    database.commit()
    database.close()
    said = serve(tmp_path, THREADMILL_SANDBOX="off")
    assert said[0] == "The database cannot be used: no such table: runs."
    assert said[1] == f"  Look at the disk, and restore {tmp_path}/threadmill.db from a backup if it is damaged."


@pytest.mark.parametrize("command", ["serve", "migrate"])
def test_another_kind_of_database_is_not_taken_for_a_file(command: str, tmp_path: Path) -> None:
    result = run(command, "--data-dir", str(tmp_path), THREADMILL_DATABASE_URL="mysql://u:hidden@db/x")
    said = refused(result)
    assert said[0] == "THREADMILL_DATABASE_URL must begin with postgresql:// or sqlite:///."
    assert "hidden" not in "".join(said)


@pytest.mark.parametrize("command", ["serve", "migrate"])
def test_a_postgresql_that_is_not_there_is_told_without_its_password(command: str, tmp_path: Path) -> None:
    url = "postgresql://u:hidden@127.0.0.1:1/x"
    (said,) = refused(run(command, "--data-dir", str(tmp_path), THREADMILL_DATABASE_URL=url))
    assert said.startswith("The PostgreSQL database x at 127.0.0.1:1 cannot be reached")
    assert said.endswith("Start it, or look at host and port in THREADMILL_DATABASE_URL.")


@pytest.mark.parametrize("command", [("backup", "x.tmbackup"), ("doctor",)])
def test_commands_for_a_sqlite_file_say_so_of_postgresql(command: tuple[str, ...], tmp_path: Path) -> None:
    result = run(*command, "--data-dir", str(tmp_path), THREADMILL_DATABASE_URL="postgresql://u:hidden@db/x")
    assert "is PostgreSQL (THREADMILL_DATABASE_URL)" in f"{result.out}{result.err}"
    assert "hidden" not in f"{result.out}{result.err}"


def test_migrate_says_what_it_did_and_may_be_repeated(tmp_path: Path) -> None:
    for _ in range(2):
        assert run("migrate", "--data-dir", str(tmp_path)).out == f"{tmp_path}/threadmill.db has the newest schema.\n"
