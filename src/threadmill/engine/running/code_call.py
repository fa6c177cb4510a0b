"""One code_interpreter call: files go in, the code runs, outputs stream out, what it made is kept (behaviour.md 2.3).

Whatever the code does is an answer to the model; nothing it does fails the run.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import assert_never

from threadmill.domain.decide import open_step
from threadmill.domain.delta import CodeOutputDelta
from threadmill.domain.error import Unavailable
from threadmill.domain.file import MAX_FILE_BYTES, File, FilePurpose, NewFile, Origin
from threadmill.domain.ids import FileId
from threadmill.domain.run_step import RunStepStatus, RunStepType
from threadmill.domain.tool import CodeInterpreterCall, CodeOutput
from threadmill.engine.ports.sandbox import (
    Ended,
    EndReason,
    FileRefused,
    FileWritten,
    Image,
    Logs,
    Output,
    SandboxUnavailable,
    Started,
)
from threadmill.engine.prompt.workspace import Workspace, link_code, removal_code, workspace
from threadmill.engine.running.draft import CodeDraft
from threadmill.engine.running.execution import Execution
from threadmill.engine.storage.file_creation import create_file, open_blob_writer

NOT_UNDERSTOOD = 'Error: the arguments are not valid. Call the tool again with {"code": "..."}.'
NEW_SESSION = "Note: this is a new Python session; variables from before are lost, files are still in /mnt/data."
SESSION_LOST = "Note: the Python session ended; its variables are lost. The next call begins a new one."


class CodeCall:
    """One call in execution. `index` is its place in the step."""

    def __init__(self, execution: Execution, draft: CodeDraft) -> None:
        self._execution: Execution = execution
        self._draft: CodeDraft = draft
        self._index: int = execution.draft.calls.index(draft)
        self._workspace: Workspace = Workspace()
        self._written: list[FileWritten] = []

    async def answer(self) -> CodeInterpreterCall:
        """Run the code; the call with its outputs, which were streamed meanwhile."""
        if not self._draft.reader.is_valid:
            self._fail(NOT_UNDERSTOOD)
            return self._draft.call()
        run, sandbox = self._execution.run, self._execution.ports.sandbox
        try:
            self._workspace = await self._execution.patiently(lambda: workspace(self._execution.ports, run))
            await self._prepare_session(self._workspace)
            async with aclosing(sandbox.execute(run.thread_id, self._draft.reader.text)) as outputs:
                await self._consume_outputs(outputs)
            for written in self._written:
                await self._keep_written(written)
        except SandboxUnavailable as refused:
            self._fail(f"Error: the code could not be run. {refused.message}")
        return self._draft.call()

    def _fail(self, text: str) -> None:
        self._draft.error = text
        self._publish_output(CodeOutput(logs=text))

    async def _prepare_session(self, work: Workspace) -> None:
        """A session with every file of the thread in it."""
        run, ports = self._execution.run, self._execution.ports
        started = await ports.sandbox.start(run.thread_id, run.id)
        if started.lost is not None or (started.is_new and await self._had_session()):
            self._draft.notes.append(NEW_SESSION)
        # What the code itself made lies there already, as the code left it.
        for path, file in (work.files if started.is_new else work.attached).items():
            if path not in started.put_paths:
                await self._put(path, file)
        await self._sync_files(work, started)

    async def _sync_files(self, work: Workspace, started: Started) -> None:
        """Take out what was deleted meanwhile; let names lead to the files that have them now."""
        run, ports = self._execution.run, self._execution.ports
        strange = [FileId(path) for path in started.put_paths if path not in work.files]
        # What another assistant's runs were given stays for them.
        theirs = {file.id for file in await ports.files.find_many(run.project, strange)} if strange else set[FileId]()
        gone = [path for path in strange if path not in theirs]
        for path in gone:
            await self._run_helper(removal_code(path))
        for name, path in work.names.items():
            if gone or path not in started.put_paths:
                await self._run_helper(link_code(name, path))

    async def _had_session(self) -> bool:
        """Whether the model may believe in variables: the thread had a session in a process before this one."""
        run, reads = self._execution.run, self._execution.ports.store
        before = [step for step in await reads.steps(run.id) if step.status is not RunStepStatus.IN_PROGRESS]
        if any(isinstance(call, CodeInterpreterCall) for step in before for call in step.tool_calls):
            return True
        return any(message.run_id not in (None, run.id) for message in await reads.history(run.thread_id, 20))

    async def _put(self, path: str, file: File) -> None:
        ports = self._execution.ports
        try:
            await ports.sandbox.put(self._execution.run.thread_id, path, ports.blobs.read(file.blob.key))
        except (FileRefused, Unavailable) as error:
            self._draft.notes.append(f"Note: {path} is not in /mnt/data. {error.message}")

    async def _run_helper(self, code: str) -> None:
        """Code that arranges files; what it cannot arrange stays as it is."""
        async with aclosing(self._execution.ports.sandbox.execute(self._execution.run.thread_id, code)) as outputs:
            async for _ in outputs:
                pass

    async def _consume_outputs(self, outputs: AsyncGenerator[Output, None]) -> None:
        async for output in outputs:
            match output:
                case Logs(text):
                    self._publish_output(CodeOutput(logs=text))
                case Image():
                    await self._keep_image(output)
                case FileWritten():
                    self._written.append(output)
                case Ended(how, message, state_kept):
                    self._end(how, message, state_kept=state_kept)
                case _:
                    assert_never(output)

    def _end(self, how: EndReason, message: str | None, *, state_kept: bool) -> None:
        if message is not None and how is not EndReason.EXCEPTION:  # an exception's traceback has been told
            self._publish_output(CodeOutput(logs=f"{message}\n"))
        if not state_kept:
            self._draft.notes.append(SESSION_LOST)

    async def _keep_image(self, image: Image) -> None:
        async def content() -> AsyncIterator[bytes]:
            yield image.data

        if (file := await self._store_file(image.name, image.path, content())) is not None:
            self._publish_output(CodeOutput(image=file.id))
            where = "" if image.path is None else f" It is saved as /mnt/data/{image.path}."
            self._draft.notes.append(f"The user is shown the picture {file.id}.{where}")

    async def _keep_written(self, written: FileWritten) -> None:
        if written.size > MAX_FILE_BYTES:
            self._draft.notes.append(f"Note: {written.path} is too large for the user to download.")
            return
        sandbox, thread_id = self._execution.ports.sandbox, self._execution.run.thread_id
        async with aclosing(sandbox.get(thread_id, written.path)) as content:
            name, shown = self._workspace.name_of(written.path), self._workspace.link_path(written.path)
            if await self._store_file(name, written.path, content) is not None:
                link = f"[{name}](sandbox:/mnt/data/{shown})"
                self._draft.notes.append(f"The user can download {shown} if you link it: {link}")

    async def _store_file(self, name: str, path: str | None, content: AsyncIterator[bytes]) -> File | None:
        """Store what the code made as a file of the project; None, and a note, if that cannot be."""
        ports, run = self._execution.ports, self._execution.run
        origin = None if path is None else Origin(run.thread_id, path)
        try:
            async with open_blob_writer(ports) as writer:
                async for piece in content:
                    await writer.write(piece)
                new = NewFile(name, FilePurpose.ASSISTANTS_OUTPUT, origin=origin)
                blob = await writer.commit()
                return await self._execution.patiently(lambda: create_file(ports, run.project, new, blob))
        except (FileRefused, Unavailable) as error:
            self._draft.notes.append(f"Note: {name} could not be kept. {error.message}")
            return None

    def _publish_output(self, output: CodeOutput) -> None:
        step = open_step(self._execution.state, RunStepType.TOOL_CALLS)
        delta = CodeOutputDelta(step, self._index, self._draft.add(output), output)
        self._execution.ports.log.publish_delta(self._execution.run.id, delta)
