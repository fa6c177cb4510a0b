"""The demo itself: what a client does, in the order it does it."""

import warnings
from typing import TYPE_CHECKING, Any

from rich.console import Console

from threadmill.cli.demo import backstage, play
from threadmill.cli.demo.result import save_files, show_steps
from threadmill.cli.demo.telling import Telling

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
    sandbox = backstage.sandbox()
    console.print("" if sandbox.works else "left out: ", sandbox.line, sep="", markup=False, soft_wrap=True)
    with backstage.server(sandbox) as server:
        console.print(f"server            Threadmill on {server.url}", soft_wrap=True)
        run = _drive(console, openai.OpenAI(base_url=server.url, api_key="demo"), code=sandbox.works)
        if run.status != "completed":
            console.print(f"\n[red]The run ended {run.status}.[/] The server's log:")
            console.print(server.log.read_text(), markup=False, soft_wrap=True)
            return 1
    return 0


def _drive(console: Console, client: "OpenAI", *, code: bool) -> "Run":
    threads = client.beta.threads
    assistant = client.beta.assistants.create(
        model="rehearsal",
        name="Weatherman",
        instructions=play.instructions(code=code),
        tools=[play.FUNCTION, play.SEARCH, *([play.CODE] if code else [])],  # pyright: ignore[reportArgumentType] - plain dicts, as users write them
    )
    guide = client.files.create(file=(play.GUIDE_NAME, play.GUIDE), purpose="assistants")
    attached: Any = [{"file_id": guide.id, "tools": [play.SEARCH]}]
    thread = threads.create(messages=[{"role": "user", "content": play.QUESTION, "attachments": attached}])
    console.print(f"\n[bold]The user asks:[/] {play.QUESTION}")
    console.print(f"[dim]and attaches {play.GUIDE_NAME} for file_search[/]\n")
    telling = Telling(console)
    with threads.runs.stream(thread_id=thread.id, assistant_id=assistant.id) as stream:
        for event in stream:
            telling.tell(event)
        telling.end()
        run = stream.get_final_run()
    if run.required_action is not None:
        run = _answer(console, client, run, telling)
    show_steps(console, client, run)
    save_files(console, client, run, backstage.folder)
    return run


def _answer(console: Console, client: "OpenAI", run: "Run", telling: Telling) -> "Run":
    """Do what the run asks of its client, and stream on."""
    action = run.required_action
    calls = action.submit_tool_outputs.tool_calls if action else ()
    console.print("\n[bold]The run waits for us.[/] Our function answers, and it goes on:")
    console.print(f"{play.WEEK}\n", style="yellow", markup=False, soft_wrap=True)
    with client.beta.threads.runs.submit_tool_outputs_stream(
        run_id=run.id,
        thread_id=run.thread_id,
        tool_outputs=[{"tool_call_id": call.id, "output": play.WEEK} for call in calls],
    ) as stream:
        for event in stream:
            telling.tell(event)
        telling.end()
        return stream.get_final_run()
