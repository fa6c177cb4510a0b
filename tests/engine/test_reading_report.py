"""What the operator is shown of a file's reading."""

from tests.support.stage import PROJECT, Stage
from tests.support.stores import read
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
    await read(stage)
    found = await readings(stage.ports, file)
    assert [reading.row.file_id for reading in found] == [file, file]
    assert [" ".join(reading.chunks) for reading in found] == ["one two three"] * 2
    assert await readings(stage.ports, "file-none") == []
