"""`threadmill`: serve, migrate, demo, and a command for every operation of the API.

Errors are one readable block on standard error; exit codes are those of docs/reference/cli.md.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import click

from threadmill.cli.documents import documents
from threadmill.cli.models import models_test
from threadmill.cli.resources.color import wants_colour
from threadmill.cli.resources.command_spec import load
from threadmill.cli.resources.error import CliError, ExitCode, print_error
from threadmill.cli.resources.group import PLAIN, Group, ResourceGroup
from threadmill.cli.resources.options import common
from threadmill.cli.sandbox import sandbox
from threadmill.cli.search import search

DATA_DIR = click.option("--data-dir", type=click.Path(path_type=Path), help="Where data is kept. [env: THREADMILL_DATA_DIR]")  # fmt: skip


OWN_COMMANDS = {"models": (models_test,)}
"""Commands of ours in groups of the API."""


class Root(Group):
    """The server's commands and the API's."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The server's, then the API's."""
        return [*self.commands, *(resource.name for resource in load())]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """A command by its name; the API's are made when asked for."""
        if cmd_name in self.commands:
            return self.commands[cmd_name]
        found = next((resource for resource in load() if resource.name == cmd_name), None)
        return ResourceGroup(found, OWN_COMMANDS.get(cmd_name, ())) if found else None

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Two lists of commands, then the common flags."""
        resources = load()
        for title, rows in (
            ("The server", [(name, command.get_short_help_str(80)) for name, command in self.commands.items()]),
            ("The API", [(resource.name, resource.summary) for resource in resources]),
            ("Common flags", [row for one in self.get_params(ctx) if (row := one.get_help_record(ctx))]),
        ):
            with formatter.section(title):
                formatter.write_dl(rows)


app = Root(
    name="threadmill",
    params=common(),
    help="A self-hosted Assistants API server, and its command line.",
    context_settings=PLAIN,
    no_args_is_help=True,
)
click.version_option(package_name="threadmill", prog_name="threadmill", message="%(prog)s %(version)s")(app)


@app.command()
@click.option("--host", help="Address to listen on. [env: THREADMILL_HOST, 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65535), help="Port; 0 picks a free one. [env: THREADMILL_PORT, 8000]")
@DATA_DIR
@click.option("--database-url", help="Database. [env: THREADMILL_DATABASE_URL]")
@click.option("--role", default="all", help="all, api or worker.")
def serve(host: str | None, port: int | None, data_dir: Path | None, database_url: str | None, role: str) -> None:
    """Serve the API until stopped."""
    from threadmill.cli.serve import run_server  # noqa: PLC0415 - `--help` shall not wait for the server's imports

    run_server(host=host, port=port, data_dir=data_dir, database_url=database_url, role=role)


@app.command()
@DATA_DIR
def migrate(data_dir: Path | None) -> None:
    """Bring the database to this version's schema. `serve` does it by itself."""
    from threadmill.cli.serve import run_migrate  # noqa: PLC0415 - as above

    run_migrate(data_dir)


@app.command()
def demo() -> None:
    """Start a server on a free port, drive one streamed run through the official SDK, show all of it, stop."""
    from threadmill.cli.demo.run import run_demo  # noqa: PLC0415 - as above

    raise click.exceptions.Exit(run_demo())


@app.command()
@click.argument("file", type=click.Path(path_type=Path))
@DATA_DIR
@click.option("--overwrite", is_flag=True, help="Write over FILE if it is there.")
def backup(file: Path, data_dir: Path | None, overwrite: bool) -> int:  # noqa: FBT001 - click's way to pass a flag
    """Write the database, the files and the configuration without its secrets to FILE; the server may go on serving."""
    from threadmill.cli.backup.making import run_backup  # noqa: PLC0415 - as above

    return run_backup(file, data_dir, overwrite=overwrite)


@app.command()
@click.argument("file", type=click.Path(path_type=Path))
@DATA_DIR
def restore(file: Path, data_dir: Path | None) -> int:
    """Bring a backup back into an empty data directory."""
    from threadmill.cli.backup.restoring import run_restore  # noqa: PLC0415 - as above

    return run_restore(file, data_dir)


@app.command()
@DATA_DIR
@click.option("--deep", is_flag=True, help="Let the database be read to its last page.")
def doctor(data_dir: Path | None, deep: bool) -> int:  # noqa: FBT001 - as above
    """See what a server needs and whether it is there; nothing is changed, and a server may be running."""
    from threadmill.cli.doctor.command import run_doctor  # noqa: PLC0415 - as above

    return run_doctor(data_dir, deep=deep)


@app.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print what a shell must read to complete commands and flags: `eval "$(threadmill completion bash)"`."""
    from threadmill.cli.completion import script  # noqa: PLC0415 - as above

    click.echo(script(app, shell))


app.add_command(sandbox)
app.add_command(search)
app.add_command(documents)


def main() -> None:
    """Entry point of the command."""
    raise SystemExit(_exit_code_of(_run))


def _run() -> object:
    """The chosen command. Not click's `main`, which has its own way with interrupts and broken pipes."""
    if "_THREADMILL_COMPLETE" in os.environ:
        from threadmill.cli.completion import register  # noqa: PLC0415 - as above

        register()
        return app.main(prog_name="threadmill")
    try:
        with app.make_context("threadmill", sys.argv[1:]) as context:
            return app.invoke(context)
    except click.exceptions.Exit as end:
        return end.exit_code


def _exit_code_of(run: Callable[[], object]) -> int:
    """The exit code of `run`; what went wrong is told on standard error."""
    try:
        code = run()
        sys.stdout.flush()
        return code if isinstance(code, int) else ExitCode.OK
    except click.ClickException as error:
        error.show()
        return ExitCode.USAGE
    except CliError as failure:
        print_error(failure, colour=wants_colour(sys.stderr))
        return failure.exit_code
    except (click.Abort, KeyboardInterrupt):
        return ExitCode.INTERRUPTED
    except BrokenPipeError:  # the reader, such as head, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.PIPE
    except Exception as error:
        if (failure := _operator_error(error)) is None:
            raise
        print_error(failure, colour=wants_colour(sys.stderr))
        return failure.exit_code


def _operator_error(error: Exception) -> CliError | None:
    """The block of an error that is the operator's to mend: settings, the database, the data directory."""
    from threadmill.domain.error import ThreadmillError  # noqa: PLC0415 - as above
    from threadmill.settings import SettingsError  # noqa: PLC0415 - as above

    if not isinstance(error, (SettingsError, ThreadmillError)):
        return None
    return CliError(str(error), ExitCode.USAGE, error.advice if isinstance(error, SettingsError) else "")
