"""What the model is asked: a conversation laid out, and cut to its window and budget."""

from tests.support.runs import STOP, begun, stored
from tests.support.stage import PROJECT, Stage
from threadmill.adapters.memory.store import MemoryStore
from threadmill.domain.command import OpenToolCalls
from threadmill.domain.decide import RunState, decide
from threadmill.domain.message import (
    Attachment,
    ImageFilePart,
    ImageUrlPart,
    MessageRole,
    NewMessage,
    TextPart,
)
from threadmill.domain.outcome import ErrorCode, RunIncompleteReason, Usage
from threadmill.domain.run import NewRun, RunStatus, Truncation
from threadmill.engine.objects import messages, runs
from threadmill.engine.ports.model import (
    ContextTooLong,
    PromptRole,
    StoredPicture,
    ToolCallPiece,
)
from threadmill.engine.prompt.conversation import message_text
from threadmill.engine.prompt.image_inlining import MAX_INLINE_IMAGE_BYTES
from threadmill.engine.running.commit import write_set

COST = Usage(3, 2)


async def test_a_prompt_too_long_even_shortened_fails_the_run(stage: Stage) -> None:
    run = await begun(stage)
    stage.model.turns[0].fail(ContextTooLong("too long"))
    await stage.settle()
    found = await stored(stage, run)
    assert found.last_error is not None
    assert found.last_error.code is ErrorCode.INVALID_PROMPT


async def test_last_messages_are_never_cut_further(stage: Stage) -> None:
    assistant, thread = await stage.assistant(), await stage.thread("a " * 50, "b " * 50, "c")
    new = NewRun(assistant.id, truncation=Truncation(last_messages=2))
    await runs.create(stage.engine, PROJECT, thread.id, new)
    await stage.settle()
    assert [message_text(m) for m in stage.model.turns[0].request.messages] == ["b " * 50, "c"]
    stage.model.turns[0].fail(ContextTooLong("too long"))
    await stage.settle()
    assert len(stage.model.turns) == 1


async def test_the_middle_is_dropped_to_fit_the_models_window(stage: Stage) -> None:
    stage.model.window = 100
    assistant, thread = await stage.assistant(), await stage.thread(*(f"{n} " * 20 for n in range(8)))
    await runs.create(stage.engine, PROJECT, thread.id, NewRun(assistant.id))
    await stage.settle()
    assert [message_text(m)[0] for m in stage.model.turns[0].request.messages] == ["0", "6", "7"]


async def test_a_window_too_small_for_anything_still_asks_with_the_newest(stage: Stage) -> None:
    stage.model.window = 8
    assistant, thread = await stage.assistant(), await stage.thread("a " * 20, "b " * 20)
    await runs.create(stage.engine, PROJECT, thread.id, NewRun(assistant.id))
    await stage.settle()
    assert [message_text(m)[0] for m in stage.model.turns[0].request.messages] == ["b"]


async def test_instructions_alone_over_the_prompt_budget_end_incomplete(stage: Stage) -> None:
    assistant = await stage.assistant(instructions="word " * 300)
    thread = await stage.thread("hi")
    accepted = await runs.create(stage.engine, PROJECT, thread.id, NewRun(assistant.id, max_prompt_tokens=256))
    await stage.settle()
    assert (await stored(stage, accepted.run)).incomplete_reason is RunIncompleteReason.MAX_PROMPT_TOKENS


async def test_pictures_attachments_and_assistants_words_are_laid_out(stage: Stage) -> None:
    assistant, thread = await stage.assistant(), await stage.thread()
    shown, book = await stage.file("a.PNG", b"png"), await stage.file("book.pdf")
    picture = (TextPart("look"), ImageUrlPart("https://x.test/a.png"), ImageFilePart(shown, "low"))
    attached = (Attachment(book, ("file_search",)), Attachment(None, None))
    await messages.create(stage.engine, PROJECT, thread.id, NewMessage(MessageRole.USER, picture, attached))
    await messages.create(stage.engine, PROJECT, thread.id, NewMessage(MessageRole.ASSISTANT, (TextPart("ok"),)))
    await runs.create(stage.engine, PROJECT, thread.id, NewRun(assistant.id))
    await stage.settle()
    first, second = stage.model.turns[0].request.messages
    *given, stored, attached = first.parts
    assert (tuple(given), attached) == (picture[:2], TextPart(f"Attached files: {book} ('book.pdf', for file_search)"))
    assert isinstance(stored, StoredPicture)
    assert (stored.media_type, stored.size, stored.detail) == ("image/png", 3, "low")
    assert [piece async for piece in stored.read()] == [b"png"]
    assert second.role is PromptRole.ASSISTANT


async def test_the_newest_pictures_within_the_budget_are_shown_and_the_others_told() -> None:
    stage = Stage(MemoryStore(), prompt_pictures=7)
    assistant, thread = await stage.assistant(), await stage.thread()
    oldest, large, newest = [await stage.file(f"{size}.png", b"x" * size) for size in (2, 5, 4)]
    data = ImageUrlPart("data:image/png;base64,AAAA")
    for content in ((ImageFilePart(oldest), data), (ImageFilePart(large),), (TextPart("x"), ImageFilePart(newest))):
        await messages.create(stage.engine, PROJECT, thread.id, NewMessage(MessageRole.USER, content))
    await stage.lose_bytes(large)  # of what has no place nothing is read, so nobody sees that it is lost
    await runs.create(stage.engine, PROJECT, thread.id, NewRun(assistant.id))
    await stage.settle()
    first, second, third = stage.model.turns[0].request.messages
    # The URL has 26 characters, of which 3/4 are counted.
    assert [getattr(part, "value", None) for part in first.parts] == [
        None,
        "[A picture is left out: there are too many newer ones.]",
    ]
    assert second.parts == (TextPart(f"[The picture {large} is left out: there are too many newer ones.]"),)
    assert [getattr(part, "size", None) for part in (*first.parts[:1], *third.parts)] == [2, None, 4]
    await stage.worker.drain(0)
    await stage.search.index.aclose()


async def test_a_picture_shown_twice_is_looked_at_once_and_counted_twice() -> None:
    stage = Stage(MemoryStore(), prompt_pictures=8)
    assistant, thread = await stage.assistant(), await stage.thread()
    picture = ImageFilePart(await stage.file("a.png", b"png"))
    await messages.create(stage.engine, PROJECT, thread.id, NewMessage(MessageRole.USER, (picture, picture, picture)))
    await runs.create(stage.engine, PROJECT, thread.id, NewRun(assistant.id))
    await stage.settle()
    (asked,) = stage.model.turns[0].request.messages
    assert [type(part) for part in asked.parts] == [TextPart, StoredPicture, StoredPicture]
    await stage.worker.drain(0)
    await stage.search.index.aclose()


async def test_pictures_whose_bytes_are_lost_or_too_many_are_told_to_the_model_in_words(stage: Stage) -> None:
    assistant, thread = await stage.assistant(), await stage.thread()
    shown, large = await stage.file("a.png", b"png"), await stage.file("b.png", bytes(MAX_INLINE_IMAGE_BYTES + 1))
    pictures = ImageFilePart(shown), ImageFilePart(large)
    await messages.create(stage.engine, PROJECT, thread.id, NewMessage(MessageRole.USER, pictures))
    await stage.lose_bytes(shown)
    await runs.create(stage.engine, PROJECT, thread.id, NewRun(assistant.id))
    await stage.settle()
    (asked,) = stage.model.turns[0].request.messages
    assert asked.parts == tuple(
        TextPart(f"[The picture {file_id} is deleted or too large to be shown.]") for file_id in (shown, large)
    )


async def test_text_and_calls_of_one_turn_are_one_message_to_the_upstream(stage: Stage) -> None:
    run = await begun(stage, "f")
    stage.model.turns[0].end("Let me see.", ToolCallPiece(0, "call_1", "unknown", "{}"), STOP, COST)
    await stage.settle()
    roles = [(m.role.value, len(m.tool_calls)) for m in stage.model.turns[1].request.messages]
    assert roles == [("user", 0), ("assistant", 1), ("tool", 0)]
    stage.model.turns[1].end(ToolCallPiece(0, "call_2", "unknown", "{}"), STOP, COST)
    await stage.settle()
    assert [m.role.value for m in stage.model.turns[2].request.messages][3:] == ["assistant", "tool"]
    await runs.cancel(stage.engine, PROJECT, run.thread_id, run.id)


async def test_a_step_lost_with_its_worker_is_told_to_the_model(stage: Stage) -> None:
    run = await begun(stage, "f")
    stage.model.turns[0].say(ToolCallPiece(0, "call_1", "f", "{}"))
    await stage.settle()
    await stage.worker.drain(0)
    await stage.search.index.aclose()
    stage.hire()
    await stage.worker.claim_waiting()
    await stage.settle()
    tail = stage.model.turns[1].request.messages[-1]
    assert message_text(tail) == "Error: the server stopped before this call was answered."
    await runs.cancel(stage.engine, PROJECT, run.thread_id, run.id)


async def test_a_prompt_is_shortened_until_it_fits(stage: Stage) -> None:
    assistant, thread = await stage.assistant(), await stage.thread("a " * 50, "b " * 50, "c")
    accepted = await runs.create(stage.engine, PROJECT, thread.id, NewRun(assistant.id))
    await stage.settle()
    stage.model.turns[0].fail(ContextTooLong("too long"))
    await stage.settle()
    assert [message_text(m)[0] for m in stage.model.turns[1].request.messages] == ["a", "c"]
    stage.model.turns[1].end("fine", STOP)
    await stage.settle()
    found = await stored(stage, accepted.run)
    assert found.status is RunStatus.COMPLETED
    assert found.usage == Usage(51, 1)
    assert found.usage.total_tokens == 52


async def test_a_window_the_counted_words_fit_keeps_everything(stage: Stage) -> None:
    stage.model.window = 40
    assistant = await stage.assistant(instructions="be brief")
    thread = await stage.thread("antidisestablishmentarianism", "x", "y")
    new = NewRun(assistant.id, additional_instructions="please")
    accepted = await runs.create(stage.engine, PROJECT, thread.id, new)
    await stage.settle()
    assert accepted.run.instructions == "be brief\nplease"
    assert len(stage.model.turns[0].request.messages) == 4
    await runs.cancel(stage.engine, PROJECT, thread.id, accepted.run.id)


async def test_a_step_lost_before_its_first_call_leaves_no_trace_in_the_prompt(stage: Stage) -> None:
    run = await begun(stage, "f")
    stage.model.turns[0].end(ToolCallPiece(0, "call_1", "unknown", "{}"), STOP, COST)
    await stage.settle()
    held = await stored(stage, run)
    opened = decide(RunState(held), OpenToolCalls(stage.ids.step()), stage.clock.at)
    await stage.store.apply(write_set(RunState(held), [opened]))
    stage.hire()
    await stage.engine.requeue_orphans()
    await stage.worker.claim_waiting()
    await stage.settle()
    assert [m.role.value for m in stage.model.turns[2].request.messages] == ["user", "assistant", "tool"]
    await runs.cancel(stage.engine, PROJECT, run.thread_id, run.id)


async def test_the_torn_words_of_a_lost_worker_are_not_told_to_the_model_again(stage: Stage) -> None:
    run = await begun(stage)
    stage.model.turns[0].say("Half a")
    await stage.settle()
    stage.hire()
    await stage.engine.requeue_orphans()
    await stage.worker.claim_waiting()
    await stage.settle()
    assert [m.role.value for m in stage.model.turns[1].request.messages] == ["user"]
    await runs.cancel(stage.engine, PROJECT, run.thread_id, run.id)
    await stage.settle()
