"""What an answer may speak of: files of the sandbox it can link to, passages it can cite, pictures it comes with."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from threadmill.domain.citation import PassageFiles, PassageRef, parse_marker
from threadmill.domain.ids import FileId
from threadmill.domain.message import Annotation, ImageFilePart, Message, TextPart
from threadmill.domain.run_step import RunStep, RunStepType
from threadmill.domain.sandbox_link import SandboxFiles
from threadmill.domain.tool import CodeInterpreterCall, FileSearchCall

FIRST_SEARCH = 4
"""Number of a thread's first search in its markers, as in the recordings (behaviour.md 4)."""


@dataclass(frozen=True, slots=True)
class AnswerReferences:
    """`links`: path below `/mnt/data` -> file. `sources`: passage -> file. `images`: parts the next message begins with.

    `next_search` is the number of the next search.
    """

    links: SandboxFiles = field(default_factory=dict[str, FileId])
    sources: PassageFiles = field(default_factory=dict[PassageRef, FileId])
    images: tuple[ImageFilePart, ...] = ()
    next_search: int = FIRST_SEARCH


def images_since_last_message(steps: Sequence[RunStep]) -> tuple[ImageFilePart, ...]:
    """Pictures code has made since the run's last message: the user sees them in the next (behaviour.md 3.3)."""
    images: list[ImageFilePart] = []
    for step in steps:
        if step.type is RunStepType.MESSAGE_CREATION:
            images.clear()
        for call in step.tool_calls:
            if isinstance(call, CodeInterpreterCall):
                images += [ImageFilePart(output.image) for output in call.outputs if output.image is not None]
    return tuple(images)


def citable_passages(history: Sequence[Message], steps: Sequence[RunStep]) -> PassageFiles:
    """What the model may have before its eyes: this run's results, and what earlier answers of the thread cited."""
    sources: dict[PassageRef, FileId] = {}
    for message in history:
        for annotation in _annotations(message):
            if (source := parse_marker(annotation.text)) is not None:
                sources[source] = annotation.file_id
    for call in file_search_calls(steps):
        sources |= {PassageRef(call.number, place): result.file_id for place, result in enumerate(call.results)}
    return sources


def next_search(history: Sequence[Message], steps: Sequence[RunStep]) -> int:
    """A number no marker before the model's eyes has: old markers must not come to name new results."""
    cited = [parse_marker(annotation.text) for message in history for annotation in _annotations(message)]
    taken = [source.search for source in cited if source is not None] + [
        call.number for call in file_search_calls(steps)
    ]
    return max([FIRST_SEARCH - 1, *taken]) + 1


def file_search_calls(steps: Sequence[RunStep]) -> list[FileSearchCall]:
    """The searches of the steps, in order."""
    return [call for step in steps for call in step.tool_calls if isinstance(call, FileSearchCall)]


def _annotations(message: Message) -> list[Annotation]:
    return [one for part in message.content if isinstance(part, TextPart) for one in part.annotations]
