"""What a machine may lack.

A test that needs such a thing is marked `needs("sandbox")`. Where it is not there, the test is skipped with one line that
says why; in CI, which has all but perhaps root's rights, that is a failure.
"""

import os
import shutil
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from threadmill.adapters.extract.process_limits import supports_seccomp
from threadmill.adapters.sandbox.bwrap.command import find_bwrap

ROOT = Path(__file__).parents[2]
NODE_SDKS = ROOT / "tests" / "sdk" / "node" / "node_modules"


def _sandbox() -> str:
    bwrap = find_bwrap()
    if bwrap is None:
        return "bubblewrap is not installed: make setup"
    tried = subprocess.run([bwrap, "--unshare-user", "--ro-bind", "/", "/", "true"], capture_output=True, check=False)
    return " ".join(tried.stderr.decode().split())


def _node() -> str:
    if shutil.which("node") is None:
        return "node is not installed"
    return "" if NODE_SDKS.exists() else "the Node SDKs are not installed: make test, with a network"


def _root() -> str:
    return "" if os.geteuid() == 0 else "only root may do that"


def _seccomp() -> str:
    return "" if supports_seccomp() else "the fence exists on Linux, x86-64 and arm64"


THINGS: dict[str, Callable[[], str]] = {
    "sandbox": cache(_sandbox),
    "node": _node,
    "root": _root,
    "seccomp": _seccomp,
}
"""Each with what tells why it cannot be used; nothing if it can."""


def lack(why: str) -> None:
    """End this test because the machine lacks something; without a reason, go on."""
    if why and os.environ.get("CI"):
        pytest.fail(why)
    if why:
        pytest.skip(why)


def require_marked(item: pytest.Item) -> None:
    """See that all a test is marked to need is there."""
    for mark in item.iter_markers("needs"):
        for name in mark.args:
            if name == "root" and (why := THINGS[name]()):
                pytest.skip(why)
            lack(THINGS[name]())
