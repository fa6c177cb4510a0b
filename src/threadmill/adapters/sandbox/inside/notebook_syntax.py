"""What models write because notebooks understand it: `!ls`, `%matplotlib inline`, `%%time`, `obj?`.

IPython's own transformer turns such a cell into Python that calls `get_ipython()`; this is what it calls. Everything
runs where the code runs, behind the same walls.
"""

import ast
import contextlib
import inspect
import io
import os
import re
import shlex
import subprocess
import sys
import time
import timeit
from collections.abc import Callable, MutableMapping
from pathlib import Path

_IGNORED = {"matplotlib", "load_ext", "autoreload", "config", "reload_ext", "colors", "pylab", "xmode", "precision"}
_SHELL = {"ls", "cat", "mkdir", "rm", "cp", "mv", "head", "tail", "grep", "wc", "man", "sx"}
_BASH = "/bin/bash" if os.path.exists("/bin/bash") else None  # noqa: PTH110 - once
_VARIABLE = re.compile(r"(?<![\\$])\{([^{}\n]+)\}|(?<!\\)\$([A-Za-z_]\w*)")
_TIMEIT_OPTIONS = re.compile(r"^\s*(?:-[nrtcpqo](?:\s*\d+)?(?=\s|$)\s*)*")
_BARE_PIP = re.compile(
    r"^(\s*)(?=(?:python3?\s+-m\s+)?(?:pip3?|conda)\s+(?:install|uninstall|list|show|freeze)\b)", re.MULTILINE
)
_PIP = re.compile(r"^\s*(?:python3?\s+-m\s+)?pip3?(?=\s|$)")


class UsageError(Exception):
    """A magic that is not there, or is used wrongly."""


def transformed(code: str) -> str:
    """The cell in plain Python. Raises SyntaxError, ImportError where IPython is not installed.

    Only where it still is none, pip without a sign before it is looked for: what a cell writes stays as it stands.
    """
    from IPython.core.inputtransformer2 import (  # noqa: PLC0415  # pyright: ignore[reportMissingImports] - the sandbox's
        TransformerManager,  # pyright: ignore[reportUnknownVariableType]
    )

    def transform(cell: str) -> str:
        return str(TransformerManager().transform_cell(cell))  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]

    try:
        plain = transform(code)
        compile(plain, "cell", "exec", ast.PyCF_ONLY_AST)
    except SyntaxError:
        return transform(_BARE_PIP.sub(r"\1!", code))
    return plain


class Shell:
    """The object behind `get_ipython()`: shell commands and the magics that make sense without a screen."""

    def __init__(self, namespace: MutableMapping[str, object], run: Callable[[str], None]) -> None:
        self.user_ns = namespace
        self._run = run
        self._line: dict[str, Callable[[str], object]] = {
            "cd": self._cd,
            "pwd": lambda _: str(Path.cwd()),
            "pip": lambda line: self.system(f"pip {line}"),
            "conda": lambda line: self.system(f"pip {line}"),
            "time": self._time,
            "timeit": lambda line: self._timeit(line, None),
            "env": self._env,
            "set_env": self._env,
            "who": lambda _: print("  ".join(self._names())),
            "whos": lambda _: print("\n".join(f"{n}: {type(self.user_ns[n]).__name__}" for n in self._names())),
            "run": self._run_file,
            "pinfo": self._describe,
            "pinfo2": self._source,
            "reset": lambda _: print("Variables are kept; delete them with `del`."),
        }
        self._cell: dict[str, Callable[[str, str], object]] = {
            "time": lambda _, cell: self._time(cell),
            "timeit": self._timeit,
            "bash": lambda _, cell: self.system(cell),
            "sh": lambda _, cell: self.system(cell),
            "writefile": self._write_file,
            "file": self._write_file,
            "capture": self._capture,
            "python": lambda _, cell: self._run(cell),
            "python3": lambda _, cell: self._run(cell),
        }

    def system(self, command: str) -> None:
        """`!command`: what it prints is printed as it comes."""
        sys.stdout.flush()
        self.user_ns["_exit_code"] = subprocess.run(  # noqa: S602 - the purpose
            self._shell_command(command), shell=True, check=False, executable=_BASH
        ).returncode

    def getoutput(self, command: str) -> list[str]:
        """`x = !command`: its lines."""
        done = subprocess.run(  # noqa: S602 - the purpose
            self._shell_command(command),
            shell=True,
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            executable=_BASH,
        )
        return done.stdout.decode(errors="replace").splitlines()

    def run_line_magic(self, name: str, line: str, _stack_depth: int = 1) -> object:
        """`%name line`. Raises UsageError."""
        if name in _IGNORED:
            return None
        if name in self._line:
            return self._line[name](line)
        if name in _SHELL:
            return self.system(f"{name} {line}")
        raise UsageError(f"Line magic function `%{name}` not found.")

    def run_cell_magic(self, name: str, line: str, cell: str) -> object:
        """`%%name line` over a cell. Raises UsageError."""
        if name in _IGNORED:
            return self._run(cell)
        if name not in self._cell:
            raise UsageError(f"Cell magic `%%{name}` not found.")
        return self._cell[name](line, cell)

    def _names(self) -> list[str]:
        return sorted(name for name in self.user_ns if not name.startswith("_"))

    def _cd(self, line: str) -> None:
        os.chdir(Path(line.strip() or "~").expanduser())
        print(Path.cwd())

    def _env(self, line: str) -> object:
        name, sign, value = line.strip().partition("=")
        if not sign:
            return os.environ.get(name) if name else dict(os.environ)
        os.environ[name.strip()] = value.strip()
        return None

    def _time(self, code: str) -> None:
        cpu, wall = time.process_time(), time.perf_counter()
        try:
            self._run(code)
        finally:
            print(f"CPU times: {time.process_time() - cpu:.3g} s\nWall time: {time.perf_counter() - wall:.3g} s")

    def _timeit(self, line: str, cell: str | None) -> None:
        line = _TIMEIT_OPTIONS.sub("", line)
        timer = timeit.Timer(line if cell is None else cell, line if cell else "pass", globals=dict(self.user_ns))
        number, seconds = timer.autorange()
        print(f"{seconds / number:.3g} s per loop (of {number} loops)")

    def _run_file(self, line: str) -> None:
        name, *arguments = shlex.split(line)
        before, sys.argv = sys.argv, [name, *arguments]
        try:
            self._run(Path(name).read_text())
        finally:
            sys.argv = before

    def _write_file(self, line: str, cell: str) -> None:
        *options, name = shlex.split(line)
        with Path(name).open("a" if "-a" in options else "w") as file:
            file.write(cell)
        print(f"{'Appending to' if '-a' in options else 'Writing'} {name}")

    def _capture(self, line: str, cell: str) -> None:
        captured = io.StringIO()
        with contextlib.redirect_stdout(captured):
            self._run(cell)
        if name := line.strip():
            self.user_ns[name] = captured.getvalue()

    def _object(self, line: str) -> object:
        return eval(line.strip(" ?"), dict(self.user_ns))  # noqa: S307 - as the cell itself

    def _describe(self, line: str) -> None:
        found = self._object(line)
        with contextlib.suppress(TypeError, ValueError):
            print(f"Signature: {line.strip()}{inspect.signature(found)}")  # pyright: ignore[reportArgumentType]
        print(f"Type: {type(found).__name__}\nDocstring: {inspect.getdoc(found) or 'none'}")

    def _source(self, line: str) -> None:
        try:
            print(inspect.getsource(self._object(line)))  # pyright: ignore[reportArgumentType]
        except (TypeError, OSError):
            self._describe(line)

    def _shell_command(self, command: str) -> str:
        """With the values of variables (`{name}`, `$name`); pip is a module here."""
        return _PIP.sub("python3 -m pip", _VARIABLE.sub(self._value, command))

    def _value(self, found: re.Match[str]) -> str:
        """What is no variable or expression of the cell is the shell's."""
        try:
            return str(eval(found[1] or found[2], dict(self.user_ns)))  # noqa: S307 - as the cell itself
        except Exception:  # noqa: BLE001 - whatever it is, it was not meant for Python
            return found[0]
