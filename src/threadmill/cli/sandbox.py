"""`threadmill sandbox`: build the Python that code_interpreter runs, and see whether its walls hold on this machine."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from threadmill.adapters.sandbox.bwrap.self_test import SelfTest
    from threadmill.adapters.sandbox.factory import SandboxSettings

_DATA = click.option("--data-dir", type=click.Path(path_type=Path), help="Where data is kept. [env: THREADMILL_DATA_DIR]")  # fmt: skip
_WHERE = click.option("--path", type=click.Path(path_type=Path), help="Where its Python lies. [this user's data folder]")  # fmt: skip
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group(no_args_is_help=True)
def sandbox() -> None:
    """The sandbox code_interpreter runs in."""


@sandbox.command("install")
@click.option("--data-dir", type=click.Path(path_type=Path), help="For the servers with this data directory alone.")
@_WHERE
@click.option("--set", "packages", type=click.Choice(["standard", "full"]), default="standard", show_default=True)
@click.option("--with", "extra", multiple=True, type=_FILE, help="A requirements file to add; repeatable.")
def install_command(data_dir: Path | None, path: Path | None, packages: str, extra: tuple[Path, ...]) -> None:
    """Build the sandbox's Python where every server of this user finds it.

    The standard set is numpy, pandas, matplotlib and what else analysts expect, about 1.1 GB; the full set adds xgboost,
    lightgbm, numba, spacy, gensim and geopandas, about 1.7 GB.
    """
    from threadmill.adapters.sandbox.bwrap.command import find_bwrap  # noqa: PLC0415 - `--help` shall not wait
    from threadmill.adapters.sandbox.environment import (  # noqa: PLC0415 - as above
        PackageSet,
        environment_in,
        install,
        installed_environment,
    )

    wanted = PackageSet(packages)
    place = path or (environment_in(data_dir) if data_dir else installed_environment(wanted))
    install(place, extra, print, wanted)
    if find_bwrap() is None:
        print("sandbox: bubblewrap is missing; install it with your system's packages (apt-get install bubblewrap)")


@sandbox.command("check")
@_DATA
@_WHERE
def check_command(data_dir: Path | None, path: Path | None) -> None:
    """Start the sandbox and try every attempt of the escape table in it."""
    import asyncio  # noqa: PLC0415 - as above

    from threadmill.adapters.sandbox.bwrap.self_test import self_test  # noqa: PLC0415 - as above
    from threadmill.adapters.sandbox.factory import bwrap_backend  # noqa: PLC0415 - as above

    settings = _settings(data_dir, path)
    backend = bwrap_backend(settings)

    async def test() -> "SelfTest":
        try:
            return await self_test(backend, settings.limits, settings.hidden)
        finally:
            await backend.close()

    tested = asyncio.run(test())
    print(f"sandbox: {tested.attempts - len(tested.succeeded)} of {tested.attempts} attempts to get out were blocked")
    if tested.problem:
        print(f"sandbox: {tested.problem}")
        raise click.exceptions.Exit(1)


def _settings(data_dir: Path | None, path: Path | None) -> "SandboxSettings":
    from threadmill.adapters.sandbox.factory import SandboxSettings  # noqa: PLC0415 - as above
    from threadmill.settings import load  # noqa: PLC0415 - as above

    given = load()
    server = replace(given.server, data_dir=data_dir or given.server.data_dir)
    found = SandboxSettings.of(replace(given, server=server))
    return replace(found, environment=path or found.environment)
