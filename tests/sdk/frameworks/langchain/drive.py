"""LangChain's assistants, both generations: an agent whose function tool LangChain's own loop answers."""
# pyright: basic, reportMissingImports=false

import asyncio
import json
from importlib.metadata import version

from langchain_classic.agents.openai_assistant import OpenAIAssistantRunnable
from langchain_community.agents.openai_assistant import OpenAIAssistantV2Runnable
from langchain_core.agents import AgentFinish
from langchain_core.tools import tool


@tool
def weather(city: str) -> str:
    """The weather of a city."""
    return f"sun in {city}"


SCRIPT = 'call: weather {"city": "Oslo"}\ncall: weather {"city": "Rome"}\n---\nsay: {{outputs.0}}, {{outputs.1}}'


def create(kind):
    return kind.create_assistant(
        name="a", instructions="Be brief.", tools=[weather], model="rehearsal", as_agent=True, check_every_ms=50
    )


def execute(agent, given):
    """The loop of LangChain's documentation."""
    answer = agent.invoke(given)
    while not isinstance(answer, AgentFinish):
        outputs = [{"output": weather.invoke(one.tool_input), "tool_call_id": one.tool_call_id} for one in answer]
        answer = agent.invoke({"tool_outputs": outputs, "run_id": answer[0].run_id, "thread_id": answer[0].thread_id})
    return answer.return_values


async def asked(agent, given):
    """The same, asynchronous, one turn."""
    return (await agent.ainvoke(given)).return_values["output"]


first = execute(create(OpenAIAssistantRunnable), {"content": SCRIPT})
agent = create(OpenAIAssistantV2Runnable)
second = execute(agent, {"content": SCRIPT})
again = execute(agent, {"content": "say: again", "thread_id": second["thread_id"]})
later = asyncio.run(asked(agent, {"content": "say: later"}))
seen = {
    "OpenAIAssistantRunnable": first["output"],
    "OpenAIAssistantV2Runnable": second["output"],
    "same thread": again["output"],
    "async": later,
}
versions = {name: version(name) for name in ("langchain-classic", "langchain-community", "openai")}
print(json.dumps({"versions": versions, "seen": seen}))
