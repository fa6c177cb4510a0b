"""Words-only search in the languages of the table: all texts in one store, each question must put its own first."""

from pathlib import Path

import pytest

from tests.support.chunks import STORE, HeldChunks, file_of
from tests.support.language_table import TABLE
from threadmill.adapters.search.local_index import LocalSearchIndex
from threadmill.engine.ports.search_index import IndexQuery


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("index")


def held() -> HeldChunks:
    source = HeldChunks()
    for row in TABLE:
        source.keep(*(file_of(f"file-{row.language}-{at}", text) for at, text in enumerate(row.texts)))
    return source


@pytest.mark.parametrize("row", TABLE, ids=[row.language for row in TABLE])
async def test_a_question_finds_its_text_among_all_languages(folder: Path, row: object) -> None:
    assert isinstance(row, type(TABLE[0]))
    index = LocalSearchIndex(folder, held())
    first = [(await index.search(STORE, IndexQuery(question))).lexical[:1] for question in row.questions]
    await index.aclose()
    assert [[hit.file_id for hit in hits] for hits in first] == [[f"file-{row.language}-1"]] * len(row.questions)
