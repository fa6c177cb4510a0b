"""The sandbox's own Python: a copy of the interpreter and the packages analysts expect, complete in one directory.

A copy and not a venv, so that nothing of the server, its virtual environment or its home directory need be visible
inside. Packages are pinned with hashes in `packages.lock`, and everything is compiled to bytecode here, because inside
nothing can be written.

It belongs to the installation, not to a data directory: every server of this user finds it, keyed by what it is made of.
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
from enum import StrEnum
from pathlib import Path

from threadmill.domain.error import Unavailable


class PackageSet(StrEnum):
    """What is installed: what analysts expect (about 1.1 GB), or the heavy ones too (about 1.7 GB)."""

    STANDARD = "standard"
    FULL = "full"

    @property
    def lock(self) -> Path:
        """The pinned packages, with hashes."""
        return Path(__file__).parent / ("packages.lock" if self is PackageSet.STANDARD else "packages-full.lock")


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
_UNUSED = (
    "**/tests",
    "**/*.pyi",
    "*/include",
    "share/jupyter",
    "jedi/third_party",  # stubs of packages, for completing names in an editor
    "pyarrow/*arrow_flight*",  # a network protocol
    "pyarrow/_flight*",
)
"""Of the packages, what no code inside can use."""


class InstallFailed(Unavailable):
    """The environment could not be built; `message` says what to do."""


def installed_environment(packages: PackageSet = PackageSet.STANDARD) -> Path:
    """Where this user's servers find it: `~/.local/share/threadmill/sandbox/KEY`, or below `XDG_DATA_HOME`.

    Raises InstallFailed for a user without a home.
    """
    try:
        home = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    except RuntimeError:
        raise InstallFailed("This user has no home directory; say where with --path or --data-dir.") from None
    return home / "threadmill" / "sandbox" / _key(packages)


def environment_in(data_dir: Path) -> Path:
    """A data directory's own, which wins over the user's."""
    return data_dir / "sandbox" / "python"


def default_environment(data_dir: Path) -> Path:
    """What a server takes unless a setting says otherwise: its data directory's own, the user's full set, the standard."""
    own = environment_in(data_dir)
    try:
        users = [installed_environment(packages) for packages in (PackageSet.FULL, PackageSet.STANDARD)]
    except InstallFailed:
        return own
    return next((one for one in (own, *users) if is_built(one)), users[-1])


def is_current(environment: Path, extra: Sequence[Path] = (), packages: PackageSet = PackageSet.STANDARD) -> bool:
    """Whether it was built by this version, for this Python, with these packages."""
    try:
        return (environment / _STAMP).read_text() == _stamp(packages, extra)
    except OSError:
        return False


def is_built(environment: Path) -> bool:
    """Whether there is a whole environment, of whatever version."""
    return (environment / _STAMP).is_file()


def _key(packages: PackageSet) -> str:
    return f"{packages}-{hashlib.sha256(_stamp(packages, ()).encode()).hexdigest()[:16]}"


def _stamp(packages: PackageSet, extra: Sequence[Path]) -> str:
    content = b"".join(path.read_bytes() for path in (packages.lock, *extra))
    return f"{sys.implementation.cache_tag} {sys.version} {hashlib.sha256(content).hexdigest()}"


def install(
    environment: Path,
    extra: Sequence[Path] = (),
    log: Callable[[str], None] = print,
    packages: PackageSet = PackageSet.STANDARD,
) -> None:
    """Build it beside its place and move it there, so a broken build leaves the old one. Idempotent.

    `extra`: requirements files to add. Raises InstallFailed.
    """
    if is_current(environment, extra, packages):
        log(f"sandbox: {environment} is up to date")
        return
    environment.parent.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(prefix="building-", dir=environment.parent))
    try:
        _copy_python(building)
        log(f"sandbox: installing the {packages} packages")
        _install_packages(building, packages, extra)
        _prepare(building)
        (building / _STAMP).write_text(_stamp(packages, extra))
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


def _install_packages(building: Path, packages: PackageSet, extra: Sequence[Path]) -> None:
    target = ["--target", str(building / "site")]
    _run([*_installer(building), *target, "--require-hashes", "--only-binary", ":all:", "-r", str(packages.lock)])
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
    for pattern in _UNUSED:
        for path in list((building / "site").glob(pattern)):
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink()
    for folder in ("lib", "site"):
        compileall.compile_dir(
            building / folder,
            quiet=2,
            workers=0,
            stripdir=str(building),
            prependdir="/opt/python",
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )
    _place_fonts(building / "site")
    _build_font_cache(building)
    _make_readable(building)


def _make_readable(building: Path) -> None:
    for folder, _, names in os.walk(building):
        Path(folder).chmod(0o755)
        for name in names:
            path = Path(folder, name)
            if not path.is_symlink():
                path.chmod(0o755 if os.access(path, os.X_OK) else 0o644)


def _place_fonts(site: Path) -> None:
    """The packages that are fonts go where matplotlib looks by itself."""
    fonts = site / "matplotlib" / "mpl-data" / "fonts" / "ttf"
    for path in [*site.glob("*/Noto*.[ot]tf"), *site.glob("Noto*.[ot]tf")]:
        if fonts.is_dir():
            path.replace(fonts / path.name)


def _build_font_cache(building: Path) -> None:
    """Searching the machine's fonts takes a second; the first plot shall not wait for it."""
    code = "import sys; sys.path.insert(0, sys.argv[1]); import matplotlib.font_manager"
    command = [str(building / "bin" / "python3"), "-I", "-S", "-c", code, str(building / "site")]
    variables = {"MPLCONFIGDIR": str(building / "matplotlib"), "LD_LIBRARY_PATH": str(building / "lib")}
    subprocess.run(command, capture_output=True, check=False, env=variables)  # noqa: S603 - our own
