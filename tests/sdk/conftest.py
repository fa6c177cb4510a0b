"""A server in a process of its own, as users run it."""

import re
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def server_url(tmp_path_factory: pytest.TempPathFactory) -> Generator[str, None, None]:
    directory: Path = tmp_path_factory.mktemp("data")
    command = [sys.executable, "-m", "threadmill", "serve", "--port", "0", "--data-dir", str(directory)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        found = re.search(r"http://\S+", server.stdout.readline())
        assert found is not None, "the server did not start"
        yield found[0]
    finally:
        server.terminate()
        server.wait()
        server.stdout.close()
