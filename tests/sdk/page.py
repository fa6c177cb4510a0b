"""Writes docs/reference/clients.md from the script set and the pins: `make docs`. A test fails when it is stale."""

from pathlib import Path

from tests.sdk.clients import ROOT, SDKS
from tests.sdk.expected import EXPECTED
from tests.sdk.frameworks.check import EXPECTED as FRAMEWORKS
from tests.sdk.frameworks.check import pins_of
from tests.sdk.python.drive import CHECKS

PAGE = ROOT / "docs" / "reference" / "clients.md"

KINDS = {
    "sync": "`OpenAI`",
    "async": "`AsyncOpenAI`",
    "aiohttp": "`AsyncOpenAI` over `DefaultAioHttpClient`",
    "azure-sync": "`AzureOpenAI`",
    "azure-async": "`AsyncAzureOpenAI`",
    "openai": "`OpenAI`",
    "azure": "`AzureOpenAI`",
}

SHOWN = {
    "langchain": "`OpenAIAssistantRunnable` and `OpenAIAssistantV2Runnable`: its agent loop answers two parallel calls; "
    "a second run on the thread; `ainvoke`",
    "autogen": "`OpenAIAssistantAgent`: two parallel calls, a second turn, inner events, `on_reset`, deletion",
    "semantic-kernel": "`OpenAIAssistantAgent` with a plugin: two parallel calls, `get_response` and `invoke_stream` on "
    "one thread, its messages, deletion",
    "agency-swarm": "two agents: one asks the other, which uses a tool; polled and streamed (0.7 is the last that uses "
    "assistants)",
}

HEAD = """\
# Clients that are known to work

This page is written by `make docs` from the tests that show it. One set of checks runs unmodified official SDKs against
a live server (`tests/sdk`, part of `make test`). Every client must see the same: the same statuses and texts, the same
events in the same order, the same number of calls of each callback, the same error classes.
"""

EXACT = """\
## How exact streams are

At the end of each stream, what the SDK's accumulators hold (run, messages, steps) is compared field by field with what
the API returns afterwards. They are equal, but for what the original service does too:

| field | in the stream | afterwards |
|---|---|---|
| `run.tool_resources` | `{"code_interpreter": {"file_ids": []}}` | `{}` |
| `step.expires_at` | when the run would expire | null once the run has ended |

The SDKs add differences of their own:

- Python, all versions: snapshots of steps grow by deltas but do not take over the closing event, so the steps of
  `get_final_run_steps()` still say `in_progress` and have no usage. The closing event itself is exact.
- Python, all versions: `on_tool_call_done` comes again for a code_interpreter call at each later step and at the run's end:
  the SDK does not forget the call.
- Node 4: snapshots of messages are left so too. And it does not know that `thread.run.incomplete` ends a run: `finalRun()` then rejects
  with "Final run has not been received". Node 7 has neither.
- Python 1.55 does not look at `has_more`: auto-paging asks for one more, empty page. It also sends `include` in the body of
  create-run, where the service wants it in the query; this server takes both.
- Node's `timeout` covers a response's headers only: give up a silent stream with `abort()`. Python's covers each wait.

## Errors

| status | Python and Node class | when |
|---|---|---|
| 400 | `BadRequestError` | a bad value, a locked thread, a wrong status, an unknown parameter |
| 401 | `AuthenticationError` | no key, a wrong key |
| 404 | `NotFoundError` | no such object in the key's project, no such route |
| 405, 413 | `APIStatusError` (`APIError` in Node) | a wrong method, a body that is too large |
| 500 | `InternalServerError` | a fault of the server's own |
| 503 | `InternalServerError` | the server cannot write now; it names the time to try again (`retry-after-ms`, `retry-after`) |

403, 409, 422 and 429 are not sent: a model's rate limit ends the run as `failed` with `rate_limit_exceeded`. The SDKs'
retries (`max_retries`, 2 by default) bridge a restart of the server. A stream that a restart cuts raises `APIError`; the
run goes on by itself when the server is back: poll it.
"""

FRAMEWORKS_HEAD = """\
## Frameworks

Run by `make clients`, each in an environment of its own, unmodified, with `OPENAI_BASE_URL` and `OPENAI_API_KEY` set and a
function tool that the framework calls by itself.

| framework | versions | shown |
|---|---|---|
"""

TAIL = """\
## How it is run

`make test` makes an environment for each older Python SDK under `.venv-clients/` from the hashed pins in
`tests/sdk/python/*/requirements.txt` (a few seconds, once), and installs both Node SDKs from
`tests/sdk/node/package-lock.json`. Without a network their tests are skipped and say so; with `CI` set a client that is
missing is a failure, so that nothing passes unseen. `make lock-clients` pins anew.

All SDKs drive one server at the same time: the whole matrix takes about a minute on two idle cores. Alone it is
`make test FLOOR=sdk`; one client is `.venv/bin/pytest tests/sdk -k node-7-openai`, a quarter of a minute.
"""


def page() -> str:
    """The whole page."""
    clients = [
        f"| {_title(sdk.name)} | {sdk.version} | {', '.join(KINDS[kind] for kind in sdk.kinds)} |" for sdk in SDKS
    ]
    checks = [f"| `{name}` | {(CHECKS[name].__doc__ or '').strip()} |" for name in EXPECTED]
    frameworks = [f"| {name} | {_versions(name)} | {SHOWN[name]} |" for name in FRAMEWORKS]
    count = sum(len(sdk.kinds) for sdk in SDKS) * len(EXPECTED)
    return "\n".join([
        HEAD,
        "| SDK | version | clients |\n|---|---|---|", *clients,
        f"\nAll {len(EXPECTED)} checks run on each client, {count} in all:\n",
        "| check | what it shows |\n|---|---|", *checks, "",
        EXACT,
        FRAMEWORKS_HEAD + "\n".join(frameworks), "",
        TAIL,
    ]).rstrip("\n") + "\n"  # fmt: skip


def _title(name: str) -> str:
    language, _, generation = name.partition("-")
    return f"{language.capitalize()} `openai` {generation}"


def _versions(framework: str) -> str:
    return ", ".join(f"{name} {version}" for name, version in pins_of(framework).items())


def write(path: Path = PAGE) -> None:
    """Write it."""
    path.write_text(page())


if __name__ == "__main__":
    write()
