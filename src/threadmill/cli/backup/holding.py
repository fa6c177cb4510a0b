"""The blobs a backup copies get second names, so that nobody can remove them meanwhile."""

import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HELD = ".backup-"


@dataclass(frozen=True, slots=True)
class Held:
    """Where each blob can be read, and those that are not there."""

    blobs: dict[str, Path]
    lost: list[str]


@contextmanager
def held_directory(data_dir: Path) -> Generator[Path]:
    """Where second names are, on the disk of the first; what a killed backup left is removed."""
    for place in data_dir.glob(f"{HELD}*"):
        pid = place.name.removeprefix(HELD)
        if pid.isdigit() and not Path(f"/proc/{pid}").exists():
            shutil.rmtree(place, ignore_errors=True)
    held = data_dir / f"{HELD}{os.getpid()}"
    held.mkdir(mode=0o700)
    try:
        yield held
    finally:
        shutil.rmtree(held, ignore_errors=True)


def hold(keys: list[str], blobs: Path, held: Path) -> Held:
    """A second name in `held` for each blob, where the file system gives one."""
    found: dict[str, Path] = {}
    lost: list[str] = []
    for key in keys:
        place, name = blobs / key[:2] / key, held / key
        try:
            os.link(place, name, follow_symlinks=False)
            found[key] = name
        except FileNotFoundError:
            lost.append(key)
        except OSError:
            found[key] = place
    return Held(found, lost)
