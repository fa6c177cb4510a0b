"""`threadmill search reembed`: vectors follow the embedding model, without reading a file again."""

import asyncio
from pathlib import Path

from tests.cli.command import run
from tests.support.embeddings import embedding_server
from tests.support.serving import serving


async def test_files_are_embedded_anew_once_after_the_model_was_changed(tmp_path: Path) -> None:
    async with serving(tmp_path) as live:
        files = [await live.api.file(f"{name}.txt", name.encode()) for name in ("fox", "hen")]
        store = (await live.api.ok("POST", "/vector_stores", {"file_ids": files}))["id"]
        await live.api.read(store)
        refused = await asyncio.to_thread(run, "search", "reembed", "--data-dir", str(tmp_path))
        assert refused.code != 0
        assert "Another threadmill server uses" in refused.err
    async with embedding_server() as upstream:
        names = {"THREADMILL_UPSTREAM_URL": upstream.url, "THREADMILL_EMBEDDING_MODEL": "model"}
        command = ("search", "reembed", "--data-dir", str(tmp_path))
        first = await asyncio.to_thread(run, *command, **names)
        assert (first.code, first.out.splitlines()[-1]) == (0, "search: 2 files embedded anew"), first.err
        asked = len(upstream.requests)
        again = await asyncio.to_thread(run, *command, **names)
        assert again.out.startswith("search: all files are up to date: ")
        assert len(upstream.requests) == asked
        async with serving(tmp_path, upstream.url, EMBEDDING_MODEL="model") as live:
            found = await live.api.ok("POST", f"/vector_stores/{store}/search", {"query": "hen"})
            assert found["data"][0]["file_id"] == files[1]


async def test_an_embedder_that_is_away_is_told_and_what_is_done_stays_done(tmp_path: Path) -> None:
    async with serving(tmp_path) as live:
        file = await live.api.file("fox.txt", b"fox")
        store = (await live.api.ok("POST", "/vector_stores", {"file_ids": [file]}))["id"]
        await live.api.read(store)
    config = tmp_path / "threadmill.toml"
    config.write_text('[[upstreams]]\nbase_url = "http://127.0.0.1:9/v1"\n[search]\nembedding_model = "m"\n')
    names = {"THREADMILL_CONFIG": str(config)}
    failed = await asyncio.to_thread(run, "search", "reembed", "--data-dir", str(tmp_path), **names)
    assert failed.code != 0
    assert "What is done stays done" in failed.err
    assert "Traceback" not in failed.err
