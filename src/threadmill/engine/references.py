"""What an answer may speak of: files of the sandbox it can link to, pictures it comes with."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from threadmill.domain.ids import FileId
from threadmill.domain.link import Links
from threadmill.domain.message import ImageFilePart
from threadmill.domain.run_step import RunStep, RunStepType
from threadmill.domain.tool import CodeInterpreterCall


@dataclass(frozen=True, slots=True)
class References:
    """`links`: path below `/mnt/data` -> file. `images`: parts the next message begins with."""

    links: Links = field(default_factory=dict[str, FileId])
    images: tuple[ImageFilePart, ...] = ()


def new_images(steps: Sequence[RunStep]) -> tuple[ImageFilePart, ...]:
    """Pictures code has made since the run's last message: the user sees them in the next (behaviour.md 3.3)."""
    images: list[ImageFilePart] = []
    for step in steps:
        if step.type is RunStepType.MESSAGE_CREATION:
            images.clear()
        for call in step.tool_calls:
            if isinstance(call, CodeInterpreterCall):
                images += [ImageFilePart(output.image) for output in call.outputs if output.image is not None]
    return tuple(images)
