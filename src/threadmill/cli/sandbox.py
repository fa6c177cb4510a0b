"""`threadmill sandbox`: build the Python that code_interpreter runs, and see whether its walls hold on this machine."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from threadmill.adapters.sandbox.bwrap.command import find_bwrap
from threadmill.adapters.sandbox.bwrap.selftest import SelfTest, self_test
from threadmill.adapters.sandbox.environment import default_environment, install
from threadmill.adapters.sandbox.opening import SandboxSettings, bwrap_backend

app = typer.Typer(no_args_is_help=True, help="The sandbox code_interpreter runs in.")

_Data = Annotated[Path, typer.Option(envvar="THREADMILL_DATA_DIR", help="Where data is kept.")]
_Where = Annotated[
    Path | None, typer.Option("--path", help="Where the sandbox's Python lies. [DATA_DIR/sandbox/python]")
]
_With = Annotated[
    list[Path] | None, typer.Option("--with", help="A requirements file of further packages; repeatable.")
]


@app.command("install")
def install_command(data_dir: _Data = Path(".threadmill"), path: _Where = None, extra: _With = None) -> None:
    """Build the sandbox's Python: numpy, pandas, matplotlib and what else analysts expect. About 600 MB."""
    install(path or default_environment(data_dir), extra or (), print)
    if find_bwrap() is None:
        print("sandbox: bubblewrap is missing; install it with your system's packages (apt-get install bubblewrap)")


@app.command("check")
def check_command(data_dir: _Data = Path(".threadmill"), path: _Where = None) -> None:
    """Start the sandbox and try every attempt of the escape table in it."""
    settings = SandboxSettings("bwrap", path or default_environment(data_dir), hidden=(data_dir,))
    tested = asyncio.run(_tested(settings))
    print(f"sandbox: {tested.attempts - len(tested.succeeded)} of {tested.attempts} attempts to get out were blocked")
    if tested.problem:
        print(f"sandbox: {tested.problem}")
        raise typer.Exit(1)


async def _tested(settings: SandboxSettings) -> SelfTest:
    backend = bwrap_backend(settings)
    try:
        return await self_test(backend, settings.limits, settings.hidden)
    finally:
        await backend.close()
