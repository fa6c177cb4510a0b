"""`threadmill sandbox`: build the Python that code_interpreter runs, and see whether its walls hold on this machine."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from threadmill.adapters.sandbox.bwrap.selftest import SelfTest
    from threadmill.adapters.sandbox.opening import SandboxSettings

app = typer.Typer(no_args_is_help=True, help="The sandbox code_interpreter runs in.")

_Data = Annotated[Path | None, typer.Option("--data-dir", help="Where data is kept. [env: THREADMILL_DATA_DIR]")]
_Where = Annotated[Path | None, typer.Option("--path", help="Where its Python lies. [DATA_DIR/sandbox/python]")]
_With = Annotated[list[Path] | None, typer.Option("--with", help="A requirements file to add; repeatable.")]


@app.command("install")
def install_command(data_dir: _Data = None, path: _Where = None, extra: _With = None) -> None:
    """Build the sandbox's Python: numpy, pandas, matplotlib and what else analysts expect. About 600 MB."""
    from threadmill.adapters.sandbox.bwrap.command import find_bwrap  # noqa: PLC0415 - `--help` shall not wait
    from threadmill.adapters.sandbox.environment import install  # noqa: PLC0415 - as above

    install(_settings(data_dir, path).environment, extra or (), print)
    if find_bwrap() is None:
        print("sandbox: bubblewrap is missing; install it with your system's packages (apt-get install bubblewrap)")


@app.command("check")
def check_command(data_dir: _Data = None, path: _Where = None) -> None:
    """Start the sandbox and try every attempt of the escape table in it."""
    from threadmill.adapters.sandbox.bwrap.selftest import self_test  # noqa: PLC0415 - as above
    from threadmill.adapters.sandbox.opening import bwrap_backend  # noqa: PLC0415 - as above

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
        raise typer.Exit(1)


def _settings(data_dir: Path | None, path: Path | None) -> "SandboxSettings":
    from threadmill.adapters.sandbox.opening import SandboxSettings  # noqa: PLC0415 - as above
    from threadmill.settings import load  # noqa: PLC0415 - as above

    given = load()
    server = replace(given.server, data_dir=data_dir or given.server.data_dir)
    found = SandboxSettings.of(replace(given, server=server))
    return replace(found, environment=path or found.environment)
