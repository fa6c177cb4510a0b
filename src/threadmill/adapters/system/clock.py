"""Wall clock and random ids."""

import secrets
import string
import time

from threadmill.domain.ids import (
    ID_LENGTH,
    PREFIXES,
    AssistantId,
    CallId,
    Instant,
    MessageId,
    RunId,
    RunStepId,
    ThreadId,
)

_ALPHABET = string.ascii_letters + string.digits


def _body() -> str:
    """ID_LENGTH characters, 5.95 random bits each: 143 bits."""
    number = secrets.randbits(8 * 24)
    characters: list[str] = []
    for _ in range(ID_LENGTH):
        number, digit = divmod(number, 62)
        characters.append(_ALPHABET[digit])
    return "".join(characters)


class SystemClock:
    """The Clock port on the machine's clocks."""

    def now(self) -> Instant:
        """Unix seconds."""
        return int(time.time())  # noqa: TID251 - this is the Clock

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()


class RandomIds:
    """The Ids port on the machine's randomness; ids cannot be guessed."""

    def assistant(self) -> AssistantId:
        """asst_…."""
        return AssistantId(PREFIXES["assistant"] + _body())

    def thread(self) -> ThreadId:
        """thread_…."""
        return ThreadId(PREFIXES["thread"] + _body())

    def message(self) -> MessageId:
        """msg_…."""
        return MessageId(PREFIXES["message"] + _body())

    def run(self) -> RunId:
        """run_…."""
        return RunId(PREFIXES["run"] + _body())

    def step(self) -> RunStepId:
        """step_…."""
        return RunStepId(PREFIXES["run step"] + _body())

    def call(self) -> CallId:
        """call_…."""
        return CallId(PREFIXES["tool call"] + _body())
