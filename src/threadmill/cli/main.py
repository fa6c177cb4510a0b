"""`threadmill`: serve, migrate, demo. Errors are one readable line on standard error, exit code 2."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from threadmill.cli.sandbox import app as sandbox
from threadmill.domain.error import ThreadmillError
from threadmill.settings import SettingsError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    help="A self-hosted Assistants API server.",
)
app.add_typer(sandbox, name="sandbox")


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on. [env: THREADMILL_HOST, 127.0.0.1]")] = None,
    port: Annotated[int | None, typer.Option(help="Port; 0 picks a free one. [env: THREADMILL_PORT, 8000]")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Where data is kept. [env: THREADMILL_DATA_DIR]")] = None,
    database_url: Annotated[str | None, typer.Option(help="Database. [env: THREADMILL_DATABASE_URL]")] = None,
    role: Annotated[str, typer.Option(help="all, api or worker.")] = "all",
) -> None:
    """Serve the API until stopped."""
    from threadmill.cli.serving import run_server  # noqa: PLC0415 - `--help` shall not wait for the server's imports

    run_server(host=host, port=port, data_dir=data_dir, database_url=database_url, role=role)


@app.command()
def migrate(
    data_dir: Annotated[Path | None, typer.Option(help="Where data is kept. [env: THREADMILL_DATA_DIR]")] = None,
) -> None:
    """Bring the database to this version's schema. `serve` does it by itself."""
    from threadmill.cli.serving import run_migrate  # noqa: PLC0415 - as above

    run_migrate(data_dir)


@app.command()
def demo() -> None:
    """Start a server on a free port, drive one streamed run through the official SDK, show all of it, stop."""
    from threadmill.cli.demo import run_demo  # noqa: PLC0415 - as above

    raise typer.Exit(run_demo())


def main() -> None:
    """Entry point of the command."""
    try:
        app()
    except (SettingsError, ThreadmillError) as error:
        print(f"threadmill: {error}", file=sys.stderr)
        raise SystemExit(2) from None
