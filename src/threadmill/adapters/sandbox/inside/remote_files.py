"""Our few functions in a remote kernel; executed there behind `files.py`, in the same namespace. All answer with text."""

import atexit
import base64
import json
import os
import shutil
import tempfile

from .files import Directory, NotAFile, Snapshot

DIRECTORY = Directory(tempfile.mkdtemp(prefix="threadmill-"))
BEFORE: Snapshot = {}


def begin() -> str:
    """Work in a directory of this kernel's own; it goes when the kernel goes."""
    os.chdir(DIRECTORY.root)
    atexit.register(shutil.rmtree, DIRECTORY.root, ignore_errors=True)
    return DIRECTORY.root


def remember() -> str:
    """Note what is there before the code runs."""
    BEFORE.clear()
    BEFORE.update(DIRECTORY.snapshot())
    return ""


def changed() -> str:
    """JSON: path, size and whether it is an image, of every file that is new or different."""
    found = DIRECTORY.changed(BEFORE)
    return json.dumps([(path, size, DIRECTORY.image(path, size) is not None) for path, size in found])


def put(path: str, mode: str, piece: str) -> str:
    """Begin or continue a file; what went wrong, or nothing."""
    try:
        if mode == "new":
            DIRECTORY.create(path).close()
        with open(os.path.join(DIRECTORY.root, path), "ab") as file:  # noqa: PTH118, PTH123 - as in files.py
            file.write(base64.b64decode(piece))
    except OSError as error:
        return error.strerror or "it failed"
    return ""


def get(path: str, at: int, most: int) -> str:
    """A piece of a file, or `!` and what went wrong."""
    try:
        with DIRECTORY.open(path) as file:
            file.seek(at)
            return base64.b64encode(file.read(most)).decode()
    except FileNotFoundError:
        return "!no such file"
    except (OSError, NotAFile) as error:
        return f"!{error}"
