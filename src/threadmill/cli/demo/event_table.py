"""The events of a stream as rows: when, which, what. Deltas of one thing that follow each other grow one row."""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.console import Console

if TYPE_CHECKING:
    from openai.types.beta.assistant_stream_event import AssistantStreamEvent

NAME = 27
"""Characters of the longest event name the demo shows."""

HANG = 6 + 2 + NAME + 2
"""Where the third column begins."""

LEAST = 30
"""Characters of the third column, however narrow the terminal."""

_WORD = re.compile(r"\n|[^\S\n]*\S+|[^\S\n]+")


@dataclass(frozen=True, slots=True)
class Piece:
    """What an event adds to a row of its `kind`; without a kind the row is the event's own.

    `head` opens the row; what follows a head with a line's end stands beneath it, behind a bar.
    """

    kind: str = ""
    text: str = ""
    style: str = ""
    head: str = ""


class EventTable:
    """Writes events to a console as they come."""

    def __init__(self, console: Console) -> None:
        self._console: Console = console
        self._began: float = time.monotonic()
        self._kind: str = ""
        self._count: int = 0
        self._column: int = 0
        self._is_block: bool = False
        self._held: str = ""
        self._held_style: str = ""

    def add(self, event: "AssistantStreamEvent") -> None:
        """One event."""
        for piece in pieces(event):
            if not piece.kind or piece.kind != self._kind:
                self._open(event.event, piece)
            self._count += 1
            self._write(piece)

    def close_row(self) -> None:
        """End the row that is being written."""
        if self._count:
            self._held = self._held.rstrip()
            self._let_go()
            self._put(f"  ×{self._count}" if self._count > 1 else "", "dim")
            self._put("\n")
        self._kind, self._count = "", 0

    def _open(self, name: str, piece: Piece) -> None:
        self.close_row()
        self._kind, self._is_block = piece.kind, piece.head.endswith("\n")
        self._put(f"{time.monotonic() - self._began:5.2f}s  ", "dim")
        self._put(f"{name:<{NAME}}  " if piece.head or piece.text else name, "cyan")
        self._put(piece.head.rstrip("\n"), "bold")
        self._column = HANG + len(piece.head)
        if self._is_block:
            self._new_line()

    def _write(self, piece: Piece) -> None:
        """Words whole; the last one is held back, for the next piece may be its other half, or nothing may follow."""
        if piece.style != self._held_style:
            self._let_go()
        words = _WORD.findall(self._held + piece.text)
        self._held, self._held_style = (words.pop() if words else ""), piece.style
        for word in words:
            self._add(word, piece.style)

    def _let_go(self) -> None:
        held, self._held = self._held, ""
        self._add(held, self._held_style)

    def _add(self, word: str, style: str) -> None:
        """A word that does not fit goes into the next line; the blank before it is dropped."""
        if word == "\n":
            self._new_line()
        elif self._column + len(word) <= max(self._console.width, HANG + LEAST) or self._column <= HANG + 2:
            self._put(word, style)
            self._column += len(word)
        else:
            self._new_line()
            self._add(word.strip(), style)

    def _new_line(self) -> None:
        self._put("\n" + " " * HANG)
        self._put("│ " if self._is_block else "", "dim")
        self._column = HANG + (2 if self._is_block else 0)

    def _put(self, text: str, style: str = "") -> None:
        if text:
            self._console.print(text, style=style, end="", markup=False, soft_wrap=True)


def pieces(event: "AssistantStreamEvent") -> Iterator[Piece]:
    """What the event is about; one piece at least."""
    data: Any = event.data
    match event.event:
        case "thread.message.delta":
            for part in data.delta.content:
                yield from _message_pieces(part)
        case "thread.run.step.delta":
            for call in data.delta.step_details.tool_calls:
                yield from _call_pieces(call)
        case "thread.run.requires_action":
            calls = data.required_action.submit_tool_outputs.tool_calls
            yield Piece(text=", ".join(call.function.name for call in calls), style="yellow")
        case "thread.run.failed":
            yield Piece(text=data.last_error.message, style="red")
        case _:
            yield Piece()


def _message_pieces(part: Any) -> Iterator[Piece]:
    """Of a message: its text, what in the text is a file, a picture."""
    if part.type == "image_file":
        yield Piece(head="picture ", text=part.image_file.file_id, style="magenta")
    elif part.type == "text":
        yield Piece("text", part.text.value or "", "green")
        for link in part.text.annotations or ():
            named = link.file_path if link.type == "file_path" else link.file_citation
            yield Piece("text", f" ‹{named.file_id}›", "magenta")


def _call_pieces(call: Any) -> Iterator[Piece]:
    """Of a tool call: arguments or code as they are written, what the code printed and drew; what a search found is told
    by its step.
    """
    if call.type == "function":
        name = call.function.name
        yield Piece(f"call {call.index}", call.function.arguments or "", "green", f"{name} " if name else "")
        return
    if call.type == "file_search":
        yield Piece(head="file_search")
        return
    code = call.code_interpreter
    if code.input or code.outputs is None:
        yield Piece(f"call {call.index}", code.input or "", "green", "code_interpreter\n")
    for output in code.outputs or ():
        if output.type == "logs":
            yield Piece(f"logs {call.index}", output.logs or "", "yellow", "printed ")
        else:
            yield Piece(head="picture ", text=output.image.file_id, style="magenta")
