"""The text of a turn: opens the message when a word is said, tells deltas, turns citations and links into annotations.

The hot path is `write_text`: per network read one list of strings, one publish; no commit, no task, no validation.
"""

from collections.abc import Sequence

from threadmill.domain import command as c
from threadmill.domain.annotator import Annotator
from threadmill.domain.decide import open_message
from threadmill.domain.delta import AnnotationDelta, ImageDelta, RefusalDelta, TextDelta
from threadmill.domain.message import Annotation, ImageFilePart
from threadmill.engine.running.answer_references import AnswerReferences
from threadmill.engine.running.execution import Execution


class MessageStreamer:
    """What the model says in one turn. `references` is what its text may speak of."""

    def __init__(self, execution: Execution, references: AnswerReferences) -> None:
        self._execution: Execution = execution
        self._images: Sequence[ImageFilePart] = references.images
        # Most runs have nothing to refer to: their text is not looked at.
        links, sources = references.links, references.sources
        self._annotator: Annotator | None = Annotator(links, sources) if links or sources else None
        self._blank: list[str] = []

    @property
    def is_open(self) -> bool:
        """Whether a message is open."""
        return self._execution.state.message is not None

    async def write_text(self, texts: list[str]) -> None:
        """Text pieces of one network read."""
        if self._execution.draft.refusal:
            await self.write_refusal("".join(texts))
        elif self.is_open:
            self._write(texts)
        else:
            await self._write_first(texts)

    async def _write_first(self, texts: list[str]) -> None:
        # Upstreams send empty or blank text ahead of tool calls: no message for that until a word follows.
        self._blank.extend(text for text in texts if text)
        if any(text and not text.isspace() for text in texts):
            await self._open()
            self._write(self._blank)

    async def write_empty(self) -> None:
        """The answer is empty: an empty text all the same, so that every client finds content[0]."""
        await self._open()
        self._publish(self._blank or [""])

    async def _open(self) -> None:
        execution = self._execution
        ids = execution.ports.ids
        await execution.open(c.OpenMessage(ids.step(), ids.message()))
        message = open_message(execution.state)
        for index, part in enumerate(self._images):
            execution.draft.images.append(part)
            execution.tell(ImageDelta(message, index, part))

    async def write_refusal(self, text: str) -> None:
        """A piece of a refusal."""
        execution = self._execution
        if not self.is_open:
            await self._open()
        draft = execution.draft
        self.flush()
        draft.refusal.append(text)
        index = len(draft.images) + (1 if draft.text else 0)
        delta = RefusalDelta(open_message(execution.state), index, (text,))
        execution.tell(delta)

    def flush(self) -> None:
        """The text is over, or was cut off: tell what was kept back. Harmless when repeated."""
        if self._annotator is not None and self.is_open:
            self._publish_parts(self._annotator.close())

    def _write(self, texts: list[str]) -> None:
        if self._annotator is None:
            self._publish(texts)
            return
        for text in texts:
            self._publish_parts(self._annotator.feed(text))

    def _publish_parts(self, parts: Sequence[str | Annotation]) -> None:
        for part in parts:
            if isinstance(part, str):
                self._publish([part])
            else:
                self._annotate(part)

    def _publish(self, texts: list[str]) -> None:
        execution, draft = self._execution, self._execution.draft
        message, first = open_message(execution.state), not draft.text
        draft.text.extend(texts)
        execution.tell(TextDelta(message, len(draft.images), tuple(texts), first))

    def _annotate(self, annotation: Annotation) -> None:
        execution, draft = self._execution, self._execution.draft
        delta = AnnotationDelta(open_message(execution.state), len(draft.images), len(draft.annotations), annotation)
        draft.text.append(annotation.text)
        draft.annotations.append(annotation)
        execution.tell(delta)
