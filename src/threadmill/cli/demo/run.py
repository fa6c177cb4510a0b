"""The demo itself: what a client does, in the order it does it."""

import warnings
from typing import TYPE_CHECKING, Any

from rich.console import Console

from threadmill.cli.demo import script, server
from threadmill.cli.demo.event_table import EventTable
from threadmill.cli.demo.summary import save_files, show_steps

if TYPE_CHECKING:
    from openai import OpenAI
    from openai.types.beta.threads import Run


def run_demo() -> int:
    """Exit code 0 if the run ended completed."""
    console = Console(highlight=False)
    try:
        import openai  # noqa: PLC0415 - a tool of the demo, not of the server
    except ImportError:
        console.print("The demo drives the official SDK: pip install openai")
        return 1
    warnings.simplefilter("ignore", DeprecationWarning)  # the SDK warns of the very API we serve
    console.print(f"client            openai {openai.__version__}, the official SDK, unmodified")
    console.print("model             rehearsal, built in: it plays a script, offline")
    console.print("code_interpreter  ", end="")
    sandbox = server.sandbox_status()
    console.print("" if sandbox.works else "left out: ", sandbox.line, sep="", markup=False, soft_wrap=True)
    with server.start_server(sandbox) as running:
        console.print(f"server            Threadmill on {running.url}", soft_wrap=True)
        run = _drive(console, openai.OpenAI(base_url=running.url, api_key="demo"), code=sandbox.works)
        if run.status != "completed":
            console.print(f"\n[red]The run ended {run.status}.[/] The server's log:")
            console.print(running.log.read_text(), markup=False, soft_wrap=True)
            return 1
    return 0


def _drive(console: Console, client: "OpenAI", *, code: bool) -> "Run":
    threads = client.beta.threads
    assistant = client.beta.assistants.create(
        model="rehearsal",
        name="Weatherman",
        instructions=script.instructions(code=code),
        tools=[script.FUNCTION, script.SEARCH, *([script.CODE] if code else [])],  # pyright: ignore[reportArgumentType] - plain dicts, as users write them
    )
    guide = client.files.create(file=(script.GUIDE_NAME, script.GUIDE), purpose="assistants")
    attached: Any = [{"file_id": guide.id, "tools": [script.SEARCH]}]
    thread = threads.create(messages=[{"role": "user", "content": script.QUESTION, "attachments": attached}])
    console.print(f"\n[bold]The user asks:[/] {script.QUESTION}")
    console.print(f"[dim]and attaches {script.GUIDE_NAME} for file_search[/]\n")
    table = EventTable(console)
    with threads.runs.stream(thread_id=thread.id, assistant_id=assistant.id) as stream:
        for event in stream:
            table.add(event)
        table.close_row()
        run = stream.get_final_run()
    if run.required_action is not None:
        run = _submit_outputs(console, client, run, table)
    show_steps(console, client, run)
    save_files(console, client, run, server.download_dir)
    return run


def _submit_outputs(console: Console, client: "OpenAI", run: "Run", table: EventTable) -> "Run":
    """Do what the run asks of its client, and stream on."""
    action = run.required_action
    calls = action.submit_tool_outputs.tool_calls if action else ()
    console.print("\n[bold]The run waits for us.[/] Our function answers, and it goes on:")
    console.print(f"{script.WEEK}\n", style="yellow", markup=False, soft_wrap=True)
    with client.beta.threads.runs.submit_tool_outputs_stream(
        run_id=run.id,
        thread_id=run.thread_id,
        tool_outputs=[{"tool_call_id": call.id, "output": script.WEEK} for call in calls],
    ) as stream:
        for event in stream:
            table.add(event)
        table.close_row()
        return stream.get_final_run()
