"""llamphouse 1.3.0 with its in-memory store, over the same fake upstream. Runs in an environment of its own (`make peer`)."""

# Its packages are in the peer's environment only.
# pyright: basic, reportMissingImports=false

import os
import sys
from typing import Any

os.environ.setdefault("LLAMPHOUSE_TELEMETRY", "0")
os.environ.setdefault("DO_NOT_TRACK", "1")
os.environ.setdefault("OTEL_SDK_DISABLED", "true")

import uvicorn
from llamphouse.core import Agent, LLAMPHouse
from llamphouse.core.adapters.assistant_api import AssistantAPIAdapter
from llamphouse.core.data_stores.in_memory_store import InMemoryDataStore
from openai import AsyncOpenAI

client = AsyncOpenAI(base_url=f"http://127.0.0.1:{sys.argv[2]}/v1", api_key="x")


class Bench(Agent):
    """Streams 20 chunks of the upstream."""

    async def run(self, context: Any) -> None:
        """One run."""
        messages: Any = [{"role": "user", "content": "hi"}]
        stream = await client.chat.completions.create(model="burst-20", messages=messages, stream=True)
        text = await context.process_stream(stream)
        await context.insert_message(text)


if __name__ == "__main__":
    house: Any = LLAMPHouse(
        agents=[Bench(id="bench", model="burst-20")],
        adapters=[AssistantAPIAdapter()],
        data_store=InMemoryDataStore(),
        compass=False,
    )
    print("ready", flush=True)
    uvicorn.run(house.fastapi, port=int(sys.argv[1]), log_level="critical", access_log=False)
