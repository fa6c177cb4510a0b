"""The table as click commands: a group a resource, a command an operation, an option a flag."""

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from threadmill.cli.resources.command_spec import Command, Flag, Resource
from threadmill.cli.resources.error import CliError
from threadmill.cli.resources.options import common, error_format, options_of
from threadmill.cli.resources.request import FlagValue

PLAIN = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class Group(click.Group):
    """A group that knows what a mistyped command was meant to be."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with a suggestion."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError:
            close = get_close_matches(args[0], self.list_commands(ctx), n=1)
            if not close:
                raise
            raise click.UsageError(f"No such command {args[0]!r}. Did you mean {close[0]!r}?", ctx) from None


class ResourceGroup(Group):
    """`threadmill beta:threads:runs`. Its commands are made when they are asked for; `own` are ours, behind the API's."""

    def __init__(self, resource: Resource, own: Sequence[click.Command] = ()) -> None:
        super().__init__(resource.name, params=common(), help=resource.summary, context_settings=PLAIN)
        for command in own:
            self.add_command(command)
        self._resource: Resource = resource

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the table's order."""
        return [*(command.name for command in self._resource.commands), *self.commands]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, made new."""
        found = next((command for command in self._resource.commands if command.name == cmd_name), None)
        return ApiCommand(found, self._resource.name) if found else self.commands.get(cmd_name)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Commands first; the common options are shown with each command."""
        self.format_commands(ctx, formatter)


class ApiCommand(click.Command):
    """One command of the API. Flags keep the order they were typed in, which inner flags of arrays need."""

    def __init__(self, command: Command, resource: str) -> None:
        self._command: Command = command
        self._flags: dict[str, tuple[Flag, Flag | None]] = dict(_flags(command))
        self._options: list[click.Option] = [
            _option(key, inner or flag, required=flag.required and not inner)
            for key, (flag, inner) in self._flags.items()
        ]
        self._extra_options: list[click.Option] = list(_extra_options(command))
        ids = click.Argument(["ids"], nargs=-1, metavar=_metavar(command))
        paths = [ids] if "{" in command.path else []
        super().__init__(
            command.name,
            params=[*paths, *self._options, *self._extra_options, *common()],
            callback=self._run,
            help=f"{command.summary}\n\n{command.method} /v1{command.path}",
            short_help=command.summary,
            epilog=_epilog(command, resource),
            context_settings=PLAIN,
        )

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does, and note the flags in their order."""
        typed = list(args)
        rest = super().parse_args(ctx, args)
        if not ctx.resilient_parsing:
            values, _, order = self.make_parser(ctx).parse_args(typed)
            left: dict[str, list[Any]] = {name: list(values[name]) for name in self._flags if name in values}
            names = [parameter.name or "" for parameter in order]
            ctx.meta["threadmill.given"] = [self._flag_value(name, left[name].pop(0)) for name in names if name in left]
        return rest

    def _flag_value(self, key: str, text: object) -> FlagValue:
        flag, inner = self._flags[key]
        return FlagValue(flag, text if isinstance(text, str) else "true", inner)

    def _run(self, ids: Sequence[str] = (), max_items: int | None = None, output: Path | None = None, **_: Any) -> None:
        from threadmill.cli.resources.execute import Invocation, run_command  # noqa: PLC0415 - `--help` needs no network

        context = click.get_current_context()
        typed = Invocation(context.meta["threadmill.given"], ids, max_items, output)
        try:
            run_command(self._command, typed, options_of(context))
        except CliError as failure:
            failure.form = error_format(context)
            raise

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The API's flags, what is ours of this command, then the common ones."""
        mine = {*self._options, *self._extra_options}
        for title, options in (
            ("Flags", [*self._options, *self._extra_options]),
            (
                "Common flags",
                [one for one in self.get_params(ctx) if one not in mine and isinstance(one, click.Option)],
            ),
        ):
            records = [record for option in options if (record := option.get_help_record(ctx))]
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)


def _flags(command: Command) -> Iterator[tuple[str, tuple[Flag, Flag | None]]]:
    for number, flag in enumerate(command.flags):
        yield f"flag_{number}", (flag, None)
        for place, inner in enumerate(flag.inner):
            yield f"flag_{number}_{place}", (flag, inner)


def _option(key: str, flag: Flag, *, required: bool) -> click.Option:
    def complete(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[CompletionItem]:
        if "file" in flag.types:
            return [CompletionItem(begun, type="file")]
        return [CompletionItem(choice) for choice in flag.choices if choice.startswith(begun)]

    extra: dict[str, Any] = {"flag_value": "true"} if flag.types == ("boolean",) else {}
    return click.Option(
        [f"--{flag.flag}", key],
        multiple=True,
        is_flag=False,
        expose_value=False,
        metavar=_kind(flag),
        help=flag.help + (" [required]" if required else ""),
        shell_complete=complete,
        **extra,
    )


def _kind(flag: Flag) -> str:
    """What stands behind the flag in --help."""
    if flag.choices and flag.types == ("string",):
        return f"[{'|'.join(flag.choices)}]" if len(flag.choices) > 1 else "TEXT"
    words = {"string": "TEXT", "integer": "INTEGER", "number": "NUMBER", "boolean": "[true|false]", "file": "FILE"}
    return "|".join(dict.fromkeys(words.get(kind, "YAML") for kind in flag.types))


def _extra_options(command: Command) -> Iterator[click.Option]:
    """Flags of ours that belong to the kind of answer."""
    if command.response_kind in ("list", "pages"):
        text = "How many objects at most; pages are fetched as needed. -1 is all, which is also so without --limit."
        yield click.Option(["--max-items"], type=click.IntRange(min=-1), help=text)
    if command.response_kind == "bytes":
        path = click.Path(dir_okay=False, path_type=Path)
        yield click.Option(["-o", "--output"], type=path, help="Write to this file.")


def _metavar(command: Command) -> str:
    return " ".join(f"[{flag.flag.upper()}]" for flag in command.flags if flag.place == "path")


def _epilog(command: Command, resource: str) -> str:
    """An example with what cannot be left out."""
    needed = " ".join(f"--{flag.flag} {_sample(flag)}" for flag in command.flags if flag.required)
    example = f"Example: threadmill {resource} {command.name} {needed}".rstrip()
    piped = "\n\nThe body may also be piped in as JSON or YAML; flags win over it." if command.body == "json" else ""
    return f"\b\n{example}{piped}"


def _sample(flag: Flag) -> str:
    if flag.choices:
        return flag.choices[0]
    if flag.inner:
        return "'{" + ", ".join(f"{one.name}: ..." for one in flag.inner) + "}'"
    return {"file": "FILE"}.get(flag.types[0], flag.name.upper())
