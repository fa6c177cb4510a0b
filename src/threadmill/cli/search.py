"""`threadmill search`: what an operator does for file_search."""

from pathlib import Path

import click

_DATA = click.option("--data-dir", type=click.Path(path_type=Path), help="Where data is kept. [env: THREADMILL_DATA_DIR]")  # fmt: skip


@click.group(no_args_is_help=True)
def search() -> None:
    """Documents and their vectors."""


@search.command("reembed")
@_DATA
def reembed_command(data_dir: Path | None) -> None:
    """Embed all files anew after the embedding model was changed. Stop the server first; it can be broken off."""
    from threadmill.cli.reembed import run_reembed  # noqa: PLC0415 - `--help` shall not wait

    run_reembed(data_dir)
