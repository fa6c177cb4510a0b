"""`threadmill documents`: what was read of a file, and what its reader was not sure of."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from threadmill.engine.documents.reading_report import FileReading
    from threadmill.settings import Settings

_DATA = click.option("--data-dir", type=click.Path(path_type=Path), help="Where data is kept. [env: THREADMILL_DATA_DIR]")  # fmt: skip
FIRST_CHARACTERS = 60
"""Of each chunk, on its line."""


@click.group(no_args_is_help=True)
def documents() -> None:
    """What was read of the files in vector stores."""


@documents.command("show")
@click.argument("file_id", metavar="FILE")
@_DATA
def show_command(file_id: str, data_dir: Path | None) -> None:
    """Format, encoding, what was replaced or has no text, and the first words of each chunk of FILE (an id)."""
    import asyncio  # noqa: PLC0415 - other commands shall not wait for what this one needs

    from threadmill.cli.serve import settings_for  # noqa: PLC0415 - as above
    from threadmill.settings import SettingsError  # noqa: PLC0415 - as above

    settings = settings_for(data_dir=data_dir)
    found = asyncio.run(_readings(settings, file_id))
    if not found:
        raise SettingsError(
            f"No vector store has read a file {file_id}.", "Look for its id with: threadmill files list"
        )
    for reading in found:
        _print(reading)


async def _readings(settings: "Settings", file_id: str) -> "list[FileReading]":
    from dataclasses import replace  # noqa: PLC0415 - as above

    from threadmill.adapters.system.metrics import PrometheusMetrics  # noqa: PLC0415 - as above
    from threadmill.bootstrap import open_ports  # noqa: PLC0415 - as above
    from threadmill.engine.documents.reading_report import readings  # noqa: PLC0415 - as above

    off = settings.config.sandbox.model_copy(update={"backend": "off"})
    settings = replace(settings, config=settings.config.model_copy(update={"sandbox": off}))
    async with open_ports(settings, PrometheusMetrics()) as ports:
        return await readings(ports, file_id)


def _print(reading: "FileReading") -> None:
    row, notes = reading.row, reading.notes
    click.echo(f"{row.file_id} in {row.vector_store_id}: {row.status}")
    if row.last_error is not None:
        click.echo(f"  error: {row.last_error.message}")
    if notes is not None:
        click.echo(f"  format: {notes.format}" + (f", {notes.encoding}" if notes.encoding else ""))
        if notes.pages is not None:
            click.echo(f"  pages: {notes.pages:,}, without text: {notes.blank_pages:,}")
        if notes.encoding:
            click.echo(f"  characters replaced: {notes.replaced:,}")
        for doubt in notes.doubts():
            click.echo(f"  ! {_plain(doubt)}")
    click.echo(f"  chunks: {len(reading.chunks):,}")
    for number, text in enumerate(reading.chunks):
        click.echo(f"  {number:>5}  {_plain(text[: 4 * FIRST_CHARACTERS])[:FIRST_CHARACTERS]}")


def _plain(text: str) -> str:
    """On one line, without what a terminal would obey."""
    return "".join(letter for letter in " ".join(text.split()) if letter.isprintable())
