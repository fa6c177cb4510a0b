"""Fetches what a prompt is made of and fits it into the token budget; the making itself is `prompt.py`, pure."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from threadmill.domain.ids import FileId
from threadmill.domain.message import Message
from threadmill.domain.run import Run
from threadmill.engine.ports.model import ModelRequest, PromptMessage
from threadmill.engine.prompt.conversation import (
    Conversation,
    build_conversation,
    build_request,
    cost,
    fit,
    is_short,
    surely_fits,
)
from threadmill.engine.prompt.workspace import workspace
from threadmill.engine.running.answer_references import (
    AnswerReferences,
    citable_passages,
    images_since_last_message,
    next_search,
)
from threadmill.engine.running.execution import Execution

NEWEST_MESSAGES = 2_000
"""Messages of a thread looked at for a prompt; no known context window holds more."""

SHRINK_FACTOR = 0.7
"""Share of the counted tokens aimed at after an upstream called the prompt too long."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A request, what it was fitted from, so that it can be fitted again, and what the answer may refer to."""

    request: ModelRequest
    conversation: Conversation
    references: AnswerReferences

    @property
    def left_out(self) -> int:
        """How many messages of the conversation had no room."""
        return len(self.conversation.everything()) - len(self.request.messages)


async def build_prompt(execution: Execution) -> Prompt | None:
    """The next turn's prompt; None when the run's prompt budget does not hold even the newest message."""
    ports, run = execution.ports, execution.run
    last = run.truncation.last_messages
    # This run's own messages come on top of the n the caller wants from the thread.
    newest = NEWEST_MESSAGES if last is None else min(NEWEST_MESSAGES, last + run.turns)
    history = await ports.store.history(run.thread_id, newest)
    # A run that was taken over may have steps though none of its turns was counted.
    steps = await ports.store.steps(run.id) if run.turns or run.epoch > 1 else ()
    work = await workspace(ports, run)
    conversation = build_conversation(run, history, steps, await _names(execution, history), work.prompt_text())
    messages = await _fitted(execution, conversation, _budget(execution, run))
    if messages is None and run.max_prompt_tokens is None:
        # Our idea of the model's window may be wrong: the upstream has the last word on its own limits.
        messages = (*conversation.head, *conversation.history[-1:], *conversation.tail)
    if messages is None:
        return None
    references = AnswerReferences(
        work.links, citable_passages(history, steps), images_since_last_message(steps), next_search(history, steps)
    )
    return Prompt(build_request(run, messages), conversation, references)


async def _names(execution: Execution, history: Sequence[Message]) -> dict[FileId, str]:
    """What the attached files are called, so that the model may speak of them by name."""
    attached = [one.file_id for message in history for one in message.attachments if one.file_id]
    if not attached:
        return {}
    files = await execution.ports.files.find_many(execution.run.project, tuple(dict.fromkeys(attached)))
    return {file.id: file.filename for file in files}


async def _fitted(
    execution: Execution, conversation: Conversation, budget: int | None
) -> tuple[PromptMessage, ...] | None:
    """The messages within the budget. Only a short prompt that surely fits is not looked at in a thread."""
    if budget is None or (is_short(conversation) and surely_fits(conversation, budget)):
        return conversation.everything()
    return await asyncio.to_thread(fit, conversation, budget, _counter(execution))


def _counter(execution: Execution) -> Callable[[str], int]:
    tokens, model = execution.ports.tokens, execution.run.model
    return lambda text: tokens.count(text, model)


async def shorten_prompt(execution: Execution, prompt: Prompt) -> Prompt | None:
    """The prompt fitted anew after the upstream found it too long; None if the strategy or the history forbids."""
    run = execution.run
    if run.truncation.last_messages is not None or execution.draft.text or execution.draft.calls:
        return None
    messages = await asyncio.to_thread(_shortened, prompt, _counter(execution))
    if messages is None or len(messages) >= len(prompt.request.messages):
        return None
    return replace(prompt, request=build_request(run, messages))


def _shortened(prompt: Prompt, count: Callable[[str], int]) -> tuple[PromptMessage, ...] | None:
    counted = sum(cost(message, count) for message in prompt.request.messages)
    return fit(prompt.conversation, int(counted * SHRINK_FACTOR), count)


def _budget(execution: Execution, run: Run) -> int | None:
    """Tokens the prompt may have: the run's remaining budget, and under `auto` the model's window less an answer."""
    limits: list[int] = []
    if run.max_prompt_tokens is not None:
        limits.append(run.max_prompt_tokens - run.usage.prompt_tokens)
    window = execution.ports.model.get_info(run.model).context_window
    if window is not None and run.truncation.last_messages is None:
        answer = min(run.max_completion_tokens or 4096, window // 4)
        limits.append(window - answer)
    return min(limits, default=None)
