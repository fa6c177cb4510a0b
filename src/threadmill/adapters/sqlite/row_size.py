"""About how many bytes of memory a decoded row takes: its long texts exactly, all else by rule of thumb."""

from sys import getsizeof

from threadmill.domain.assistant import Assistant
from threadmill.domain.message import ImageUrlPart, Message, RefusalPart, TextPart
from threadmill.domain.run import Run
from threadmill.domain.thread import Thread
from threadmill.domain.tool import FunctionTool

BASE_SIZE = 2_000
"""Bytes of a row with short texts."""

PAIR_SIZE = 300
"""Bytes of a pair of metadata, or of an annotation."""


def message_size(message: Message) -> int:
    """Bytes of a message."""
    size = BASE_SIZE + PAIR_SIZE * (len(message.metadata) + len(message.attachments))
    for part in message.content:
        match part:
            case TextPart():
                size += getsizeof(part.value) + PAIR_SIZE * len(part.annotations)
            case ImageUrlPart():
                size += getsizeof(part.url)
            case RefusalPart():
                size += getsizeof(part.refusal)
            case _:
                size += PAIR_SIZE
    return size


def row_size(row: Run | Thread | Assistant) -> int:
    """Bytes of a row that is no message."""
    size = BASE_SIZE + PAIR_SIZE * len(row.metadata)
    if isinstance(row, Thread):
        return size
    size += getsizeof(row.instructions) + getsizeof(row.response_format.json_schema)
    size += sum(getsizeof(call.arguments) for call in row.required_action) if isinstance(row, Run) else 0
    functions = [tool for tool in row.tools if isinstance(tool, FunctionTool)]
    return size + sum(BASE_SIZE + getsizeof(one.parameters) + getsizeof(one.description) for one in functions)
