"""What the operator is shown of a file's reading."""

import asyncio

from tests.support.stage import PROJECT, Stage, turn_of_the_loop
from threadmill.adapters.memory.store import MemoryStore
from threadmill.domain.new_store import NewStoreFile, NewVectorStore
from threadmill.engine.documents.reading_report import readings
from threadmill.engine.objects import vector_stores


async def test_a_file_is_shown_in_every_store_that_has_it_and_others_are_not() -> None:
    stage = Stage(MemoryStore())
    file, other = await stage.file("a.txt", b"one two three"), await stage.file("b.txt", b"four")
    for files in ((file, other), (file,)):
        await vector_stores.create(
            stage.engine, PROJECT, NewVectorStore(files=tuple(NewStoreFile(one) for one in files))
        )
    async with asyncio.timeout(20):
        while await stage.ports.search.stores.pending(1, frozenset()):
            await stage.ingester.start_pending()
            await turn_of_the_loop()
    found = await readings(stage.ports, file)
    assert [reading.row.file_id for reading in found] == [file, file]
    assert [" ".join(reading.chunks) for reading in found] == ["one two three"] * 2
    assert await readings(stage.ports, "file-none") == []
