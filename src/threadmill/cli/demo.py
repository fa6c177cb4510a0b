"""`threadmill demo`: a server on a free port, one run with a function tool through the official SDK, all of it shown."""

import os
import re
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from openai import OpenAI
    from openai.types.beta.assistant_stream_event import AssistantStreamEvent

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city, right now",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}

QUESTION = "What is the weather in Oslo?"

INSTRUCTIONS = """You are a weatherman.
rehearsal:
slow: 30ms
say: Let me look that up.
call: get_weather {"city": "Oslo"}
---
slow: 30ms
say: In Oslo it is {{output}} right now. Take a coat."""
"""What the built-in model plays (docs/reference/rehearsal.md)."""


def run_demo() -> int:
    """Exit code 0 if the run ended completed."""
    console = Console(highlight=False)
    try:
        import openai  # noqa: PLC0415 - a tool of the demo, not of the server
    except ImportError:
        console.print("The demo drives the official SDK: pip install openai")
        return 1
    warnings.simplefilter("ignore", DeprecationWarning)  # the SDK warns of the very API we serve
    with _server() as url:
        console.print(f"[bold]A Threadmill server runs on {url}[/], with the built-in model [bold]rehearsal[/].")
        console.print("The official openai SDK talks to it, unmodified.\n")
        return _drive(console, openai.OpenAI(base_url=url, api_key="demo"))


@contextmanager
def _server() -> Generator[str, None, None]:
    with tempfile.TemporaryDirectory(prefix="threadmill-demo-") as directory:
        command = [sys.executable, "-m", "threadmill", "serve", "--port", "0", "--data-dir", directory]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("THREADMILL_")}
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        try:
            first = server.stdout.readline() if server.stdout else ""
            found = re.search(r"http://\S+", first)
            if found is None:
                raise SystemExit("The server did not start; see above.")
            yield found[0]
        finally:
            server.terminate()
            server.wait()


def _drive(console: Console, client: "OpenAI") -> int:
    assistant = client.beta.assistants.create(
        model="rehearsal",
        name="Weatherman",
        instructions=INSTRUCTIONS,
        tools=[WEATHER],  # pyright: ignore[reportArgumentType] - a plain dict, as users write it
    )
    thread = client.beta.threads.create(messages=[{"role": "user", "content": QUESTION}])
    console.print(f"[dim]user[/]      {QUESTION}")
    with client.beta.threads.runs.stream(thread_id=thread.id, assistant_id=assistant.id) as stream:
        for event in stream:
            _show(console, event)
        run = stream.get_final_run()
    if run.required_action is None:
        console.print(f"[red]The run ended {run.status}: {run.last_error}[/]")
        return 1
    calls = run.required_action.submit_tool_outputs.tool_calls
    console.print("\n[bold]The run waits for us:[/] we answer [green]7 degrees and rainy[/] and go on.\n")
    with client.beta.threads.runs.submit_tool_outputs_stream(
        run_id=run.id,
        thread_id=thread.id,
        tool_outputs=[{"tool_call_id": call.id, "output": "7 degrees and rainy"} for call in calls],
    ) as stream:
        for event in stream:
            _show(console, event)
        run = stream.get_final_run()
    _show_steps(console, client, run.id, thread.id)
    return 0 if run.status == "completed" else 1


def _show(console: Console, event: "AssistantStreamEvent") -> None:
    """One line an event; deltas with what they add."""
    detail = ""
    data: Any = event.data
    if event.event == "thread.message.delta":
        detail = data.delta.content[0].text.value
    elif event.event == "thread.run.step.delta":
        details = data.delta.step_details
        detail = "".join((c.function.name or "") + (c.function.arguments or "") for c in details.tool_calls)
    elif event.event == "thread.run.requires_action":
        calls = data.required_action.submit_tool_outputs.tool_calls
        detail = ", ".join(f"{call.function.name}({call.function.arguments})" for call in calls)
    console.print(f"  [cyan]{event.event:<28}[/] [green]{detail}[/]")


def _show_steps(console: Console, client: "OpenAI", run_id: str, thread_id: str) -> None:
    table = Table("run step", "status", "what", "tokens", title="\nThe run, step by step", title_justify="left")
    for step in client.beta.threads.runs.steps.list(run_id, thread_id=thread_id, order="asc"):
        tokens = str(step.usage.total_tokens) if step.usage else ""
        table.add_row(step.type, step.status, _what(client, thread_id, step.step_details), tokens)
    console.print(table)


def _what(client: "OpenAI", thread_id: str, details: Any) -> str:
    if details.type == "message_creation":
        message: Any = client.beta.threads.messages.retrieve(details.message_creation.message_id, thread_id=thread_id)
        return message.content[0].text.value
    return "\n".join(f"{c.function.name}({c.function.arguments}) = {c.function.output}" for c in details.tool_calls)
