"""The flags every resource command has. They may stand before the resource, behind it, or behind the command."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import click

from threadmill.cli.resources.error import usage_error
from threadmill.cli.resources.render import FORMATS, Output
from threadmill.cli.resources.transport import ServerConfig

OPTIONS_KEY = "threadmill.options"
TIMEOUT = 600.0
STDIN = ("auto", "read", "ignore")


@dataclass(frozen=True, slots=True)
class Options:
    """What the common flags and the environment say."""

    target: ServerConfig
    output: Output
    error_format: str
    stdin: str


def common() -> list[click.Parameter]:
    """New options, one set for each command."""
    return [
        _option("--base-url", metavar="URL", help="The server. [env: THREADMILL_BASE_URL, OPENAI_BASE_URL; http://127.0.0.1:8000/v1]"),
        _option("--api-key", metavar="KEY", help="The key. [env: OPENAI_API_KEY]"),
        _option("-H", "--header", metavar="'NAME: VALUE'", multiple=True, help="A further request header; repeat it for more."),
        _option("--format", type=click.Choice(FORMATS), help="How answers are written; auto is readable on a terminal and JSON in a pipe."),
        _option("--transform", metavar="JMESPATH", help="Write only what the expression finds in the answer, in each line of jsonl, in each event."),
        _option("-r", "--raw-output", is_flag=True, help="Write a text without quotes, whatever the format."),
        _option("--format-error", type=click.Choice(FORMATS), help="How the server's errors are written; auto is a readable block."),
        _option("--timeout", type=click.FloatRange(min=0.001), metavar="SECONDS", help="Longest silence of the server; 600 if not said."),
        _option("--stdin", type=click.Choice(STDIN), help="Whether a request's body is read from standard input; auto: if something is piped in."),
        _option("--debug", is_flag=True, help="Show requests and answers on standard error, without keys."),
    ]  # fmt: skip


def _option(*names: str, **rest: Any) -> click.Option:
    return click.Option(names, expose_value=False, callback=_remember, **rest)


def _remember(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    """Note what was typed; the innermost place wins, except that headers add up."""
    if context.get_parameter_source(parameter.name or "") is not click.core.ParameterSource.COMMANDLINE:
        return
    kept: dict[str, Any] = context.meta.setdefault(OPTIONS_KEY, {})
    name = parameter.name or ""
    kept[name] = (*kept.get(name, ()), *value) if isinstance(value, tuple) else value  # pyright: ignore[reportUnknownVariableType] - click's values are untyped


def options_of(context: click.Context) -> Options:
    """Common flags joined with the environment. Raises CliError (usage)."""
    kept: dict[str, Any] = context.meta.get(OPTIONS_KEY, {})
    target = ServerConfig(
        base_url=kept.get("base_url") or base_url(os.environ),
        api_key=kept.get("api_key") or os.environ.get("OPENAI_API_KEY", ""),
        headers=dict(_header(line) for line in kept.get("header", ())),
        timeout=kept.get("timeout", TIMEOUT),
        debug=kept.get("debug", False),
    )
    return Options(target, _output(kept), error_format(context), kept.get("stdin", "auto"))


def error_format(context: click.Context) -> str:
    """How the server's errors are written: --format-error, or an explicit --format that is for machines."""
    kept: dict[str, Any] = context.meta.get(OPTIONS_KEY, {})
    return kept.get("format_error") or kept.get("format") or "auto"


def base_url(environ: Mapping[str, str]) -> str:
    """The server when no flag names it; our own default follows THREADMILL_PORT."""
    port = environ.get("THREADMILL_PORT", "")
    own = f"http://127.0.0.1:{port if port.isdecimal() and port != '0' else 8000}/v1"
    return environ.get("THREADMILL_BASE_URL") or environ.get("OPENAI_BASE_URL") or own


def _header(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon or not name.strip():
        raise usage_error("--header must be 'Name: value'.")
    return name.strip(), value.strip()


def _output(kept: Mapping[str, Any]) -> Output:
    form, bare, expression = kept.get("format", "auto"), kept.get("raw_output", False), kept.get("transform")
    if expression is None:
        return Output(form, bare=bare)
    from threadmill.cli.resources.transform import transform_of  # noqa: PLC0415 - 16 ms only who transforms waits for

    return Output(form, bare=bare, transforms=True, transform=transform_of(expression))
