"""The ONE list of places where our answers leave the pinned schema, because the service did (design.md, wire rule).

The schema checker excuses exactly these; the docs are made from them.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Deviation:
    """`field` of `schema` (dotted from its root): what is sent, and the section of behaviour.md that says so.

    `breaks`: the schema forbids it, so the checker must be told; else it only adds or orders.
    """

    schema: str
    field: str
    sent: str
    reason: str
    breaks: bool = False


DEVIATIONS: tuple[Deviation, ...] = (
    Deviation("RunObject", "instructions", "null when the assistant has none", "0.6", breaks=True),
    Deviation(
        "RunObject", "tool_resources", "added; {} over REST, the code interpreter's empty files in events", "0.3"
    ),
    Deviation("RunObject", "reasoning_effort", "added; null unless set", "0.3"),
    Deviation("RunObject", "usage", "prompt_token_details and completion_tokens_details added", "0.2"),
    Deviation("AssistantObject", "reasoning_effort", "added; null unless set", "0.3"),
    Deviation(
        "RunStepObject", "expires_at", "added where the service sent it; expired_at and metadata come last", "0.4"
    ),
    Deviation("MessageObject", "status", "over REST, status and its times come last", "0.1"),
    Deviation("MessageObject", "file_ids", "added to what modify answers; attachments come last there", "0.5"),
)
