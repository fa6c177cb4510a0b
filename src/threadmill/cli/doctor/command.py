"""The work of `threadmill doctor`. Each line says ok, or what to do."""

import asyncio
import logging
import sys
from pathlib import Path

import click

from threadmill.bootstrap import check_settings
from threadmill.cli.doctor.data import check_data
from threadmill.cli.doctor.finding import Finding
from threadmill.cli.doctor.services import check_limits, check_services
from threadmill.cli.resources.color import Colorizer, clean, wants_colour
from threadmill.cli.resources.error import ExitCode
from threadmill.cli.serve import settings_for
from threadmill.settings import Settings


def run_doctor(data_dir: Path | None, *, deep: bool) -> int:
    """Say what is well and what is to be done; exit code 1 when something is. Raises SettingsError."""
    settings = settings_for(data_dir=data_dir)
    check_settings(settings)
    logging.getLogger("threadmill").addHandler(logging.NullHandler())  # all of it is told below
    return ExitCode.OK if asyncio.run(_all_is_well(settings, deep=deep)) else ExitCode.REFUSED


async def _all_is_well(settings: Settings, *, deep: bool) -> bool:
    is_well = True
    keys = len(set(settings.api_keys.values()))
    said = f"{keys} projects have keys" if keys else "none are set: any is accepted, on loopback only"
    for finding in (Finding("keys", said), *check_data(settings, deep=deep), *check_limits(settings)):
        is_well &= _print(finding)
    async for finding in check_services(settings):
        is_well &= _print(finding)
    return is_well


def _print(finding: Finding) -> bool:
    style, verdict = ("good", "ok") if finding.is_ok else ("bad", "to do")
    shown = Colorizer(colour=wants_colour(sys.stdout))(style, f"{verdict:<6}")
    advice = f": {finding.advice}" if finding.advice else ""
    click.echo(f"{shown} {finding.subject:<9} {clean(finding.text.rstrip('.'))}{clean(advice)}")
    return finding.is_ok
