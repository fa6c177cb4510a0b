"""The process that runs the model's code, cell after cell in one namespace, as a notebook would."""

import ast
import asyncio
import builtins
import errno
import gc
import inspect
import io
import linecache
import os
import signal
import site
import socket
import sys
import threading
import traceback
import types
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from . import notebook_syntax, protocol
from .protocol import Kind

OWN_DIR = os.path.dirname(__file__)  # noqa: PTH120 - compared with frames' file names
MAX_VALUE_CHARACTERS = 100_000
MAX_IMAGES = 50


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a cell ended."""

    how: str = "completed"
    message: str | None = None


class DisplayChannel:
    """Where pictures go."""

    def __init__(self, channel: socket.socket) -> None:
        self.channel = channel
        self.image_count = 0
        self.process = os.getpid()

    def show(self, picture: bytes) -> None:
        """Send one PNG, and wait until it went on, so that what is printed next comes behind it.

        After MAX_IMAGES in a cell, silence.
        """
        self.image_count += 1
        if self.image_count > MAX_IMAGES:
            return
        sys.stdout.flush()
        self.channel.sendall(protocol.pack_fields(Kind.IMAGE, name="figure.png"))
        for piece in protocol.pieces(picture):
            self.channel.sendall(piece)
        # Another thread or a child would take the next order for its answer; they do not wait.
        if threading.current_thread() is threading.main_thread() and os.getpid() == self.process:
            self._wait()

    def _wait(self) -> None:
        """An interrupt waits too, or the answer would be left on the wire."""
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            protocol.read(self.channel)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


class Notebook:
    """A namespace and the cells run in it."""

    def __init__(self, display_channel: DisplayChannel) -> None:
        self.display_channel = display_channel
        self.cells = 0
        self.main = types.ModuleType("__main__")
        sys.modules["__main__"] = self.main
        vars(self.main)["__builtins__"] = builtins
        self.shell = notebook_syntax.Shell(vars(self.main), self._run_part)

    def run(self, code: str) -> Outcome:
        """Execute one cell. Never raises."""
        self.cells += 1
        self.display_channel.image_count = 0
        name = f"cell {self.cells}"
        linecache.cache[name] = (len(code), None, code.splitlines(keepends=True), name)
        try:
            outcome = self._guarded(code, name)
        except KeyboardInterrupt:
            outcome = Outcome("interrupted", "KeyboardInterrupt")
        sys.stdout.flush()
        return outcome

    def _guarded(self, code: str, name: str) -> Outcome:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            self._evaluate(code, name)
            flush_figures()
        except SystemExit as leaving:
            return self._on_exit(leaving)
        except BaseException as error:  # noqa: BLE001 - the model's code may raise anything
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            print_traceback(error)
            return Outcome(kind_of(error), one_line(error))
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        return Outcome()

    def _on_exit(self, leaving: SystemExit) -> Outcome:
        """exit() ends the cell, not the session."""
        if leaving.code in {None, 0}:
            return Outcome()
        return Outcome("exception", f"SystemExit: {leaving.code}")

    def _evaluate(self, code: str, name: str) -> None:
        tree = self._parsed(code, name)
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        self._finish(compile(tree, name, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT))
        if isinstance(last, ast.Expr):
            value = self._finish(compile(ast.Expression(last.value), name, "eval", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT))
            if value is not None and not code.rstrip().endswith(";"):
                vars(self.main)["_"] = value
                self._display(value)

    def _parsed(self, code: str, name: str) -> ast.Module:
        """The cell as Python, or as a notebook would read it. Raises SyntaxError: that of the cell as it was written."""
        try:
            # Not ast.parse, which would stand in the traceback of a syntax error.
            return cast("ast.Module", compile(code, name, "exec", ast.PyCF_ONLY_AST))
        except SyntaxError as error:
            try:
                plain = notebook_syntax.transformed(code)
                tree = cast("ast.Module", compile(plain, name, "exec", ast.PyCF_ONLY_AST))
            except (SyntaxError, ImportError):
                raise error from None
            linecache.cache[name] = (len(plain), None, plain.splitlines(keepends=True), name)
            return tree

    def _run_part(self, code: str) -> None:
        """What stands behind a magic."""
        self._evaluate(code, f"cell {self.cells}, inside")

    def _finish(self, compiled: types.CodeType) -> object:
        """Run compiled code in the namespace; code that awaits at its top level gets a loop."""
        awaits = bool(compiled.co_flags & inspect.CO_COROUTINE)
        result: object = eval(compiled, vars(self.main))  # noqa: S307 - the purpose of this program
        if awaits and inspect.iscoroutine(result):
            return asyncio.run(result)
        return result

    def display(self, *values: object) -> None:
        """Show values as the last of a cell is shown; notebooks have such a function."""
        for value in values:
            self._display(value)

    def _display(self, value: object) -> None:
        picture = picture_of(value)
        if picture is not None:
            self.display_channel.show(picture)
            return
        text = repr(value)
        if len(text) > MAX_VALUE_CHARACTERS:
            text = f"{text[: MAX_VALUE_CHARACTERS // 2]}\n… {len(text) - MAX_VALUE_CHARACTERS} characters …\n{text[-MAX_VALUE_CHARACTERS // 2 :]}"
        sys.stdout.write(text + "\n")


def picture_of(value: object) -> bytes | None:
    """What a value shows itself as, if it is a picture (PIL images do)."""
    method: Callable[[], object] | None = getattr(value, "_repr_png_", None)
    if isinstance(value, type) or not callable(method):
        return None
    try:
        picture = method()
    except Exception:  # noqa: BLE001 - then its repr must do
        return None
    return picture if isinstance(picture, bytes) else None


def flush_figures() -> None:
    """Show the figures the cell left open, if it drew any."""
    if "matplotlib.pyplot" in sys.modules:
        from . import figures  # noqa: PLC0415 - needs matplotlib, which not every cell does

        figures.show_rest()


def print_traceback(error: BaseException) -> None:
    """The traceback without the frames that are ours."""
    told = traceback.TracebackException.from_exception(error, compact=True)
    seen: set[int] = set()
    waiting: list[traceback.TracebackException | None] = [told]
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        kept = [frame for frame in one.stack if not frame.filename.startswith(OWN_DIR)]
        one.stack = traceback.StackSummary.from_list(kept)
        waiting += [one.__cause__, one.__context__]
    sys.stdout.write("".join(told.format()))


def kind_of(error: BaseException) -> str:
    """Which of the endings an exception is."""
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    if isinstance(error, MemoryError):
        return "out_of_memory"
    if isinstance(error, BlockingIOError) and error.errno == errno.EAGAIN:
        return "too_many_processes"
    if isinstance(error, RuntimeError) and str(error) == "can't start new thread":
        return "too_many_processes"
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
        return "disk_full"
    return "exception"


def one_line(error: BaseException) -> str:
    """The exception as the last line of its traceback, shortened."""
    text = "".join(traceback.format_exception_only(error)).strip().splitlines()[-1]
    return text if len(text) <= 500 else text[:500] + "…"


def run_interpreter(channel: socket.socket, output: int) -> None:
    """Become the interpreter; in a child of the session's process 1. Never returns."""
    _arrange_streams(output)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    sys.argv, sys.path = ["cell"], [str(Path.cwd()), *sys.path]
    display_channel = DisplayChannel(channel)
    _reseed()
    site.sethelper()
    notebook, me = Notebook(display_channel), os.getpid()
    builtins.__dict__.update(exit=sys.exit, quit=sys.exit, display=notebook.display, get_ipython=lambda: notebook.shell)
    if "matplotlib" in sys.modules:
        from . import figures  # noqa: PLC0415 - as above

        figures.use(display_channel.show)
    gc.enable()
    while (order := protocol.read(channel)) is not None:
        token = str(protocol.parse_fields(order[1])["token"])
        code = protocol.content(channel) or b""
        outcome = notebook.run(code.decode())
        if os.getpid() != me:
            os._exit(0)  # the code forked, and this is the child falling out of its cell
        channel.sendall(protocol.pack_fields(Kind.DONE, token=token, how=outcome.how, message=outcome.message))
    os._exit(0)


def _arrange_streams(output: int) -> None:
    """Both streams are one, so their order is kept; no input."""
    nothing = os.open("/dev/null", os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(nothing)
    os.close(output)
    raw = io.FileIO(1, "w", closefd=False)
    stream = io.TextIOWrapper(io.BufferedWriter(raw), "utf-8", "backslashreplace", line_buffering=True)
    sys.stdin = sys.__stdin__ = open(0, encoding="utf-8")  # noqa: SIM115 - lives as long as the process
    sys.stdout = sys.stderr = sys.__stdout__ = sys.__stderr__ = stream  # pyright: ignore[reportAttributeAccessIssue]


def _reseed() -> None:
    """Sessions are forks of one process; their random numbers shall not be."""
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed()
