"""Vector stores through the official SDK: a client that is told of every refusal at once, and stores with files in them."""

from openai import AsyncOpenAI
from openai.types import VectorStore

from tests.support.serving import Live

CATS = b"Cats purr when they are content. A cat sleeps most of the day."
BRIDGES = b"The bridge over the river is built of steel and stone."
POLL_MS = 5


def sdk_of(live: Live, key: str = "test") -> AsyncOpenAI:
    """The official client, which raises what the server refuses at once."""
    return AsyncOpenAI(base_url=live.url, api_key=key, max_retries=0)


async def filled(
    sdk: AsyncOpenAI, *files: tuple[str, bytes], **attributes: dict[str, str | float | bool]
) -> VectorStore:
    """A store with these files, all read; `attributes` by the first part of a file's name."""
    store = await sdk.vector_stores.create(name="docs")
    for name, content in files:
        about = attributes.get(name.split(".", maxsplit=1)[0], {})
        added = await sdk.vector_stores.files.upload_and_poll(
            vector_store_id=store.id, file=(name, content), attributes=about, poll_interval_ms=POLL_MS
        )
        assert added.status == "completed", added.last_error
    return await sdk.vector_stores.retrieve(store.id)
