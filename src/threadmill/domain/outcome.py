"""How things end and what they cost: usage, errors, reasons (behaviour.md 0.2 and 1.7)."""

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens spent. `cached_tokens` is part of prompt, `reasoning_tokens` part of completion (behaviour.md 0.2)."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        """Prompt and completion together."""
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: "Usage") -> "Usage":
        """The sum, member by member."""
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.cached_tokens + other.cached_tokens,
            self.reasoning_tokens + other.reasoning_tokens,
        )


class ErrorCode(StrEnum):
    """`last_error.code`. Steps know only the first two (behaviour.md 1.7)."""

    SERVER_ERROR = "server_error"
    RATE_LIMIT_EXCEEDED = "rate_limit_exceeded"
    INVALID_PROMPT = "invalid_prompt"


@dataclass(frozen=True, slots=True)
class LastError:
    """Why a run or step failed, in words for the client."""

    code: ErrorCode
    message: str


class RunIncompleteReason(StrEnum):
    """`incomplete_details.reason`."""

    MAX_COMPLETION_TOKENS = "max_completion_tokens"
    MAX_PROMPT_TOKENS = "max_prompt_tokens"
