"""file_search measured on one core: quality, ingestion, questions by size of store, memory. `python -m bench.search`; `--quality`
leaves out what takes minutes.

Chunks are words of the Cranfield collection drawn by their frequency; questions are its own; vectors are random with
clusters, as embeddings have. No embedding call is in the times.
"""

import asyncio
import os
import resource
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from bench.textbook import Textbook
from tests.support.chunks import STORE, HeldChunks
from tests.support.cranfield import Collection, cranfield
from tests.support.language_table import TABLE
from tests.support.lsa import LsaEmbedder
from threadmill.adapters.extract.subprocess_extractor import SubprocessExtractor
from threadmill.adapters.search.local_index import LocalSearchIndex
from threadmill.adapters.tokens.offsets import BpeTokenOffsets
from threadmill.domain.chunking import StaticChunking, split_into_chunks
from threadmill.domain.ids import FileId
from threadmill.domain.ranking import HybridWeights
from threadmill.engine.documents.retrieval import Retrieval, SearchOptions
from threadmill.engine.ports.search_index import IndexedChunk, IndexedFile, IndexQuery

DIMENSIONS = 256
"""The service's own size of vectors."""

FILE_CHUNKS = 100
QUESTIONS = 225

Row = tuple[str, str, str, bool]


class Words:
    """Draws words of the collection by their frequency."""

    def __init__(self) -> None:
        counts = Counter(word for text in cranfield().documents.values() for word in text.split())
        self._words = np.array(list(counts))
        self._share = np.array(list(counts.values())) / counts.total()
        self._random = np.random.default_rng(7)

    def texts(self, count: int, words: int) -> list[str]:
        drawn = self._random.choice(len(self._words), count * words, p=self._share)
        return [" ".join(self._words[drawn[at * words : (at + 1) * words]]) for at in range(count)]

    def vectors(self, count: int) -> list[bytes]:
        centres = np.random.default_rng(5).standard_normal((300, DIMENSIONS)).astype(np.float32)
        found = centres[self._random.integers(0, 300, count)]
        found = found + 0.7 * self._random.standard_normal((count, DIMENSIONS)).astype(np.float32)
        found /= np.linalg.norm(found, axis=1, keepdims=True)
        return [row.astype("<f4").tobytes() for row in found]


def percentiles(seconds: Sequence[float]) -> tuple[float, float]:
    """p50 and p99 in milliseconds."""
    ordered = sorted(seconds)
    return statistics.median(ordered) * 1e3, ordered[int(len(ordered) * 0.99)] * 1e3


async def timed(questions: Sequence[str], ask: Callable[[int, str], Awaitable[object]]) -> tuple[float, float]:
    """p50 and p99 of each question after one round to warm up."""
    for at, question in enumerate(questions[:20]):
        await ask(at, question)
    taken: list[float] = []
    for at, question in enumerate(questions):
        began = time.perf_counter()
        await ask(at, question)
        taken.append(time.perf_counter() - began)
    return percentiles(taken)


def memory() -> dict[str, float]:
    """MB of this process: its own, and file pages it maps."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return {key: int(lines[key].split()[0]) / 1e3 for key in ("RssAnon", "RssFile")}


async def fill(index: LocalSearchIndex, words: Words, count: int, length: int) -> float:
    """Put `count` chunks of `length` words; MB of text."""
    size = 0
    for start in range(0, count, FILE_CHUNKS * 50):
        files: list[IndexedFile] = []
        for at in range(start, min(count, start + FILE_CHUNKS * 50), FILE_CHUNKS):
            texts = words.texts(FILE_CHUNKS, length)
            size += sum(map(len, texts))
            chunks = [IndexedChunk(*pair) for pair in zip(texts, words.vectors(FILE_CHUNKS), strict=True)]
            files.append(IndexedFile(FileId(f"file-{at}"), "1", chunks))
        await asyncio.gather(*(index.upsert(STORE, file) for file in files))
    return size / 1e6


async def size_of_store(count: int, length: int, p50: float, p99: float, large: int) -> list[Row]:
    """Times and memory at one size."""
    words, rows = Words(), list[Row]()
    questions = cranfield().questions[:QUESTIONS]
    vectors = words.vectors(len(questions))
    before = memory()
    with tempfile.TemporaryDirectory() as directory:
        index = LocalSearchIndex(Path(directory), HeldChunks(), ann_threshold=large)
        began = time.perf_counter()
        megabytes = await fill(index, words, count, length)
        filled = time.perf_counter() - began
        await index.aclose()
        index = LocalSearchIndex(Path(directory), _Same(count), ann_threshold=large)
        began = time.perf_counter()
        await index.search(STORE, IndexQuery("opening"))
        opened = time.perf_counter() - began
        some = frozenset(FileId(f"file-{at}") for at in range(0, count, FILE_CHUNKS * 20))
        what = f"{count:,} chunks of {length} words"
        for name, files in (("", None), (", 5 % of files pass a filter", some)):

            async def ask(at: int, question: str, files: frozenset[FileId] | None = files) -> object:
                return await index.search(STORE, IndexQuery(question, vectors[at], files))

            middle, slow = await timed(questions, ask)
            good = middle <= p50 and slow <= p99
            rows.append(
                (f"query, {what}{name}", f"p50 {middle:.1f} ms, p99 {slow:.1f} ms", f"≤ {p50:g} / {p99:g} ms", good)
            )
        after = memory()
        own, mapped = after["RssAnon"] - before["RssAnon"], after["RssFile"] - before["RssFile"]
        rows.append((f"memory, {what}", f"{own:.0f} MB own, {mapped:.0f} MB mapped files", "stated", True))
        text = f"opened in {opened:.2f} s, filled with {megabytes:.0f} MB in {filled:.1f} s (words drawn included)"
        rows.append((f"store, {what}", text, "stated", True))
        await index.aclose()
    return rows


class _Same(HeldChunks):
    """A truth that agrees with what `fill` put."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self._editions = {FileId(f"file-{at}"): "1" for at in range(0, count, FILE_CHUNKS)}

    async def editions(self, store_id: str) -> dict[FileId, str]:
        del store_id
        return self._editions


async def quality() -> list[Row]:
    """Cranfield nDCG@10 of each half and of both; the vectors are LSA's of the collection itself."""
    documents, source = cranfield().documents, HeldChunks()
    embedder = LsaEmbedder(documents.values())
    vectors = await embedder.embed(list(documents.values()))
    for (name, text), vector in zip(documents.items(), vectors, strict=True):
        source.keep(IndexedFile(FileId(name), "1", [IndexedChunk(text, vector)]))
    score: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as directory:
        index = LocalSearchIndex(Path(directory), source)
        retrieval = Retrieval(index, source, embedder)
        for name, weights in (("words", (0, 1)), ("LSA", (1, 0)), ("both", (1, 1))):
            wish = SearchOptions(limit=10, weights=HybridWeights(*weights))
            found = [await retrieval.search([one], {STORE: None}, wish) for one in cranfield().questions]
            score[name] = cranfield().ndcg([[one.place.file_id for one in ranking] for ranking in found])
        await index.aclose()
    shown, best = f"{score['both']:.4f}", max(score["words"], score["LSA"])
    return [
        ("Cranfield nDCG@10, words alone", f"{score['words']:.4f}", "≥ 0.54", score["words"] >= 0.54),
        (
            "Cranfield nDCG@10, both halves (LSA as embedder)",
            shown,
            f"≥ {best:.4f}, the better half",
            score["both"] >= best,
        ),
    ]


def long_questions() -> list[tuple[str, str, dict[str, int]]]:
    """Paragraphs as questions: an abstract that was judged right stands for the question, the other right ones are to
    be found. Its id, its text, and the grades of the others.
    """
    asked: list[tuple[str, str, dict[str, int]]] = []
    for grades in cranfield().grades:
        right = {name: grade for name, grade in grades.items() if grade > 0}
        if len(right) > 2:
            best = min(right, key=lambda name: (-right[name], name))
            others = {name: grade for name, grade in right.items() if name != best}
            asked.append((best, cranfield().documents[best], others))
    return asked


async def words_alone() -> list[Row]:
    """The words-only half beside textbook BM25, which has the same stems and no function words; and the languages."""
    source, textbook, long = HeldChunks(), Textbook(cranfield().documents), long_questions()
    source.keep(*(IndexedFile(FileId(name), "1", [IndexedChunk(text)]) for name, text in cranfield().documents.items()))
    paragraphs = Collection(cranfield().documents, [], [grades for _, _, grades in long])
    with tempfile.TemporaryDirectory() as directory:
        index = LocalSearchIndex(Path(directory), source)

        async def ours(question: str) -> list[str]:
            hits = await index.search(STORE, IndexQuery(question, top_k=11))
            return [hit.file_id for hit in hits.lexical]

        short = cranfield().ndcg([await ours(one) for one in cranfield().questions])
        found = paragraphs.ndcg([_without(await ours(text), name) for name, text, _ in long])
        await index.aclose()
    yardstick = cranfield().ndcg([textbook.ranking(one, 11) for one in cranfield().questions])
    long_yardstick = paragraphs.ndcg([_without(textbook.ranking(text, 12), name) for name, text, _ in long])
    return [
        ("Cranfield nDCG@10, words, beside textbook BM25", f"{short:.4f}", f"≥ {yardstick:.4f}", short >= yardstick),
        (
            "long questions nDCG@10, beside textbook BM25",
            f"{found:.4f}",
            f"≥ {long_yardstick:.4f}",
            found >= long_yardstick,
        ),
        await languages(),
    ]


def _without(ranking: Sequence[str], name: str) -> list[str]:
    return [one for one in ranking if one != name][:10]


async def languages() -> Row:
    """How many questions of the language table put their own text first, of all texts in one store."""
    source, right, asked = HeldChunks(), 0, 0
    for row in TABLE:
        texts = enumerate(row.texts)
        source.keep(*(IndexedFile(FileId(f"{row.language}-{at}"), "1", [IndexedChunk(text)]) for at, text in texts))
    with tempfile.TemporaryDirectory() as directory:
        index = LocalSearchIndex(Path(directory), source)
        for row in TABLE:
            for question in row.questions:
                hits = (await index.search(STORE, IndexQuery(question))).lexical
                right += bool(hits) and hits[0].file_id == f"{row.language}-1"
                asked += 1
        await index.aclose()
    what = f"plain questions in {len(TABLE)} languages, words alone"
    return what, f"{right} of {asked} right", "≥ 24 of 25", right >= 0.96 * asked


async def ingestion() -> list[Row]:
    """A file to text to chunks to index, without embeddings; files of 1 MB, one after the other."""
    rows: list[Row] = []
    text = "\n\n".join(cranfield().documents.values())[:1_000_000]
    ruler, extractor = BpeTokenOffsets(), SubprocessExtractor()
    ruler.ends("The vocabulary is loaded before the clock starts.")
    page = "<html><body>" + "".join(f"<p>{one}</p>" for one in text.split("\n\n")) + "</body></html>"
    for name, data in (("a.txt", text), ("a.html", page)):
        with tempfile.TemporaryDirectory() as directory:
            index = LocalSearchIndex(Path(directory), HeldChunks())
            began = time.perf_counter()
            for at in range(10):
                read = (await extractor.extract(_whole(data.encode()), name)).text
                chunks = split_into_chunks(read, ruler.ends(read), StaticChunking())
                pieces = [IndexedChunk(read[chunk.start : chunk.end]) for chunk in chunks]
                await index.upsert(STORE, IndexedFile(FileId(f"file-{at}"), "1", pieces))
            speed = 10 * len(text) / 1e6 / (time.perf_counter() - began)
            await index.aclose()
        kind = name.removeprefix("a.")
        rows.append((f"parse + chunk (800/400) + index, {kind}", f"{speed:.1f} MB of text/s", "≥ 3 MB/s", speed >= 3))
    return rows


async def _whole(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def measure(large: int = 200_000, *, only_quality: bool = False) -> list[Row]:
    """All of it: what, measured, demanded, reached. Pins this process to one core."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    rows = await quality() + await words_alone()
    if only_quality:
        return rows
    rows += await ingestion()
    rows += await size_of_store(10_000, 550, 15, 50, large)
    rows += await size_of_store(199_900, 100, 50, 120, large)
    rows += await size_of_store(200_000, 100, 50, 120, large)
    return rows


def main() -> int:
    """Print the table; 1 if a demand is not met."""
    rows = asyncio.run(measure(only_quality="--quality" in sys.argv))
    for what, measured, demanded, reached in rows:
        print(f"{'  ' if reached else '!!'} {what}: {measured} ({demanded})")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print(f"   peak memory of the measuring process: {peak:.0f} MB")
    return 0 if all(row[3] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
