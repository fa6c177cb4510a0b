"""A server that is killed while it reads files: every file settles, none twice."""

from pathlib import Path

from tests.faults.test_restart import server
from tests.support.waiting import until
from threadmill.domain.ids import FileId

FILES = 200


async def test_every_file_settles_once_though_the_server_is_killed_while_it_reads_two_hundred(tmp_path: Path) -> None:
    async with server(tmp_path, "") as (process, api):
        files = [
            await api.file(f"{number}.txt", f"word{number} shared".encode() if number % 50 else b"")
            for number in range(FILES)
        ]
        store = (await api.ok("POST", "/vector_stores", {"name": "s"}))["id"]
        batch = (await api.ok("POST", f"/vector_stores/{store}/file_batches", {"file_ids": files}))["id"]

        async def some_are_read() -> bool:
            return (await api.ok("GET", f"/vector_stores/{store}"))["file_counts"]["completed"] >= 5

        await until("five files to be read", some_are_read)
        process.kill()
        await process.wait()
    async with server(tmp_path, "") as (_, api):
        before = (await api.ok("GET", f"/vector_stores/{store}"))["file_counts"]
        assert before["in_progress"] > 0
        await api.read(store)
        counts = {"in_progress": 0, "completed": FILES - 4, "failed": 4, "cancelled": 0, "total": FILES}
        assert (await api.ok("GET", f"/vector_stores/{store}"))["file_counts"] == counts
        assert (await api.ok("GET", f"/vector_stores/{store}/file_batches/{batch}"))["file_counts"] == counts
        listed: list[FileId] = []
        after = ""
        while True:
            page = await api.ok("GET", f"/vector_stores/{store}/files?limit=100&order=asc{after}")
            listed += [one["id"] for one in page["data"]]
            if not page["has_more"]:
                break
            after = f"&after={page['last_id']}"
        assert sorted(listed) == sorted(files)
        wanted = {"query": "word7", "max_num_results": 50}
        found = (await api.ok("POST", f"/vector_stores/{store}/search", wanted))["data"]
        best = found[0]  # the others have a part of it, "word"
        assert (best["file_id"], best["content"][0]["text"]) == (files[7], "word7 shared")
