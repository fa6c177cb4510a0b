"""What the demo's run came to: its steps as a table, its answer, and its files, downloaded."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from openai import OpenAI
    from openai.types.beta.threads import Run


def show_steps(console: Console, client: "OpenAI", run: "Run") -> None:
    """Every step of the run, and what it cost."""
    table = Table(title="The run, step by step", title_justify="left", title_style="bold", box=box.ROUNDED)
    for name, justify in (("run step", "left"), ("status", "left"), ("what", "left"), ("tokens", "right")):
        table.add_column(name, justify=justify, overflow="fold")  # pyright: ignore[reportArgumentType] - literals
    for step in client.beta.threads.runs.steps.list(run.id, thread_id=run.thread_id, order="asc"):
        tokens = str(step.usage.total_tokens) if step.usage else ""
        what = Text("\n".join(_what(client, run.thread_id, step.step_details)))
        table.add_row(step.type, Text(step.status, "green" if step.status == "completed" else "red"), what, tokens)
    total = str(run.usage.total_tokens) if run.usage else ""
    table.add_section()
    table.add_row("", Text(run.status, "bold green" if run.status == "completed" else "bold red"), "", total)
    console.print()
    console.print(table)


def _what(client: "OpenAI", thread_id: str, details: Any) -> Iterator[str]:
    if details.type == "message_creation":
        message = client.beta.threads.messages.retrieve(details.message_creation.message_id, thread_id=thread_id)
        yield from (part.text.value for part in message.content if part.type == "text")
        return
    for call in details.tool_calls:
        if call.type == "function":
            yield f"{call.function.name}({call.function.arguments})"
            yield f"= {call.function.output}"
        elif call.type == "file_search":
            results = call.file_search.results or ()
            yield "file_search"
            yield from (f"= {result.file_name}, score {result.score:.2f}" for result in results)
        else:
            lines = call.code_interpreter.input.count("\n") + 1
            made = [
                output.logs.strip() if output.type == "logs" else "a picture"
                for output in call.code_interpreter.outputs
            ]
            yield f"code_interpreter: {lines} lines of Python"
            yield from (f"= {one}" for one in made)


def save_files(console: Console, client: "OpenAI", run: "Run", folder: Callable[[], Path]) -> None:
    """Download what the run's answer shows and links, if anything, into `folder`."""
    messages = client.beta.threads.messages.list(run.thread_id, run_id=run.id)
    files = [file_id for message in messages for file_id in _files(message)]
    if not files:
        return
    console.print("\n[bold]Its files, downloaded with[/] client.files.content(id)")
    into = folder()
    for file_id in files:
        path = into / client.files.retrieve(file_id).filename
        client.files.content(file_id).write_to_file(path)
        size = f"[dim]{path.stat().st_size:>7,} bytes[/]"
        console.print(f"  {file_id}  {size}  [green]{escape(str(path))}[/]", soft_wrap=True)


def _files(message: Any) -> Iterator[str]:
    for part in message.content:
        if part.type == "image_file":
            yield part.image_file.file_id
        elif part.type == "text":
            yield from (link.file_path.file_id for link in part.text.annotations if link.type == "file_path")
