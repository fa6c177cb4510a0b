"""AutoGen's OpenAIAssistantAgent: a function tool it answers by itself, a second turn, a reset."""
# pyright: basic, reportMissingImports=false

import asyncio
import json
from importlib.metadata import version

from autogen_agentchat.messages import TextMessage
from autogen_core import CancellationToken
from autogen_core.tools import FunctionTool
from autogen_ext.agents.openai import OpenAIAssistantAgent
from openai import AsyncOpenAI


async def weather(city: str) -> str:
    """The weather of a city."""
    return f"sun in {city}"


SCRIPT = 'call: weather {"city": "Oslo"}\ncall: weather {"city": "Rome"}\n---\nsay: {{outputs.0}}, {{outputs.1}}'


async def main() -> dict[str, object]:
    client = AsyncOpenAI()
    agent = OpenAIAssistantAgent(
        name="a", description="d", client=client, model="rehearsal", instructions="Be brief.",
        tools=[FunctionTool(weather, description="The weather of a city.")],
    )  # fmt: skip
    token = CancellationToken()

    async def said(text: str) -> str:
        answer = await agent.on_messages([TextMessage(source="user", content=text)], token)
        return answer.chat_message.content

    seen: dict[str, object] = {"tool": await said(SCRIPT), "second turn": await said("say: again")}
    inner = [event async for event in agent.on_messages_stream([TextMessage(source="user", content=SCRIPT)], token)]
    seen["inner events"] = [type(event).__name__ for event in inner]
    await agent.on_reset(token)
    seen["after a reset"] = await said("say: fresh")
    await agent.delete_assistant(token)
    return seen


seen = asyncio.run(main())
versions = {name: version(name) for name in ("autogen-ext", "autogen-agentchat", "openai")}
print(json.dumps({"versions": versions, "seen": seen}))
