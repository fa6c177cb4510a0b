"""Vector stores on the stage: filled, read, searched."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tests.support.stage import PROJECT, Stage, turn_of_the_loop
from threadmill.domain.ids import VectorStoreId
from threadmill.domain.new_store import NewStoreFile, NewVectorStore, StoreSearch
from threadmill.domain.page import Order, PageQuery
from threadmill.domain.vector_store import (
    VectorStore,
    VectorStoreFile,
    VectorStoreFileStatus,
)
from threadmill.engine.objects import store_files, vector_stores
from threadmill.engine.ports.embedder import EmbeddingFailed, Vector

DONE = VectorStoreFileStatus.COMPLETED
ALL = PageQuery(100, Order.ASC)


async def read(stage: Stage) -> None:
    """Let the ingester read until nothing waits."""
    while True:
        await turn_of_the_loop()  # a pause that is over wakes here
        await turn_of_the_loop()
        await stage.ingester.start_pending()
        tasks = [task for task in asyncio.all_tasks() if task.get_name().startswith("read ")]
        if not tasks:
            return
        await asyncio.gather(*tasks, return_exceptions=True)


async def filled(stage: Stage, *texts: str, **fields: Any) -> VectorStore:
    """A store with files of these texts, read."""
    ids = [await stage.file(f"{number}.txt", text.encode()) for number, text in enumerate(texts)]
    new = NewVectorStore(files=tuple(NewStoreFile(one) for one in ids), **fields)
    store = await vector_stores.create(stage.engine, PROJECT, new)
    await read(stage)
    return await vector_stores.retrieve(stage.engine, PROJECT, store.id)


async def rows_of(stage: Stage, store_id: VectorStoreId, **narrowed: Any) -> Sequence[VectorStoreFile]:
    return (await store_files.page(stage.engine, PROJECT, store_id, ALL, **narrowed)).items


async def found(stage: Stage, store_id: VectorStoreId, *queries: str, **fields: Any) -> list[str]:
    matches = await vector_stores.search(stage.engine, PROJECT, store_id, StoreSearch(queries, **fields))
    return [match.text for match in matches]


class Embedding:
    """Vectors of two numbers; fails as told."""

    identity = "two"

    def __init__(self) -> None:
        self.trouble: list[EmbeddingFailed] = []
        self.texts = 0

    async def embed(self, texts: Sequence[str]) -> Sequence[Vector]:
        if self.trouble:
            raise self.trouble.pop(0)
        self.texts += len(texts)
        return [b"\0\0\x80?\0\0\0\0" for _ in texts]

    async def aclose(self) -> None:
        pass


def embedding(stage: Stage) -> Embedding:
    """A stage with an embedder."""
    made = Embedding()
    stage.search = replace(stage.search, embedder=made)
    stage.hire()
    return made
