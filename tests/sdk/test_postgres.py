"""The official client against a server whose database is PostgreSQL, across a restart of the server."""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from openai import OpenAI

from tests.support.postgres import fresh_database

SCRIPT = "search: when does the mill turn\ncall: weather {}\n---\nsay: It is {{outputs.1}} at the mill."


@contextmanager
def served(url: str, data_dir: Path) -> Generator[OpenAI]:
    command = [sys.executable, "-m", "threadmill", "serve", "--port", "0", "--data-dir", str(data_dir)]
    env = os.environ | {"THREADMILL_DATABASE_URL": url, "THREADMILL_SANDBOX": "off"}
    server = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        found = re.search(r"http://\S+", server.stdout.readline())
        assert found is not None, "the server did not start"
        assert "PostgreSQL database test_" in server.stdout.readline()
        with OpenAI(base_url=found[0], api_key="k", max_retries=0) as client:
            yield client
    finally:
        server.terminate()
        server.wait()
        server.stdout.close()


def test_streams_functions_files_and_search_work_on_postgresql_and_survive_a_restart(tmp_path: Path) -> None:
    url = asyncio.run(fresh_database(is_empty=True))
    with served(url, tmp_path) as client:
        store = client.vector_stores.create(name="mills")
        file = client.files.create(file=("mill.txt", b"The mill turns at dawn. " * 20), purpose="assistants")
        added = client.vector_stores.files.create_and_poll(file.id, vector_store_id=store.id, poll_interval_ms=20)
        assert added.status == "completed"
        assistant = client.beta.assistants.create(
            model="rehearsal",
            tools=[{"type": "file_search"}, {"type": "function", "function": {"name": "weather"}}],
            tool_resources={"file_search": {"vector_store_ids": [store.id]}},
        )
        thread = client.beta.threads.create(messages=[{"role": "user", "content": SCRIPT}])
        with client.beta.threads.runs.stream(thread_id=thread.id, assistant_id=assistant.id) as stream:
            events = [event.event for event in stream]
        assert events[-1] == "thread.run.requires_action"
        (run,) = client.beta.threads.runs.list(thread.id).data
    with served(url, tmp_path) as client:
        assert run.required_action is not None
        calls = run.required_action.submit_tool_outputs.tool_calls
        with client.beta.threads.runs.submit_tool_outputs_stream(
            run_id=run.id, thread_id=thread.id, tool_outputs=[{"tool_call_id": calls[0].id, "output": "windy"}]
        ) as stream:
            stream.until_done()
        newest = client.beta.threads.messages.list(thread.id).data[0]
        assert newest.content[0].type == "text"
        assert newest.content[0].text.value == "It is windy at the mill."
        assert client.files.retrieve(file.id).bytes == 480
        assert [one.filename for one in client.vector_stores.search(store.id, query="mill").data] == ["mill.txt"]
        assert client.beta.threads.delete(thread.id).deleted
