"""Files in the engine: who may name them, what becomes of them when they go."""

from dataclasses import replace
from functools import partial

import pytest

from tests.support.stage import PROJECT, Stage
from tests.support.stores_in_trouble import BrokenStore, RacedStore
from threadmill.domain.error import InvalidRequest, NotFound, Unavailable
from threadmill.domain.file import File, FilePurpose, NewFile
from threadmill.domain.ids import FileId, ProjectId, ThreadId
from threadmill.domain.message import Attachment, ImageFilePart, MessageRole, NewMessage, TextPart
from threadmill.domain.page import PageQuery
from threadmill.domain.patch import AssistantPatch, NewAssistant, NewThread, ThreadPatch
from threadmill.domain.run import NewRun
from threadmill.domain.tool import ToolResources
from threadmill.engine.objects import assistants, files, messages, runs, threads
from threadmill.engine.ports.store import Delete, Update, WriteSet
from threadmill.engine.prompt import image_inlining
from threadmill.engine.prompt.conversation import message_text
from threadmill.engine.storage.file_deletion import delete_expired_files

CODE = ("code_interpreter",)
NOWHERE = FileId("file-nowhere")


def said(*attached: FileId) -> NewMessage:
    return NewMessage(MessageRole.USER, (TextPart("hi"),), tuple(Attachment(one, CODE) for one in attached))


async def resources_of(stage: Stage, thread: ThreadId) -> tuple[FileId, ...] | None:
    return (await threads.retrieve(stage.engine, PROJECT, thread)).tool_resources.file_ids


async def test_files_are_listed_by_purpose_and_only_what_was_made_here_is_given_back(stage: Stage) -> None:
    given = await stage.file("a.txt")
    made = await stage.file("plot.png", b"png", FilePurpose.ASSISTANTS_OUTPUT)
    for purpose, expected in ((None, [made, given]), (FilePurpose.ASSISTANTS_OUTPUT, [made])):
        found = await files.page(stage.engine, PROJECT, PageQuery(), purpose)
        assert [file.id for file in found.items] == expected
    _, content = await files.read(stage.engine, PROJECT, made)
    assert b"".join([piece async for piece in content]) == b"png"
    with pytest.raises(InvalidRequest, match="Not allowed to download files of purpose: assistants"):
        await files.read(stage.engine, PROJECT, given)


async def test_what_messages_hand_the_code_interpreter_the_thread_keeps_once(stage: Stage) -> None:
    a, b, c = [await stage.file(f"{name}.csv") for name in "abc"]
    thread = await threads.create(stage.engine, PROJECT, NewThread((said(a),), tool_resources=ToolResources((b,))))
    assert await resources_of(stage, thread.id) == (b, a)
    await messages.create(stage.engine, PROJECT, thread.id, said(a))
    await messages.create(stage.engine, PROJECT, thread.id, said(c))
    assert await resources_of(stage, thread.id) == (b, a, c)


async def test_additional_messages_of_a_run_hand_files_over_too_and_the_run_has_them(stage: Stage) -> None:
    file, own = await stage.file("a.csv"), await stage.file("own.csv")
    assistant = await stage.assistant(tool_resources=ToolResources((own,)))
    thread = await stage.thread()
    new = NewRun(assistant.id, additional_messages=(said(file),))
    accepted = await runs.create(stage.engine, PROJECT, thread.id, new)
    assert accepted.run.tool_resources.file_ids == (own, file)
    assert await resources_of(stage, thread.id) == (file,)


async def test_a_thread_holds_twenty_files_and_no_more(stage: Stage) -> None:
    many = [await stage.file(f"{number}.csv") for number in range(21)]
    thread = await threads.create(stage.engine, PROJECT, NewThread((said(*many[:20]),)))
    with pytest.raises(InvalidRequest, match="maximum length 20, but got an array with length 21"):
        await messages.create(stage.engine, PROJECT, thread.id, said(many[20]))
    assert len(await messages_of(stage, thread.id)) == 1


async def messages_of(stage: Stage, thread: ThreadId) -> list[str]:
    return [message.id for message in await stage.store.history(thread)]


async def test_whoever_names_a_file_that_is_not_there_is_told_which(stage: Stage) -> None:
    assistant, thread = await stage.assistant(), await stage.thread()
    other = await stage.file("a.csv")
    elsewhere = (await files.retrieve(stage.engine, PROJECT, other)).id
    resources = ToolResources((other, NOWHERE))
    patch = AssistantPatch(frozenset({"tool_resources"}), NewAssistant("m", tool_resources=resources))
    new_run = NewRun(assistant.id, additional_messages=(said(NOWHERE),))
    made = NewRun(assistant.id, tool_resources=resources)
    tries = (
        assistants.create(stage.engine, PROJECT, NewAssistant("m", tool_resources=resources)),
        assistants.modify(stage.engine, PROJECT, assistant.id, patch),
        threads.create(stage.engine, PROJECT, NewThread(tool_resources=resources)),
        threads.create(stage.engine, PROJECT, NewThread((said(NOWHERE),))),
        threads.modify(stage.engine, PROJECT, thread.id, ThreadPatch(tool_resources=resources)),
        messages.create(stage.engine, PROJECT, thread.id, said(NOWHERE)),
        runs.create(stage.engine, PROJECT, thread.id, new_run),
        runs.create_with_thread(stage.engine, PROJECT, NewThread(), made),
    )
    for attempt in tries:
        with pytest.raises(InvalidRequest, match=r"The following files were not found: file-nowhere\."):
            await attempt
    with pytest.raises(InvalidRequest, match=elsewhere):
        await assistants.create(
            stage.engine, ProjectId("q"), NewAssistant("m", tool_resources=ToolResources((elsewhere,)))
        )


async def test_a_picture_must_have_a_pictures_name(stage: Stage) -> None:
    thread, text = await stage.thread(), await stage.file("a.txt")
    with pytest.raises(InvalidRequest, match="Expected file type to be a supported format"):
        await messages.create(stage.engine, PROJECT, thread.id, NewMessage(MessageRole.USER, (ImageFilePart(text),)))


async def test_a_picture_that_is_gone_or_too_large_is_told_to_the_model_in_words(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_inlining, "MAX_INLINE_IMAGE_BYTES", 3)
    assistant, thread = await stage.assistant(), await stage.thread()
    gone, large = await stage.file("a.jpg"), await stage.file("b.webp", b"four")
    shown = (ImageFilePart(gone), ImageFilePart(large), TextPart("x"))
    await messages.create(stage.engine, PROJECT, thread.id, NewMessage(MessageRole.USER, shown))
    await files.delete(stage.engine, PROJECT, gone)
    await runs.create(stage.engine, PROJECT, thread.id, NewRun(assistant.id))
    await stage.settle()
    text = message_text(stage.model.turns[0].request.messages[0])
    assert [line for line in text.split("\n") if "deleted or too large" in line] == [
        f"[The picture {one} is deleted or too large to be shown.]" for one in (gone, large)
    ]


async def test_a_deleted_file_leaves_every_assistant_and_thread_that_held_it(stage: Stage) -> None:
    gone, kept = await stage.file("a.csv"), await stage.file("b.csv")
    assistant = await stage.assistant(tool_resources=ToolResources((gone, kept)))
    thread = await threads.create(stage.engine, PROJECT, NewThread((said(gone),)))
    await files.delete(stage.engine, PROJECT, gone)
    assert await resources_of(stage, thread.id) == ()
    assert (await assistants.retrieve(stage.engine, PROJECT, assistant.id)).tool_resources.file_ids == (kept,)
    message = (await stage.store.history(thread.id))[0]
    assert message.attachments == (Attachment(gone, CODE),)
    await runs.create(stage.engine, PROJECT, thread.id, NewRun(assistant.id))
    await stage.settle()
    assert f"{gone} (deleted)" in message_text(stage.model.turns[0].request.messages[0])


async def test_an_expired_file_deletes_itself(stage: Stage) -> None:
    async with stage.blobs.writer() as writer:
        await writer.write(b"x")
        new = NewFile("a.txt", FilePurpose.VISION, expires_after=3_600)
        file = await files.create(stage.engine, PROJECT, new, writer)
    assert file.expires_at == stage.clock.at + 3_600
    await delete_expired_files(stage.ports, stage.clock.at + 3_599, stage.worker.unmovable)
    assert await files.retrieve(stage.engine, PROJECT, file.id) == file
    await delete_expired_files(stage.ports, stage.clock.at + 3_600, stage.worker.unmovable)
    with pytest.raises(NotFound, match=f"No such File object: {file.id}"):
        await files.retrieve(stage.engine, PROJECT, file.id)


async def test_a_file_deleted_by_two_at_once_is_deleted_once() -> None:
    store = RacedStore()
    stage = Stage(store)
    file = await files.retrieve(stage.engine, PROJECT, await stage.file("a.txt"))
    store.meanwhile = partial(store.apply, WriteSet((Delete(File, file.id),)))
    with pytest.raises(NotFound):
        await files.delete(stage.engine, PROJECT, file.id)


async def test_a_thread_changed_while_its_file_is_deleted_keeps_both_changes() -> None:
    store = RacedStore()
    stage = Stage(store)
    file = await stage.file("a.txt")
    thread = await threads.create(stage.engine, PROJECT, NewThread((said(file),)))
    store.meanwhile = partial(store.apply, WriteSet((Update(replace(thread, metadata={"k": "v"}, version=2), 1),)))
    await files.delete(stage.engine, PROJECT, file)
    found = await threads.retrieve(stage.engine, PROJECT, thread.id)
    assert (found.metadata, found.tool_resources.file_ids) == ({"k": "v"}, ())


async def test_an_expired_file_that_somebody_deletes_first_disturbs_nobody() -> None:
    store = RacedStore()
    stage = Stage(store)
    async with stage.blobs.writer() as writer:
        file = await files.create(stage.engine, PROJECT, NewFile("a", FilePurpose.BATCH, expires_after=3_600), writer)
    store.meanwhile = partial(store.apply, WriteSet((Delete(File, file.id),)))
    await delete_expired_files(stage.ports, stage.clock.at + 3_600, stage.worker.unmovable)
    assert await stage.ports.files.find_many(PROJECT, [file.id]) == []


async def test_the_bytes_of_a_file_whose_row_could_not_be_stored_do_not_stay() -> None:
    store = BrokenStore()
    store.reason = Unavailable("The disk is full.")
    stage = Stage(store)
    with pytest.raises(Unavailable, match="The disk is full"):
        await stage.file("a.txt", b"x")
    assert [path for path in stage.directory.rglob("*") if path.is_file()] == []
