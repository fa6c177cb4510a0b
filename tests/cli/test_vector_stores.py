"""`threadmill vector-stores`: stores made, filled, searched and taken down from a shell."""

import time
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import Shell

STORES, FILES, BATCHES = "vector-stores", "vector-stores:files", "vector-stores:file-batches"


def uploaded(shell: Shell, directory: Path, name: str, text: str) -> str:
    """A file's id."""
    (directory / name).write_text(text)
    return shell.ok("files", "create", "--purpose", "assistants", "--file", str(directory / name))["id"]


def read(shell: Shell, store: str) -> dict[str, Any]:
    """The store once nothing in it is in progress."""
    end = time.monotonic() + 60
    while shell.got(f"/vector_stores/{store}")["status"] == "in_progress":
        assert time.monotonic() < end, f"waited a minute for the files of {store} to be read"
    return shell.ok(STORES, "retrieve", store)


def test_a_store_is_made_shown_changed_listed_and_deleted(shell: Shell) -> None:
    flags = ("--name", "docs", "--expires-after.anchor", "last_active_at", "--expires-after.days", "3")
    made = shell.ok(STORES, "create", *flags, "--metadata", "{k: v}")
    assert (made["name"], made["expires_after"]["days"], made["metadata"]) == ("docs", 3, {"k": "v"})
    assert shell.ok(STORES, "retrieve", made["id"]) == made
    changed = shell.ok(STORES, "update", made["id"], "--name", "papers", "--expires-after", "null")
    assert (changed["name"], changed["expires_after"], changed["metadata"]) == ("papers", None, {"k": "v"})
    listed = shell(STORES, "list", "--max-items", "1", "--format", "jsonl").lines
    assert [one["id"] for one in listed] == [made["id"]]
    assert shell.ok(STORES, "delete", made["id"])["deleted"] is True
    assert shell(STORES, "retrieve", made["id"]).code == 4


def test_a_store_is_filled_searched_and_read(shell: Shell, tmp_path: Path) -> None:
    cats = uploaded(shell, tmp_path, "cats.txt", "Cats purr.")
    bridges = uploaded(shell, tmp_path, "bridges.md", "Bridges are of steel.")
    store = shell.ok(STORES, "create", "--file-id", cats, "--file-id", bridges)["id"]
    assert read(shell, store)["file_counts"]["completed"] == 2
    found = shell.ok(STORES, "search", store, "--query", "cats or bridges", "--max-num-results", "10")
    assert {one["filename"] for one in found["data"]} == {"cats.txt", "bridges.md"}
    shell.ok(FILES, "update", store, cats, "--attributes", "{kind: pets, year: 2024}")
    assert shell.ok(FILES, "retrieve", store, cats)["attributes"] == {"kind": "pets", "year": 2024}
    search = ("search", store, "--query", "cats or bridges", "--filters", "{type: gte, key: year, value: 2024}")
    assert [one["filename"] for one in shell.ok(STORES, *search)["data"]] == ["cats.txt"]
    assert shell.ok(FILES, "content", store, cats)["data"] == [{"type": "text", "text": "Cats purr."}]
    assert shell.ok(FILES, "delete", store, cats) == {
        "id": cats,
        "object": "vector_store.file.deleted",
        "deleted": True,
    }
    listed = shell(FILES, "list", store, "--filter", "completed", "--format", "jsonl").lines
    assert [one["id"] for one in listed] == [bridges]


def test_a_batch_is_followed_to_its_end(shell: Shell, tmp_path: Path) -> None:
    first, second = (uploaded(shell, tmp_path, f"{name}.txt", name) for name in ("one", "two"))
    store = shell.ok(STORES, "create")["id"]
    cut = "{type: static, static: {max_chunk_size_tokens: 100, chunk_overlap_tokens: 0}}"
    files = ("--file", f"{{file_id: {first}}}", "--file", f"{{file_id: {second}, attributes: {{n: 2}}}}")
    batch = shell.ok(BATCHES, "create", store, *files)["id"]
    read(shell, store)
    assert shell.ok(BATCHES, "retrieve", store, batch)["status"] == "completed"
    assert shell.ok(BATCHES, "cancel", store, batch)["file_counts"]["completed"] == 2
    listed = shell(BATCHES, "list-files", store, batch, "--order", "asc", "--format", "jsonl").lines
    assert {one["id"] for one in listed} == {first, second}
    assert shell.ok(FILES, "retrieve", store, second)["attributes"] == {"n": 2}
    again = shell.ok(FILES, "create", store, "--file-id", first, "--chunking-strategy", cut)
    assert again["chunking_strategy"]["static"]["max_chunk_size_tokens"] == 100


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["search", "vs_none", "--query", "q"], "Vector store vs_none not found."),
        (["search", "vs_none", "--query", "q", "--max-num-results", "51"], "Expected a value <= 50, but got 51"),
        (["search", "vs_none"], "Missing: --query."),
        (["retrieve", "thread_1"], "Expected an ID that begins with 'vs'."),
    ],
)
def test_a_refusal_is_told_in_the_servers_words(shell: Shell, arguments: list[str], told: str) -> None:
    result = shell(STORES, *arguments)
    assert result.code != 0
    assert told in result.err
