"""The word half of a store's index: BM25 by tantivy.

A document is a chunk: its words, the generation that brought it, and its row, which the manifest maps to file and
chunk. No text is kept here.
"""

from collections.abc import Collection, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TypeAlias

import tantivy
from tantivy import Occur, Query

from threadmill.adapters.search.text_analysis import MAX_QUERY_WORDS, QueryAnalyzer, analyzer, split_unspaced_scripts

WRITER_HEAP = 32_000_000
"""Bytes the writer gathers before it writes a segment. One thread, for there are other stores and other work."""

PAIR_BOOST, PAIR_SLOP = 0.2, 1
"""Neighbours in the question that are neighbours in the text count a fifth on top. Cranfield nDCG@10: 0.543 -> 0.555."""

Scored: TypeAlias = list[tuple[int, float]]
"""Rows and their scores, best first."""


@contextmanager
def _panics_as_errors() -> Generator[None]:
    """A panic of tantivy's Rust, which is a BaseException to Python, as a ValueError."""
    try:
        yield
    except Exception:
        raise
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise ValueError(str(error)) from None


class ChunkDocument(NamedTuple):
    """A chunk to be indexed."""

    generation: int
    row: int
    text: str


def _schema() -> tantivy.Schema:
    builder = tantivy.SchemaBuilder()
    builder.add_text_field("text", tokenizer_name="words", index_option="position")
    builder.add_text_field("generation", tokenizer_name="raw", index_option="basic")
    # tantivy writes an int field's values as signed: an unsigned one panics at commit.
    builder.add_integer_field("row", fast=True)
    return builder.build()


class Bm25Index:
    """One store's tantivy index in `directory`. One thread writes at a time; any number search."""

    @_panics_as_errors()
    def __init__(self, directory: Path) -> None:
        """Open or create. Raises ValueError or OSError when what is there cannot be read."""
        directory.mkdir(parents=True, exist_ok=True)
        self._schema: tantivy.Schema = _schema()
        self._index: tantivy.Index = tantivy.Index(self._schema, str(directory))
        self._index.register_tokenizer("words", analyzer())
        # The writer says when there is something new; a watcher thread a store would be many threads.
        self._index.config_reader("manual")
        self._writer: tantivy.IndexWriter | None = None
        self._queries: QueryAnalyzer = QueryAnalyzer()

    @_panics_as_errors()
    def chunks_by_generation(self) -> Mapping[int, int]:
        """How many chunks of each generation are really in the index."""
        found = self.searcher().terms_with_prefix("generation", "", Query.all_query())
        return {int(name): count for name, count in found}

    def searcher(self) -> tantivy.Searcher:
        """The index as of the last commit."""
        return self._index.searcher()

    @_panics_as_errors()
    def write(self, added: Iterable[ChunkDocument], removed: Collection[int]) -> None:
        """Take in chunks, forget generations, and commit both at once."""
        writer = self._open_writer()
        for generation in removed:
            writer.delete_documents_by_term("generation", str(generation))
        for generation, row, text in added:
            writer.add_document(
                tantivy.Document(text=split_unspaced_scripts(text), generation=str(generation), row=row)
            )
        writer.commit()
        self._index.reload()

    @_panics_as_errors()
    def finish_merges(self) -> None:
        """Let running merges end and give the writer's memory back."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.wait_merging_threads()
            self._index.reload()

    @_panics_as_errors()
    def search(self, searcher: tantivy.Searcher, text: str, generations: Collection[int] | None, depth: int) -> Scored:
        """The `depth` best rows, of `generations` only unless None."""
        query = self._query(self._queries.words(text))
        if query is None:
            return []
        if generations is not None:
            among = Query.term_set_query(self._schema, "generation", [str(one) for one in generations])
            query = Query.boolean_query([(Occur.Must, query), (Occur.Must, Query.const_score_query(among, 0.0))])
        hits = searcher.search(query, depth, count=False).hits
        rows = searcher.fast_field_values("row", [address for _, address in hits])
        return [(int(row), float(score)) for row, (score, _) in zip(rows, hits, strict=True) if row is not None]

    def _query(self, words: Sequence[str]) -> Query | None:
        wanted = list(dict.fromkeys(words))[:MAX_QUERY_WORDS]
        pairs = dict.fromkeys(zip(words[:MAX_QUERY_WORDS], words[1:MAX_QUERY_WORDS], strict=False))
        parts = [(Occur.Should, Query.term_query(self._schema, "text", word, "freq")) for word in wanted]
        for one, other in pairs:
            if one != other:
                phrase = Query.phrase_query(self._schema, "text", [one, other], PAIR_SLOP)
                parts.append((Occur.Should, Query.boost_query(phrase, PAIR_BOOST)))
        return Query.boolean_query(parts) if parts else None

    def _open_writer(self) -> tantivy.IndexWriter:
        if self._writer is None:
            self._writer = self._index.writer(WRITER_HEAP, 1)
        return self._writer
