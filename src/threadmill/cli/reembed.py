"""The work of `threadmill search reembed`, with a bar that shows how far it is."""

import asyncio
from dataclasses import replace
from pathlib import Path

import click

from threadmill.adapters.system.metrics import PrometheusMetrics
from threadmill.bootstrap import open_ports
from threadmill.cli.serve import settings_for
from threadmill.engine.documents.reembedding import outdated_rows, reembed
from threadmill.engine.ports.embedder import EmbeddingFailed
from threadmill.settings import Settings, SettingsError


def run_reembed(data_dir: Path | None) -> None:
    """Bring every file's vectors to the present embedder. Raises SettingsError, Unavailable."""
    asyncio.run(_reembed(settings_for(data_dir=data_dir)))


async def _reembed(settings: Settings) -> None:
    off = settings.config.sandbox.model_copy(update={"backend": "off"})
    settings = replace(settings, config=settings.config.model_copy(update={"sandbox": off}))
    async with open_ports(settings, PrometheusMetrics()) as ports:
        rows = await outdated_rows(ports)
        embedder = ports.search.embedder
        goal = "no vectors (words only)" if embedder is None else embedder.identity
        if not rows:
            click.echo(f"search: all files are up to date: {goal}")
            return
        done = reembed(ports, rows)
        try:
            with click.progressbar(length=len(rows), label=f"{len(rows)} files to {goal}", show_pos=True) as bar:
                async for _ in done:
                    bar.update(1)
        except EmbeddingFailed as error:
            raise SettingsError(str(error), "What is done stays done: run the command again to go on.") from None
        click.echo(f"search: {len(rows)} files embedded anew")
