"""agency-swarm 0.7, the last that uses assistants: one agent asks another, which uses a tool; polled and streamed."""
# pyright: basic, reportMissingImports=false

import contextlib
import io
import json
from importlib.metadata import version
from typing import ClassVar

from agency_swarm import Agency, Agent
from agency_swarm.tools import BaseTool
from agency_swarm.util.streaming import AgencyEventHandler
from pydantic import Field


class Weather(BaseTool):
    """The weather of a city."""

    city: str = Field(..., description="the city")

    def run(self) -> str:
        return f"sun in {self.city}"


SCRIPT = 'Tell.\nrehearsal:\ncall: Weather {"city": "Oslo"}\n---\nsay: {{output}}'
ASK = {
    "my_primary_instructions": "Ask for the weather.",
    "recipient": "Forecaster",
    "message": "How is the weather in Oslo?",
    "additional_instructions": "",
}
ASKING = f"call: SendMessage {json.dumps(ASK)}\n---\nsay: they say {{{{output}}}}"


def agency() -> Agency:
    chief = Agent(name="Chief", description="asks", instructions="Ask.", model="rehearsal")
    forecaster = Agent(name="Forecaster", description="knows", instructions=SCRIPT, model="rehearsal", tools=[Weather])
    return Agency([chief, [chief, forecaster]], shared_instructions="")


class Quiet(AgencyEventHandler):
    done: ClassVar[list[str]] = []

    def on_text_done(self, text) -> None:
        Quiet.done.append(text.value)


with contextlib.redirect_stdout(io.StringIO()):
    team = agency()
    asked = team.get_completion(ASKING)
    again = team.get_completion("say: again")
    team.get_completion_stream(ASKING, event_handler=Quiet)
seen = {"asked": asked, "second turn": again, "streamed": Quiet.done}
print(json.dumps({"versions": {name: version(name) for name in ("agency-swarm", "openai")}, "seen": seen}))
