"""A model's thoughts in front of its answer, `<think>…</think>`, where a server does not part them from the text. Pure."""

import re

_TAGS = {"<think>": "</think>", "<thinking>": "</thinking>", "<thought>": "</thought>", "<reasoning>": "</reasoning>"}
MAX_SPACE = 256
"""Characters of white space in front of an answer, behind which no block is looked for."""

MAX_THOUGHTS = 4 * 1024 * 1024
"""Characters of thoughts, which are in memory until they are counted: more are no answer any more."""

LEAST_PIECE = 16
"""Characters a piece of them counts at least."""

_OPENING = re.compile("|".join(_TAGS))


class ThinkingFilter:
    """Takes the blocks that stand before the answer out of a text that comes in pieces, wherever they are cut.

    `is_over` once the answer has begun: then nothing more needs to go through here. A block without an end is all
    thought.
    """

    __slots__ = ("_closing", "_held", "_is_stripped", "_size", "_thoughts", "is_over")

    def __init__(self) -> None:
        self.is_over: bool = False
        self._held: str = ""
        self._closing: str | None = None
        self._is_stripped: bool = False
        self._thoughts: list[str] = []
        self._size: int = 0

    @property
    def is_too_long(self) -> bool:
        """Whether there are more thoughts than are held."""
        return self._size > MAX_THOUGHTS

    @property
    def thoughts(self) -> str:
        """What was taken out, without the tags."""
        return "".join(self._thoughts)

    def feed(self, text: str) -> str:
        """What of the answer is known now."""
        self._held += text
        while not self.is_over:
            if self._closing is None:
                if not self._look_for_block():
                    break
            elif not self._look_for_end(self._closing):
                break
        if self.is_over:
            text, self._held = self._held, ""
            return text
        return ""

    def end(self) -> str:
        """The stream is over: what looked like the beginning of a block and is none."""
        text, self._held = self._held, ""
        if self._closing is not None:
            self._keep(text)
            return ""
        return text

    def _look_for_block(self) -> bool:
        """Whether there is more to look at: a block began. White space in front of an answer is its own, unless it
        stands behind a block.
        """
        rest = self._held.lstrip()
        if (match := _OPENING.match(rest)) is not None:
            self._closing = _TAGS[match[0]]
            self._held = rest[match.end() :]
            return True
        if self._is_stripped:
            self._held = rest
        may_begin = not rest or any(tag.startswith(rest) for tag in _TAGS)
        self.is_over = not may_begin or len(self._held) > MAX_SPACE
        return False

    def _look_for_end(self, closing: str) -> bool:
        thought, tag, rest = self._held.partition(closing)
        if tag:
            self._keep(thought)
            self._closing, self._held, self._is_stripped = None, rest, True
            return True
        # What may be the beginning of the tag is kept, the rest is never looked at again.
        keep = len(closing) - 1
        self._keep(self._held[:-keep])
        self._held = self._held[-keep:]
        return False

    def _keep(self, thought: str) -> None:
        self._thoughts.append(thought)
        self._size += max(len(thought), LEAST_PIECE)
