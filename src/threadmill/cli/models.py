"""`threadmill models test`: whether the configured upstream answers, and whether its model can call functions."""

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

    from threadmill.adapters.models.model_check import Finding
    from threadmill.adapters.models.router import ModelRouter, UpstreamRoute
    from threadmill.settings import Settings


@click.command("test", short_help="See whether an upstream answers and calls functions.")
@click.argument("model", required=False)
@click.option("--timeout", type=click.FloatRange(min=1), default=120, show_default=True, help="Seconds for an answer.")
def models_test(model: str | None, timeout: float) -> None:
    """Ask the upstream of MODEL for a streamed answer and a function call, and say what works.

    Upstreams are those that `threadmill serve` would take from the environment and threadmill.toml; no server needs to
    run. Without MODEL each upstream is tried with the model an alias means, or the one its `models` name, or its only
    one. Exit code 0: all of it works; 1: something does not.
    """
    import asyncio  # noqa: PLC0415 - other commands shall not wait for what this one needs
    import logging  # noqa: PLC0415 - as above

    from threadmill.settings import load  # noqa: PLC0415 - as above

    settings = load()
    logging.getLogger("threadmill.models").addHandler(logging.NullHandler())  # all of it is told below
    if not asyncio.run(_all_work(settings, model, timeout)):
        raise click.exceptions.Exit(1)


async def _all_work(settings: "Settings", model: str | None, seconds: float) -> bool:
    """Whether all that was tried works. Raises CliError where there is nothing to try."""
    from threadmill.adapters.models.factory import open_models  # noqa: PLC0415 - as above
    from threadmill.adapters.system.metrics import PrometheusMetrics  # noqa: PLC0415 - as above
    from threadmill.adapters.tokens.counter import BpeTokenCounter  # noqa: PLC0415 - as above

    router = open_models(settings.config, BpeTokenCounter(), PrometheusMetrics())
    try:
        chosen = await (_chosen(router) if model is None else _named(router, model))
        verdicts = [await _works(route, name, seconds) for route, name in chosen]
    finally:
        await router.aclose()
    return all(verdicts)


async def _named(router: "ModelRouter", model: str) -> "Sequence[tuple[UpstreamRoute, str | None]]":
    from threadmill.cli.resources.error import usage_error  # noqa: PLC0415 - as above
    from threadmill.engine.ports.model import ModelError  # noqa: PLC0415 - as above

    try:
        route, meant = await router.find(model)
    except ModelError as error:
        raise usage_error(error.message) from None
    if route is None:
        click.echo(f"{model} is the built-in model: it needs no upstream, and it always works.")
        return []
    return [(route, meant or model)]


async def _chosen(router: "ModelRouter") -> "Sequence[tuple[UpstreamRoute, str | None]]":
    from threadmill.adapters.models.model_check import models_to_check  # noqa: PLC0415 - as above
    from threadmill.cli.resources.error import usage_error  # noqa: PLC0415 - as above

    if not router.routes:
        advice = "Set THREADMILL_UPSTREAM_URL, or name a threadmill.toml in THREADMILL_CONFIG."
        raise usage_error("No upstream is set: only the built-in `rehearsal` is there.", advice)
    return await models_to_check(router)


async def _works(route: "UpstreamRoute", model: str | None, seconds: float) -> bool:
    from threadmill.adapters.models.model_check import Verdict, check_model  # noqa: PLC0415 - as above

    click.echo((f"{model} at " if model else "") + f"the upstream '{route.upstream.name}'")
    failed = False
    async for finding in check_model(route, model, seconds):
        _print(finding)
        failed = failed or finding.verdict is Verdict.FAILED
    return not failed


def _print(finding: "Finding") -> None:
    import sys  # noqa: PLC0415 - as above

    from threadmill.cli.resources.color import Colorizer, clean, wants_colour  # noqa: PLC0415 - as above

    style = {"ok": "good", "failed": "bad", "note": "dim"}[finding.verdict]
    verdict = Colorizer(colour=wants_colour(sys.stdout))(style, f"{finding.verdict:<6}")
    click.echo(f"  {verdict}  {clean(finding.text)}")
