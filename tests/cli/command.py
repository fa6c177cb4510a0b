"""The command as a user's shell starts it, against a server in a process of its own."""

import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Result:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as one JSON document."""
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        """Standard output as one JSON document a line."""
        return [json.loads(line) for line in self.out.splitlines()]


def clean_environment(**more: str) -> dict[str, str]:
    """The process's environment without any setting of ours, with the command on the path."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("THREADMILL_", "OPENAI_", "FORCE_COLOR"))}
    return {**kept, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", **more}


def run(*arguments: str, stdin: str | None = None, **environment: str) -> Result:
    """Run `threadmill` to its end. Without `stdin` standard input is empty."""
    done = subprocess.run(
        [str(BIN / "threadmill"), *arguments],
        input=stdin or "",
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=clean_environment(**environment),
    )
    return Result(done.returncode, done.stdout, done.stderr)


@dataclass(frozen=True)
class Shell:
    """Commands against one server."""

    url: str

    def __call__(self, *arguments: str, stdin: str | None = None, **environment: str) -> Result:
        """Run a command, however it ends."""
        return run(*arguments, stdin=stdin, **{"THREADMILL_BASE_URL": self.url, **environment})

    def ok(self, *arguments: str, stdin: str | None = None) -> Any:
        """The JSON of a command that must succeed."""
        result = self(*arguments, "--format", "json", stdin=stdin)
        assert result.code == 0, result.err
        return result.json

    def assistant(self, **fields: Any) -> str:
        """A new assistant's id."""
        return self._made("/assistants", {"model": "rehearsal", **fields})

    def thread(self, *said: str) -> str:
        """A new thread's id, with user messages."""
        return self._made("/threads", {"messages": [{"role": "user", "content": text} for text in said]})

    def _made(self, path: str, body: dict[str, Any]) -> str:
        """What a test needs before its command is made over HTTP: a command takes a tenth of a second to start."""
        return self.got(path, json.dumps(body).encode())["id"]

    def got(self, path: str, body: bytes | None = None) -> dict[str, Any]:
        """An object asked for, or made, over HTTP."""
        request = urllib.request.Request(self.url + path, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    def waiting(self) -> tuple[str, str, str]:
        """A thread, its run that waits for one function call, and that call."""
        thread = self.thread('call: get_weather {"city": "Oslo"}\n---\nsay: It is {{output}}.')
        assistant = self.assistant(tools=[{"type": "function", "function": {"name": "get_weather"}}])
        flags = ("--thread-id", thread, "--assistant-id", assistant, "--stream")
        streamed = self("beta:threads:runs", "create", *flags, "--format", "jsonl")
        run = next(line["data"] for line in streamed.lines if line["event"] == "thread.run.requires_action")
        return thread, run["id"], run["required_action"]["submit_tool_outputs"]["tool_calls"][0]["id"]


@contextmanager
def server(directory: Path, **environment: str) -> Generator[str, None, None]:
    """A server on a free port until left; its base URL."""
    command = [str(BIN / "threadmill"), "serve", "--port", "0", "--data-dir", str(directory)]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        text=True,
        env=clean_environment(**{"THREADMILL_SANDBOX": "off", **environment}),
    )
    assert process.stdout is not None
    try:
        found = re.search(r"http://\S+", process.stdout.readline())
        assert found is not None, "the server did not start"
        yield found[0]
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()
