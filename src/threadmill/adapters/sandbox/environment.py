"""The sandbox's own Python: a copy of the interpreter and the packages analysts expect, complete in one directory.

A copy and not a venv, so that nothing of the server, its virtual environment or its home directory need be visible
inside. Packages are pinned with hashes in `packages.lock`, and everything is compiled to bytecode here, because inside
nothing can be written.
"""

import compileall
import hashlib
import os
import py_compile
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from threadmill.domain.error import Unavailable

LOCK = Path(__file__).parent / "packages.lock"
_STAMP = "stamp"
_LEFT_OUT = (
    "site-packages",
    "dist-packages",
    "__pycache__",
    "test",
    "tests",
    "idlelib",
    "tkinter",
    "turtledemo",
    "ensurepip",
    "lib2to3",
    "pydoc_data",
    "config-*",
    "*.a",
    "EXTERNALLY-MANAGED",
)


class InstallFailed(Unavailable):
    """The environment could not be built; `message` says what to do."""


def default_environment(data_dir: Path) -> Path:
    """Where the environment lies unless a setting says otherwise."""
    return data_dir / "sandbox" / "python"


def is_current(environment: Path, extra: Sequence[Path] = ()) -> bool:
    """Whether it was built by this version, for this Python, with these packages."""
    try:
        return (environment / _STAMP).read_text() == _stamp(extra)
    except OSError:
        return False


def is_built(environment: Path) -> bool:
    """Whether there is a whole environment, of whatever version."""
    return (environment / _STAMP).is_file()


def _stamp(extra: Sequence[Path]) -> str:
    content = b"".join(path.read_bytes() for path in (LOCK, *extra))
    return f"{sys.implementation.cache_tag} {sys.version} {hashlib.sha256(content).hexdigest()}"


def install(environment: Path, extra: Sequence[Path] = (), log: Callable[[str], None] = print) -> None:
    """Build it beside its place and move it there, so a broken build leaves the old one. Idempotent.

    `extra`: requirements files to add. Raises InstallFailed.
    """
    if is_current(environment, extra):
        log(f"sandbox: {environment} is up to date")
        return
    environment.parent.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(prefix="building-", dir=environment.parent))
    try:
        _copy_python(building)
        log("sandbox: installing packages")
        _install_packages(building, extra)
        _prepare(building)
        (building / _STAMP).write_text(_stamp(extra))
        shutil.rmtree(environment, ignore_errors=True)
        building.rename(environment)
    except OSError as error:
        raise InstallFailed(f"The sandbox's environment could not be built: {error}") from None
    finally:
        shutil.rmtree(building, ignore_errors=True)
    log(f"sandbox: {environment} is ready")


def _copy_python(building: Path) -> None:
    """The interpreter, its libraries and its standard library, laid out so that it finds them by itself."""
    executable = Path(getattr(sys, "_base_executable", sys.executable)).resolve()
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    (building / "bin").mkdir()
    shutil.copy2(executable, building / "bin" / version)
    for alias in ("python3", "python"):
        (building / "bin" / alias).symlink_to(version)
    source = Path(sysconfig.get_path("stdlib", vars={"installed_base": sys.base_prefix, "base": sys.base_prefix}))
    shutil.copytree(source, building / "lib" / version, ignore=shutil.ignore_patterns(*_LEFT_OUT))
    for library in _shared_libraries():
        shutil.copy2(library, building / "lib" / library.name)


def _shared_libraries() -> list[Path]:
    """Libraries that came with the interpreter; the system's own are visible inside anyway."""
    prefix = Path(sys.base_prefix)
    if prefix == Path("/usr"):
        return []
    pattern = "libpython*.so*" if prefix == Path("/usr/local") else "*.so*"
    return [path for path in (prefix / "lib").glob(pattern) if path.is_file()]


def _install_packages(building: Path, extra: Sequence[Path]) -> None:
    target = ["--target", str(building / "site")]
    _run([*_installer(building), *target, "--require-hashes", "--only-binary", ":all:", "-r", str(LOCK)])
    for path in extra:
        _run([*_installer(building), *target, "-r", str(path)])


def _installer(building: Path) -> list[str]:
    """Uv where there is one, beside this Python or on the path; else this Python's pip."""
    beside = Path(sys.executable).with_name("uv")
    uv = str(beside) if beside.exists() else shutil.which("uv")
    if uv:
        python = str(building / "bin" / "python3")
        return [uv, "pip", "install", "--quiet", "--link-mode", "copy", "--python", python]
    return [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:] or ["no message"]
        raise InstallFailed(f"Packages for the sandbox could not be installed: {last[0]}")


def _prepare(building: Path) -> None:
    """Less what nobody runs; with bytecode, matplotlib's list of fonts, and rights for everybody to read."""
    for tests in [path for path in (building / "site").rglob("tests") if path.is_dir()]:
        shutil.rmtree(tests, ignore_errors=True)
    for folder in ("lib", "site"):
        compileall.compile_dir(
            building / folder,
            quiet=2,
            workers=0,
            stripdir=str(building),
            prependdir="/opt/python",
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )
    _build_font_cache(building)
    _make_readable(building)


def _make_readable(building: Path) -> None:
    for folder, _, names in os.walk(building):
        Path(folder).chmod(0o755)
        for name in names:
            path = Path(folder, name)
            if not path.is_symlink():
                path.chmod(0o755 if os.access(path, os.X_OK) else 0o644)


def _build_font_cache(building: Path) -> None:
    """Searching the machine's fonts takes a second; the first plot shall not wait for it."""
    code = "import sys; sys.path.insert(0, sys.argv[1]); import matplotlib.font_manager"
    command = [str(building / "bin" / "python3"), "-I", "-S", "-c", code, str(building / "site")]
    variables = {"MPLCONFIGDIR": str(building / "matplotlib"), "LD_LIBRARY_PATH": str(building / "lib")}
    subprocess.run(command, capture_output=True, check=False, env=variables)  # noqa: S603 - our own
