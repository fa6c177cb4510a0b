"""`threadmill serve` and `threadmill migrate`."""

import asyncio
import errno
import gc
import json
import logging
import resource
import socket
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import uvloop

from threadmill.adapters.sql.migrate import migrate
from threadmill.adapters.sqlite.database import acquire_lock
from threadmill.api.connections import ConnectionLimits, Connections
from threadmill.api.server import Server, config
from threadmill.bootstrap import check_settings, database_name, database_path, is_postgres, open_application
from threadmill.cli.allocator import bound_kept_memory
from threadmill.cli.resources.color import clean
from threadmill.settings import ServerSettings, Settings, SettingsError, load

GC_THRESHOLDS = (10_000, 4, 80)
"""Objects before a young collection, and how many of those before an older one; Python's own are for small scripts.

The middle one looks at 50,000 objects that are alive at most: 200,000 took the event loop 70 to 130 ms.
"""


SWITCH_SECONDS = 0.0005
"""How long a thread may keep the interpreter while the event loop waits for it; Python's own 5 ms, several times in a row,
held streams up for 40 ms while many files were read."""


class TextFormatter(logging.Formatter):
    """One line a record (tracebacks apart), whatever words of strangers stand in it."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the name is logging's
        """The line, its control characters written out."""
        return clean(super().formatMessage(record)).replace("\n", "\\n")


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """The record's time, level, logger and text; a traceback if there is one."""
        line: dict[str, Any] = {
            "at": self.formatTime(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return clean(json.dumps(line, ensure_ascii=False))


def settings_for(**options: Any) -> Settings:
    """Settings of the environment, with command line options on top. Raises SettingsError."""
    settings = load()
    given = {name: value for name, value in options.items() if value is not None}
    if given.get("role", "all") not in ("all", "api", "worker"):
        raise SettingsError(f"--role is '{given['role']}'; it must be all, api or worker.")
    server: ServerSettings = replace(settings.server, **given)
    return replace(settings, server=server)


MAX_DESCRIPTORS = 1_048_576
"""Of open files we ask for where the hard limit is none at all: a few programs walk through all there may be."""


def raise_descriptor_limit() -> int:
    """Raise the soft limit of open files to the hard one; how many there may be then."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MAX_DESCRIPTORS)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return MAX_DESCRIPTORS if soft == resource.RLIM_INFINITY else soft
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError):  # a system may refuse more than it says
        return soft
    return wanted


def connection_limits(settings: Settings, descriptors: int) -> ConnectionLimits:
    """Bounds of connections; where there are upstreams each may need a second descriptor for its model."""
    given = settings.config.limits
    return ConnectionLimits(
        given.max_connections,
        given.head_seconds,
        given.body_seconds,
        given.write_seconds,
        descriptors,
        per_connection=2 if settings.config.upstreams else 1,
    )


def run_server(**options: Any) -> None:
    """Serve until SIGINT or SIGTERM. Raises SettingsError, Unavailable before anything listens."""
    bound_kept_memory()
    settings = settings_for(**options)
    _log_to_stderr(settings.server.log_format)
    check_settings(settings)
    descriptors = raise_descriptor_limit()
    listener = _bind(settings.server)
    uvloop.run(_serve(settings, listener, connection_limits(settings, descriptors)))


def _log_to_stderr(log_format: str) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)


_LISTEN_ADVICE = {
    errno.EADDRINUSE: "Stop what listens there, or choose another port with --port; 0 picks a free one.",
    errno.EACCES: "Ports below 1024 need rights; choose another with --port.",
}


def _bind(server: ServerSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in server.host else socket.AF_INET
    # Said to be TCP: only then asyncio, where uvloop is missing, sets TCP_NODELAY on what it accepts.
    listener = socket.socket(family, proto=socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((server.host, server.port))
    except OSError as error:
        listener.close()
        text = f"Cannot listen on {server.host}:{server.port}: {error.strerror}."
        raise SettingsError(text, _LISTEN_ADVICE.get(error.errno or 0, "Choose another with --host.")) from None
    return listener


async def _serve(settings: Settings, listener: socket.socket, limits: ConnectionLimits) -> None:
    sys.setswitchinterval(SWITCH_SECONDS)
    async with open_application(settings) as application:
        seconds = settings.config.limits.drain_seconds

        def ready() -> None:
            # What is alive now stays alive: the collector need not look at it again and again.
            gc.collect()
            gc.freeze()
            gc.set_threshold(*GC_THRESHOLDS)
            _print_banner(settings, listener.getsockname()[1])

        served = config(application.app, Connections(limits), settings.config.limits.keep_alive_seconds)
        await Server(served, lambda: application.drain(seconds), ready).serve([listener])
        await asyncio.sleep(0)


def _print_banner(settings: Settings, port: int) -> None:
    """What a person wants to know once the server listens, and a script can wait for."""
    host = f"[{settings.server.host}]" if ":" in settings.server.host else settings.server.host
    say = [f"Threadmill serves the Assistants API on http://{host}:{port}/v1", f"  data      {database_name(settings)}"]
    if settings.config.blobs.store != "disk":
        say.append(f"  files     {settings.config.blobs.store}")
    if settings.config.upstreams:
        say += [
            f"  upstream  {one.name}: {one.base_url} for {', '.join(one.models)}" for one in settings.config.upstreams
        ]
    else:
        say.append("  models    only the built-in `rehearsal`; set THREADMILL_UPSTREAM_URL to use a real one")
    if not settings.api_keys:
        say.append("  keys      any key is accepted, on loopback only; set THREADMILL_API_KEYS to change that")
    print("\n".join(say), flush=True)


def run_migrate(data_dir: Path | None) -> None:
    """Bring the database to this version's schema. Raises SettingsError, Unavailable, DatabaseInUse."""
    settings = settings_for(data_dir=data_dir)
    url = settings.server.database_url
    if url is not None and is_postgres(settings):
        from threadmill.adapters.postgres.opening import prepare  # noqa: PLC0415 - only here

        asyncio.run(prepare(url))
    else:
        path = database_path(settings)
        acquire_lock(path)
        migrate(f"sqlite:///{path}")
    print(f"{database_name(settings)} has the newest schema.")
