"""Semantic Kernel's OpenAIAssistantAgent: a plugin it calls by itself, polled and streamed, on one thread."""
# pyright: basic, reportMissingImports=false

import asyncio
import json
from importlib.metadata import version
from typing import Annotated

from openai import AsyncOpenAI
from semantic_kernel.agents import AssistantAgentThread, OpenAIAssistantAgent
from semantic_kernel.functions import kernel_function


class Weather:
    @kernel_function(description="The weather of a city.")
    def weather(self, city: Annotated[str, "the city"]) -> str:
        return f"sun in {city}"


SCRIPT = (
    'call: Weather-weather {"city": "Oslo"}\ncall: Weather-weather {"city": "Rome"}\n---\n'
    "say: {{outputs.0}}, {{outputs.1}}"
)


async def main() -> dict[str, object]:
    client = AsyncOpenAI()
    definition = await client.beta.assistants.create(model="rehearsal", name="a", instructions="Be brief.")
    agent = OpenAIAssistantAgent(client=client, definition=definition, plugins=[Weather()])
    thread = AssistantAgentThread(client=client)
    answer = await agent.get_response(messages=SCRIPT, thread=thread)
    streamed = [str(piece.message) async for piece in agent.invoke_stream(messages=SCRIPT, thread=thread)]
    listed = [str(message.content) async for message in thread.get_messages()]
    await thread.delete()
    await client.beta.assistants.delete(agent.id)
    return {"polled": str(answer.message), "streamed": "".join(streamed), "messages": len(listed)}


seen = asyncio.run(main())
print(json.dumps({"versions": {name: version(name) for name in ("semantic-kernel", "openai")}, "seen": seen}))
