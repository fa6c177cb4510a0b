"""Drives a live Threadmill with the Python SDK of this environment; prints what each check saw as one JSON object.

python -m tests.sdk.python.drive SERVER_URL BACKSTAGE_URL sync async azure-sync …
"""

import asyncio
import json
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from typing import Any

import openai

from tests.sdk.python import on_code, on_files, on_objects, on_runs, on_streams, on_trouble
from tests.sdk.python.subject import Subject

warnings.filterwarnings("ignore", message=".*deprecated.*", category=DeprecationWarning)

CHECKS = {
    check.__name__: check
    for room in (on_runs, on_streams, on_objects, on_files, on_code, on_trouble)
    for check in room.CHECKS
}


def openai_client(kind: type[Any], **extra: Any) -> Callable[..., Any]:
    def connect(url: str, key: str, **options: Any) -> Any:
        return kind(base_url=url, api_key=key, **{"max_retries": 0, **extra, **options})

    return connect


def azure_client(kind: type[Any]) -> Callable[..., Any]:
    def connect(url: str, key: str, **options: Any) -> Any:
        endpoint = url.removesuffix("/v1")
        given: Any = {"max_retries": 0, "api_version": "2024-05-01-preview", **options}
        return kind(azure_endpoint=endpoint, api_key=key, **given)

    return connect


def aiohttp_client(url: str, key: str, **options: Any) -> Any:
    return openai_client(openai.AsyncOpenAI, http_client=openai.DefaultAioHttpClient())(url, key, **options)


KINDS: dict[str, Callable[..., Any]] = {
    "sync": openai_client(openai.OpenAI),
    "async": openai_client(openai.AsyncOpenAI),
    "azure-sync": azure_client(openai.AzureOpenAI),
    "azure-async": azure_client(openai.AsyncAzureOpenAI),
    "aiohttp": aiohttp_client,
}


async def drive(kind: str, url: str, backstage: str) -> dict[str, Any]:
    """What every check saw with this kind of client."""
    connect = KINDS[kind]
    on = Subject(connect(url, "test-key"), backstage, connect)
    await on.start()
    return {name: await _seen(f"{kind} {name}", check, on) for name, check in CHECKS.items()}


async def _seen(name: str, check: Callable[[Subject], Any], on: Subject) -> dict[str, Any]:
    began = time.perf_counter()
    print(name, file=sys.stderr, flush=True)  # the last one told is the one that hangs
    try:
        return {"seen": await check(on), "seconds": time.perf_counter() - began}
    except Exception:
        return {"error": traceback.format_exc()}


def main(url: str, backstage: str, *kinds: str) -> None:
    """Print the report."""
    report = {kind: asyncio.run(drive(kind, url, backstage)) for kind in kinds}
    print(json.dumps({"version": openai.__version__, "report": report}, default=str))


if __name__ == "__main__":
    main(*sys.argv[1:])
