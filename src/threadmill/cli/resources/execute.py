"""Runs one command: builds its request, sends it, writes the answer as its kind demands."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from threadmill.cli.resources.command_spec import Command
from threadmill.cli.resources.error import CliError, ExitCode, usage_error
from threadmill.cli.resources.events import parse_events
from threadmill.cli.resources.options import Options
from threadmill.cli.resources.paging import Pages
from threadmill.cli.resources.request import FlagValue, Request, body_on_stdin, build
from threadmill.cli.resources.transport import Client, Response


@dataclass(frozen=True, slots=True)
class Invocation:
    """What was typed behind a command: its flags in order, ids without a flag, --max-items, --output."""

    given: Sequence[FlagValue]
    ids: Sequence[str]
    max_items: int | None = None
    output: Path | None = None


def run_command(command: Command, typed: Invocation, options: Options) -> None:
    """Do it. Raises CliError."""
    client = Client(options.target)
    piped = body_on_stdin(_stdin_mode(command, typed, options))
    request = build(command, typed.given, typed.ids, piped)
    if command.response_kind in ("list", "pages") and options.output.form != "raw":
        _list(Pages(client, command, request, typed.max_items), options)
    elif command.response_kind == "stream" or (request.body is not None and request.body.get("stream") is True):
        _stream(client, command, request, options)
    elif command.response_kind == "bytes":
        _bytes(client.send(request, beta=command.beta), typed.output)
    else:
        _object(client.send(request, beta=command.beta), options)


def _stdin_mode(command: Command, typed: Invocation, options: Options) -> str:
    """Standard input is a body for commands that have one, unless a flag reads it (`@-`)."""
    taken = any(one.text in ("@-", "-") for one in typed.given)
    return "ignore" if command.body == "none" or taken else options.stdin


def _list(pages: Pages, options: Options) -> None:
    if options.output.form == "jsonl":
        options.output.items(pages.items())
    else:
        options.output.value(pages.whole())


def _stream(client: Client, command: Command, request: Request, options: Options) -> None:
    answer = client.send(request, beta=command.beta, stream=True)
    lines = answer.lines()
    if options.output.form == "raw" and not options.output.transforms:
        options.output.raw(lines)
    else:
        options.output.stream(parse_events(lines))


def _object(answer: Response, options: Options) -> None:
    body = answer.read()
    if options.output.form == "raw" and not options.output.transforms:
        options.output.raw([body, b"" if body.endswith(b"\n") else b"\n"])
        return
    try:
        value = json.loads(body)
    except ValueError:
        text = "The server's answer is no JSON."
        raise CliError(text, ExitCode.SERVER, "Check --base-url; it usually ends in /v1.") from None
    options.output.value(value)


def _bytes(answer: Response, output: Path | None) -> None:
    """The file's bytes to standard output, or to a file that is there only when it is whole."""
    if output is None or str(output) == "-":
        _to_stdout(answer)
    elif output.exists() and not output.is_file():  # a device or a pipe
        _write(answer, output, output)
    else:
        whole = output.resolve()
        part = whole.with_name(f".{whole.name}.part")
        try:
            _write(answer, part, output)
            part.replace(whole)
        finally:
            part.unlink(missing_ok=True)


def _to_stdout(answer: Response) -> None:
    if sys.stdout.isatty():
        raise usage_error(
            "The answer is a file; it is not written to a terminal.", "Name a file with --output, or use a pipe."
        )
    for piece in answer.pieces():
        sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()


def _write(answer: Response, path: Path, named: Path) -> None:
    try:
        with path.open("wb") as file:
            file.writelines(answer.pieces())
    except OSError as error:
        raise usage_error(
            f"--output {named} cannot be written: {error.strerror}.", "Name another with --output."
        ) from None
