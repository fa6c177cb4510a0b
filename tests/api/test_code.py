"""code_interpreter with a real sandbox, over HTTP, through the official SDK: what its users rely on."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from openai import AsyncAssistantEventHandler, AsyncOpenAI
from openai.types.beta.threads import ImageFileContentBlock, Message, TextContentBlock
from openai.types.beta.threads.runs import CodeInterpreterToolCall, ToolCall, ToolCallsStepDetails

from tests.sandbox.support import ENVIRONMENT
from tests.support import scripted as up
from tests.support.scripted import ScriptedUpstream
from tests.support.serving import Live, serving

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.needs("sandbox")]

TOOL: Any = {"type": "code_interpreter"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Live, None]:
    directory = tmp_path_factory.mktemp("code")
    async with serving(directory, CONFIG=str(_config(directory)), SANDBOX="bwrap") as live:
        yield live


def _config(directory: Path) -> Path:
    config = directory / "threadmill.toml"
    config.write_text(f'[sandbox]\npython = "{ENVIRONMENT}"\ncall_seconds = 2\nidle_seconds = 600\n')
    return config


@pytest_asyncio.fixture(loop_scope="module")
async def client(server: Live) -> AsyncGenerator[AsyncOpenAI, None]:
    async with AsyncOpenAI(base_url=server.url, api_key="k") as made:
        yield made


class Script:
    """An assistant with the tool, a thread, and runs that play a script."""

    def __init__(self, client: AsyncOpenAI) -> None:
        self.client = client
        self.assistant = self.thread = ""

    async def play(self, script: str, *files: str) -> Message:
        """The answer to a message that asks for the script."""
        threads = self.client.beta.threads
        if not self.thread:
            self.assistant = (await self.client.beta.assistants.create(model="rehearsal", tools=[TOOL])).id
            self.thread = (await threads.create()).id
        attachments: Any = [{"file_id": one, "tools": [TOOL]} for one in files]
        await threads.messages.create(self.thread, role="user", content=script, attachments=attachments)
        run = await threads.runs.create_and_poll(thread_id=self.thread, assistant_id=self.assistant)
        assert run.status == "completed", run.last_error
        return (await threads.messages.list(self.thread, run_id=run.id)).data[0]


@pytest.fixture
def script(client: AsyncOpenAI) -> Script:
    return Script(client)


def text_of(message: Message) -> str:
    return "".join(block.text.value for block in message.content if isinstance(block, TextContentBlock))


async def test_it_solves_an_equation_and_keeps_the_variable_for_the_next_run(script: Script) -> None:
    solve = "import numpy as np\n    roots = sorted(np.roots([3, -11, -4]).round(6))\n    print(roots[1])\n    roots[0]"
    first = await script.play(f"python:\n    {solve}\n---\nsay: {{{{output}}}}")
    assert text_of(first) == "4.0\nnp.float64(-0.333333)"
    second = await script.play("python: print(len(roots))\n---\nsay: {{output}}")
    assert text_of(second) == "2"


async def test_it_reads_an_uploaded_csv_by_id_and_by_name(script: Script, client: AsyncOpenAI) -> None:
    file = await client.files.create(file=("sales.csv", b"month,total\nmay,40\njune,2\n"), purpose="assistants")
    code = "import pandas as pd\n    print(pd.read_csv('/mnt/data/sales.csv').total.sum())"
    by_name = await script.play(f"python:\n    {code}\n---\nsay: {{{{output}}}}", file.id)
    by_id = await script.play(f"python: print(open('/mnt/data/{file.id}').readline())\n---\nsay: {{{{output}}}}")
    assert (text_of(by_name), text_of(by_id)) == ("42", "month,total")


async def test_a_name_leads_to_the_newest_file_of_it_and_deleted_files_are_gone(
    script: Script, client: AsyncOpenAI
) -> None:
    older, newer = [
        (await client.files.create(file=("a.csv", content), purpose="assistants")).id for content in (b"old", b"new")
    ]
    read = "python: print(open('/mnt/data/a.csv').read(), len(__import__('os').listdir('/mnt/data')))\n---\nsay: {{output}}"
    assert text_of(await script.play(read, older)) == "old 2"
    assert text_of(await script.play(read, newer)) == "new 3"
    await client.files.delete(newer)
    assert text_of(await script.play(read)) == "old 2"
    await client.files.delete(older)
    assert text_of(await script.play("python: __import__('os').listdir('/mnt/data')\n---\nsay: {{output}}")) == "[]"


async def test_a_given_file_that_is_written_over_can_be_downloaded_under_its_name(
    script: Script, client: AsyncOpenAI
) -> None:
    given = await client.files.create(file=("über 1.csv", b"a"), purpose="assistants")
    code = "python: _ = open('/mnt/data/über 1.csv', 'w').write('b')\n---\nsay: [x](sandbox:/mnt/data/über 1.csv)"
    (block,) = (await script.play(code, given.id)).content
    assert isinstance(block, TextContentBlock)
    (link,) = block.text.annotations
    assert link.type == "file_path"
    assert (await client.files.retrieve(link.file_path.file_id)).filename == "über 1.csv"
    assert (await client.files.content(link.file_path.file_id)).content == b"b"


class Handler(AsyncAssistantEventHandler):
    """Counts what the SDK makes of the stream."""

    def __init__(self) -> None:
        super().__init__()
        self.code = self.logs = ""
        self.images: list[str] = []
        self.done: list[ToolCall] = []

    async def on_tool_call_delta(self, delta: Any, snapshot: Any) -> None:
        del snapshot
        ran = delta.code_interpreter
        self.code += ran.input or ""
        for output in ran.outputs or ():
            self.logs += output.logs or "" if output.type == "logs" else ""

    async def on_tool_call_done(self, tool_call: ToolCall) -> None:
        self.done.append(tool_call)

    async def on_image_file_done(self, image_file: Any) -> None:
        self.images.append(image_file.file_id)


async def test_it_draws_a_plot_that_the_sdk_streams_shows_and_downloads(script: Script, client: AsyncOpenAI) -> None:
    plot = "import matplotlib.pyplot as plt\n    plt.plot([1, 4, 9])\n    plt.show()\n    print('drawn')"
    await script.play("say: hi")
    await client.beta.threads.messages.create(
        script.thread, role="user", content=f"python:\n    {plot}\n---\nsay: Here it is."
    )
    handler = Handler()
    async with client.beta.threads.runs.stream(
        thread_id=script.thread, assistant_id=script.assistant, event_handler=handler
    ) as stream:
        run = await stream.get_final_run()
        assert run.status == "completed", run.last_error
        messages = await stream.get_final_messages()
    image, text = messages[0].content
    assert isinstance(image, ImageFileContentBlock)
    assert isinstance(text, TextContentBlock)
    assert handler.images == [image.image_file.file_id]
    assert handler.code.startswith("import matplotlib")
    assert handler.logs == "drawn\n"
    steps = await client.beta.threads.runs.steps.list(run.id, thread_id=script.thread, order="asc")
    details = steps.data[0].step_details
    assert isinstance(details, ToolCallsStepDetails)
    (call,) = details.tool_calls
    assert isinstance(call, CodeInterpreterToolCall)
    assert call.code_interpreter.input == handler.code
    assert [output.type for output in call.code_interpreter.outputs] == ["image", "logs"]
    file = await client.files.retrieve(image.image_file.file_id)
    assert file.purpose == "assistants_output"
    assert (await client.files.content(file.id)).content.startswith(b"\x89PNG")


async def test_a_file_it_writes_is_linked_in_the_answer_and_downloaded(script: Script, client: AsyncOpenAI) -> None:
    write = "open('/mnt/data/result.csv', 'w').write('a,b')"
    message = await script.play(f"python: {write}\n---\nsay: Get [the result](sandbox:/mnt/data/result.csv) now.")
    (block,) = message.content
    assert isinstance(block, TextContentBlock)
    (link,) = block.text.annotations
    assert link.type == "file_path"
    assert block.text.value[link.start_index : link.end_index] == link.text == "sandbox:/mnt/data/result.csv"
    assert (await client.files.content(link.file_path.file_id)).content == b"a,b"


HOSTILE = [
    ("1/0", "ZeroDivisionError: division by zero"),
    ("while True: pass", "2 s"),
    ("x = bytearray(8 << 30)", "MemoryError"),
    ("import os; os.kill(os.getpid(), 9)", "variables are lost"),
    ("import os\n    while True: os.fork()", "64 processes"),
    ("open('/mnt/data/big', 'wb').write(bytes(3 << 30))", ""),
    ("import sys; sys.stdout.buffer.write(bytes(range(256)) * 4000)", "left out"),
    ("print('x' * 100_000_000)", "left out"),
    ("syntax error here", "SyntaxError"),
]


@pytest.mark.parametrize(("code", "told"), HOSTILE, ids=[code[:20] for code, _ in HOSTILE])
async def test_whatever_the_code_does_is_an_answer_and_the_next_call_works(
    script: Script, code: str, told: str
) -> None:
    message = await script.play(f"python:\n    {code}\n---\nsay: {{{{output}}}}\n---\nsay: x")
    assert told in text_of(message)
    assert text_of(await script.play("python: print(6 * 7)\n---\nsay: {{output}}")).endswith("42")


@pytest.mark.asyncio(loop_scope="function")
async def test_the_code_of_a_scripted_upstream_streams_in_any_pieces(
    tmp_path: Path, upstream: ScriptedUpstream
) -> None:
    upstream.answer(up.calls(("call_1", "code_interpreter", '{"code": "print(\\"h\\u00e9\\")\\n"}')), up.text("ok"))
    async with serving(tmp_path, upstream.url, CONFIG=str(_config(tmp_path)), SANDBOX="bwrap") as live:
        assistant = await live.api.assistant(model="gpt-test", tools=[TOOL])
        events = await live.api.stream(f"/threads/{await live.api.thread('go')}/runs", {"assistant_id": assistant})
        assert events[-2].data["status"] == "completed"
    asked = upstream.asked[1].body["messages"]
    assert asked[-2]["tool_calls"][0]["function"] == {
        "name": "code_interpreter",
        "arguments": '{"code": "print(\\"hé\\")\\n"}',
    }
    assert asked[-1]["content"] == "hé"
