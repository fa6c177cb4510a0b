"""What tests of the API share: the official client, and a server whose files wait to be embedded."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from openai import AsyncOpenAI

from tests.support.embeddings import EmbeddingServer, embedding_server
from tests.support.sdk_stores import sdk_of
from tests.support.serving import Live, serving


@pytest.fixture
async def sdk(live: Live) -> AsyncGenerator[AsyncOpenAI, None]:
    async with sdk_of(live) as client:
        yield client


@pytest.fixture
async def embeddings() -> AsyncGenerator[EmbeddingServer, None]:
    async with embedding_server() as server:
        yield server


@pytest.fixture
async def waiting(tmp_path: Path, embeddings: EmbeddingServer) -> AsyncGenerator[Live, None]:
    """A server whose files stay in progress until the embedder's gate is opened."""
    embeddings.gate.clear()
    async with serving(tmp_path, embeddings.url, EMBEDDING_MODEL="m") as running:
        yield running
