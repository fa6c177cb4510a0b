"""Runs one command: builds its request, sends it, writes the answer as its kind demands."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from threadmill.cli.resources.command_spec import Command
from threadmill.cli.resources.error import Exit, Failure, usage
from threadmill.cli.resources.events import events_in
from threadmill.cli.resources.options import Options
from threadmill.cli.resources.paging import Pages
from threadmill.cli.resources.request import Given, Request, body_on_stdin, build
from threadmill.cli.resources.transport import Answer, Client


@dataclass(frozen=True, slots=True)
class Typed:
    """What was typed behind a command: its flags in order, ids without a flag, --max-items, --output."""

    given: Sequence[Given]
    ids: Sequence[str]
    most: int | None = None
    output: Path | None = None


def call(command: Command, typed: Typed, options: Options) -> None:
    """Do it. Raises Failure."""
    client = Client(options.target)
    piped = body_on_stdin(_stdin_mode(command, typed, options))
    request = build(command, typed.given, typed.ids, piped)
    if command.answer in ("list", "pages") and options.output.form != "raw":
        _list(Pages(client, command, request, typed.most), options)
    elif request.body is not None and request.body.get("stream") is True:
        _stream(client, command, request, options)
    elif command.answer == "bytes":
        _bytes(client.send(request, beta=command.beta), typed.output)
    else:
        _object(client.send(request, beta=command.beta), options)


def _stdin_mode(command: Command, typed: Typed, options: Options) -> str:
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
        options.output.stream(events_in(lines))


def _object(answer: Answer, options: Options) -> None:
    body = answer.read()
    if options.output.form == "raw" and not options.output.transforms:
        options.output.raw([body, b"" if body.endswith(b"\n") else b"\n"])
        return
    try:
        value = json.loads(body)
    except ValueError:
        text = "The server's answer is no JSON."
        raise Failure(text, Exit.SERVER, "Check --base-url; it usually ends in /v1.") from None
    options.output.value(value)


def _bytes(answer: Answer, output: Path | None) -> None:
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


def _to_stdout(answer: Answer) -> None:
    if sys.stdout.isatty():
        raise usage(
            "The answer is a file; it is not written to a terminal.", "Name a file with --output, or use a pipe."
        )
    for piece in answer.pieces():
        sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()


def _write(answer: Answer, path: Path, named: Path) -> None:
    try:
        with path.open("wb") as file:
            file.writelines(answer.pieces())
    except OSError as error:
        raise usage(f"--output {named} cannot be written: {error.strerror}.", "Name another with --output.") from None
