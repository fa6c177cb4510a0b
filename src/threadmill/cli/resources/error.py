"""What goes wrong on the command line: one readable block on standard error, and an exit code scripts can use."""

import json
import sys
from dataclasses import dataclass, field
from enum import IntEnum

from threadmill.cli.resources.command_spec import Json


class ExitCode(IntEnum):
    """Exit codes, as docs/reference/cli.md lists them."""

    OK = 0
    REFUSED = 1
    USAGE = 2
    KEY = 3
    NOT_FOUND = 4
    RATE = 5
    SERVER = 6
    CONNECTION = 7
    RUN = 8
    INTERRUPTED = 130
    PIPE = 141


_OF_STATUS = {401: ExitCode.KEY, 403: ExitCode.KEY, 404: ExitCode.NOT_FOUND, 429: ExitCode.RATE}


def exit_code_for(status: int) -> ExitCode:
    """The exit code of an HTTP status that is no success."""
    return _OF_STATUS.get(status, ExitCode.SERVER if status >= 500 else ExitCode.REFUSED)


@dataclass
class CliError(Exception):
    """A command failed. `text` says what, `facts` what helps to find out, `advice` what to do next.

    `body` is the server's own error, written as `form` (--format-error) says.
    """

    text: str
    exit_code: ExitCode
    advice: str = ""
    details: dict[str, str] = field(default_factory=dict[str, str])
    body: Json = None
    form: str = "auto"


def usage_error(text: str, advice: str = "") -> CliError:
    """The command line is wrong; nothing was sent."""
    return CliError(text, ExitCode.USAGE, advice)


def api_error(status: int, body: bytes, headers: dict[str, str], request: str) -> CliError:
    """The server answered with an error. `request` is its method and URL, without secrets."""
    error = _parse_error(body)
    text = error.get("message") or body[:300].decode(errors="replace").strip() or "The server said nothing more."
    facts = {name: str(error[name]) for name in ("type", "param", "code") if error.get(name) is not None}
    facts["request"] = request
    if request_id := headers.get("x-request-id"):
        facts["request id"] = request_id
    advice = _advice(status, text if error else "", headers)
    return CliError(f"{status}: {text}", exit_code_for(status), advice, facts, {"error": error} if error else None)


def _parse_error(body: bytes) -> dict[str, Json]:
    """The official error object; empty when the answer is something else, such as a proxy's page."""
    try:
        found: Json = json.loads(body)
    except ValueError:
        return {}
    error = found.get("error") if isinstance(found, dict) else None
    return error if isinstance(error, dict) else {}


def _advice(status: int, message: Json, headers: dict[str, str]) -> str:
    if status in (401, 403):
        return "Give a key this server knows with --api-key or OPENAI_API_KEY."
    if status in (404, 405) and (not message or str(message).startswith("Invalid URL")):
        return "Check --base-url; it usually ends in /v1."
    if status == 404:
        return "Check the ids; they belong to one server and one key's project."
    if status == 429:
        wait = headers.get("retry-after")
        return f"Wait {wait} s and try again." if wait else "Wait and try again."
    if status >= 500:
        return "Try again; if it stays, look for the request id in the server's log."
    return ""


def print_error(failure: CliError, *, colour: bool) -> None:
    """Write the failure to standard error: a block, or the server's own error in a form for machines."""
    if failure.form not in ("auto", "pretty") and failure.body is not None:
        print(_as_data(failure.body, failure.form), file=sys.stderr)
        return
    red, dim, plain = ("\x1b[31m", "\x1b[2m", "\x1b[0m") if colour else ("", "", "")
    print(f"{red}threadmill: {failure.text}{plain}", file=sys.stderr)
    for name, value in failure.details.items():
        print(f"  {dim}{name:<10}{plain}  {value}", file=sys.stderr)
    if failure.advice:
        print(f"  {failure.advice}", file=sys.stderr)


def _as_data(body: Json, form: str) -> str:
    if form == "yaml":
        from threadmill.cli.resources.yaml_values import dump  # noqa: PLC0415 - only when asked for

        return dump(body).rstrip("\n")
    return json.dumps(body, ensure_ascii=False, indent=2 if form == "json" else None)
