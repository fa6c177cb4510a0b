"""Getting a sandbox: the server starts without waiting for it, and says in one line why there is none."""

import asyncio
import logging
from dataclasses import replace
from pathlib import Path

import pytest

from tests.sandbox.support import ENVIRONMENT, ONE, bwrap_settings, fetched, pieces, told
from tests.support.stage import FakeClock
from threadmill.adapters.sandbox.environment import (
    PackageSet,
    default_environment,
    environment_in,
    installed_environment,
    is_current,
)
from threadmill.adapters.sandbox.factory import SandboxSettings, machine_memory, open_sandbox
from threadmill.adapters.system.troubles import LoggedTroubles
from threadmill.domain.ids import RunId
from threadmill.engine.ports.sandbox import Ended, EndReason, Sandbox, SandboxUnavailable, Started
from threadmill.settings import SettingsError, load


async def refusal_of(settings: SandboxSettings) -> str:
    """What everybody is told, seeing that every way to use it tells the same."""
    sandbox = await open_sandbox(settings, FakeClock(), LoggedTroubles())
    try:
        with pytest.raises(SandboxUnavailable) as refused:
            await sandbox.start(ONE)
        for attempt in (told(sandbox, "1"), sandbox.put(ONE, "x", pieces()), fetched(sandbox, "x")):
            with pytest.raises(SandboxUnavailable):
                await attempt
        sandbox.release(ONE, RunId("run_one"))
        assert sandbox.unavailable_reason == refused.value.message
        assert "\n" not in refused.value.message
        return refused.value.message
    finally:
        await sandbox.close()


async def test_switched_off() -> None:
    settings = replace(bwrap_settings(), backend="off")
    assert await refusal_of(settings) == "code_interpreter is switched off on this server."


async def test_without_bubblewrap(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    said = await refusal_of(bwrap_settings())
    assert said == (
        "code_interpreter is not available on this server: bubblewrap is not installed (apt-get install bubblewrap)."
    )
    assert caplog.messages == [said]


async def test_without_a_python(tmp_path: Path) -> None:
    said = await refusal_of(replace(bwrap_settings(), environment=tmp_path))
    assert said.endswith(f"there is no Python in {tmp_path} (threadmill sandbox install).")


async def test_a_bubblewrap_that_does_not_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tmp_path.joinpath("bwrap").write_text(
        "#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2; exit 1\n"
    )
    tmp_path.joinpath("bwrap").chmod(0o755)
    tmp_path.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    for folder in (tmp_path.parent, tmp_path.parent.parent, tmp_path.parent.parent.parent):
        folder.chmod(0o755)
    said = await refusal_of(bwrap_settings())
    assert said.endswith("The sandbox does not start: bwrap: No permissions to create new namespace")


async def test_walls_that_do_not_hold(caplog: pytest.LogCaptureFixture) -> None:
    said = await refusal_of(replace(bwrap_settings(), hidden=(Path("/usr/bin"),)))
    assert said.endswith("The sandbox does not hold on this machine: it was possible to read /usr/bin.")
    assert caplog.messages == [said]


async def test_it_opens_at_once_and_who_comes_early_waits_for_the_test(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "threadmill")
    sandbox: Sandbox = await open_sandbox(bwrap_settings(), FakeClock(), LoggedTroubles())
    try:
        assert sandbox.unavailable_reason is None
        assert caplog.messages == []
        assert await sandbox.start(ONE) == Started(is_new=True)
        assert "blocked all of" in caplog.messages[0]
        assert (await told(sandbox, "1")).ended == Ended(EndReason.COMPLETED)
    finally:
        await sandbox.close()


async def test_closing_while_it_opens_leaves_nothing() -> None:
    sandbox = await open_sandbox(bwrap_settings(), FakeClock(), LoggedTroubles())
    waiting = asyncio.create_task(sandbox.start(ONE))
    await asyncio.wait([waiting], timeout=0.1)
    await sandbox.close()
    with pytest.raises((SandboxUnavailable, asyncio.CancelledError)):
        await waiting


async def test_a_gateway_that_is_not_there_is_asked_again(gateway: str, unused_url: str) -> None:
    settings = replace(bwrap_settings(), backend=unused_url, token="t0ken")
    sandbox = await open_sandbox(settings, FakeClock(), LoggedTroubles())
    for _ in range(2):
        with pytest.raises(SandboxUnavailable, match="The kernel gateway cannot be reached"):
            await sandbox.start(ONE)
    assert sandbox.unavailable_reason is None
    await sandbox.close()
    wrong = await open_sandbox(replace(settings, backend=gateway, token="wrong"), FakeClock(), LoggedTroubles())
    with pytest.raises(SandboxUnavailable, match="The kernel gateway answered 401 to"):
        await wrong.start(ONE)
    await wrong.close()


async def test_a_gateway_is_a_sandbox(gateway: str) -> None:
    sandbox = await open_sandbox(
        replace(bwrap_settings(), backend=gateway, token="t0ken"), FakeClock(), LoggedTroubles()
    )
    assert (await told(sandbox, "6 * 7")).logs == "42\n"
    await sandbox.close()


def test_settings_reach_the_sandbox(tmp_path: Path) -> None:
    file = tmp_path / "threadmill.toml"
    file.write_text("[sandbox]\ncall_seconds = 5\nmemory_mb = 300\ndisk_mb = 20\nidle_seconds = 60\nmax_sessions = 3\n")
    given = load({"THREADMILL_CONFIG": str(file), "THREADMILL_DATA_DIR": "d", "THREADMILL_SANDBOX": "off"})
    found = SandboxSettings.of(given)
    assert (found.backend, found.environment, found.hidden) == ("off", installed_environment(), (Path("d"),))
    assert (found.limits.wall, found.limits.memory, found.limits.disk) == (5, 300 << 20, 20 << 20)
    assert (found.pool.idle, found.pool.age, found.pool.max_sessions) == (60, 3600, 3)
    assert found.pool.memory == machine_memory() // 2 > 0
    file.write_text("[sandbox]\ntotal_memory_mb = 512\n")
    assert SandboxSettings.of(load({"THREADMILL_CONFIG": str(file)})).pool.memory == 512 << 20
    assert SandboxSettings.of(load({})).backend == "bwrap"


def test_a_wrong_setting_says_what_is_allowed() -> None:
    with pytest.raises(SettingsError, match=r"THREADMILL_SANDBOX is 'docker'; it must be bwrap, off, or the URL"):
        load({"THREADMILL_SANDBOX": "docker"})


def test_the_sandboxes_python_is_the_data_directorys_own_or_the_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    standard, full = installed_environment(), installed_environment(PackageSet.FULL)
    assert standard.parent == full.parent == tmp_path / "home" / "threadmill" / "sandbox"
    own = environment_in(tmp_path / "data")
    assert default_environment(tmp_path / "data") == standard
    for built in (standard, full, own):  # each wins over the one before
        built.mkdir(parents=True)
        (built / "stamp").touch()
        assert default_environment(tmp_path / "data") == built


def test_the_sandboxes_python_is_of_this_version() -> None:
    assert is_current(ENVIRONMENT)
