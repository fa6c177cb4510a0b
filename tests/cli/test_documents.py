"""`threadmill documents show`: how a file was read."""

import asyncio
from pathlib import Path

from tests.cli.command import run
from tests.support.serving import serving


async def test_a_file_is_shown_with_its_encoding_its_losses_and_its_chunks(tmp_path: Path) -> None:
    async with serving(tmp_path) as live:
        file = await live.api.file("fox.txt", "Größe des Fuchses ".encode() * 20 + b"\xff \x1b[31m")
        store = (await live.api.ok("POST", "/vector_stores", {"file_ids": [file]}))["id"]
        await live.api.read(store)
    shown = await asyncio.to_thread(run, "documents", "show", file, "--data-dir", str(tmp_path))
    assert shown.code == 0, shown.err
    lines = shown.out.splitlines()
    assert lines[0] == f"{file} in {store}: completed"
    assert lines[1:5] == [
        "  format: text, utf-8",
        "  characters replaced: 1",
        "  ! 1 characters mean nothing in utf-8 and were replaced.",
        "  chunks: 1",
    ]
    assert "Größe des Fuchses" in lines[5]
    assert "\x1b" not in shown.out
    unknown = await asyncio.to_thread(run, "documents", "show", "file-none", "--data-dir", str(tmp_path))
    assert unknown.code != 0
    assert "No vector store has read a file file-none." in unknown.err
