"""The stack one writes first: FastAPI's own SSE, the openai SDK, a Pydantic event for each delta. No storage."""

import sys
from collections.abc import AsyncIterator
from typing import Any, Literal

import openai
import uvicorn
from fastapi import FastAPI
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BaseModel

app = FastAPI()
client = openai.AsyncOpenAI(base_url=f"http://127.0.0.1:{sys.argv[2]}/v1", api_key="x")


class Text(BaseModel):
    """Text of a delta."""

    value: str


class Part(BaseModel):
    """A part of a delta."""

    index: int
    type: Literal["text"] = "text"
    text: Text


class Content(BaseModel):
    """The delta."""

    content: list[Part]


class MessageDelta(BaseModel):
    """The event."""

    id: str
    object: Literal["thread.message.delta"] = "thread.message.delta"
    delta: Content


class CreateRun(BaseModel):
    """The body."""

    model: str


@app.post("/runs", response_class=EventSourceResponse)
async def run(body: CreateRun) -> AsyncIterator[ServerSentEvent]:
    """One streamed run."""
    messages: Any = [{"role": "user", "content": "hi"}]
    async for chunk in await client.chat.completions.create(model=body.model, messages=messages, stream=True):
        if chunk.choices and chunk.choices[0].delta.content:
            part = Part(index=0, text=Text(value=chunk.choices[0].delta.content))
            event = MessageDelta(id="msg_0123456789", delta=Content(content=[part]))
            yield ServerSentEvent(event="thread.message.delta", data=event)


if __name__ == "__main__":
    print("ready", flush=True)
    uvicorn.run(app, port=int(sys.argv[1]), log_level="error", access_log=False, loop="uvloop", http="httptools")
