"""The word half of a store's index: BM25 by tantivy.

A document is a chunk: its words, the generation that brought it, and its row, which the manifest maps to file and
chunk. No text is kept here.
"""

import math
from collections.abc import Collection, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TypeAlias

import tantivy
from tantivy import Occur, Query, TextAnalyzerBuilder, Tokenizer

from threadmill.adapters.search.text_analysis import QueryWord, chunk_terms, read_question

WRITER_HEAP = 32_000_000
"""Bytes the writer gathers before it writes a segment. One thread, for there are other stores and other work."""

PAIR_BOOST, PAIR_SLOP = 0.2, 1
"""Neighbours in the question that are neighbours in the text count a fifth on top. Cranfield nDCG@10: 0.543 -> 0.555."""

MAX_QUERY_WORDS = 96
"""Different words of a question that are looked for, the rarest. A question may be a whole page."""

GRAM_BOOST = 0.5
"""What a word found inside another, by its n-grams, counts of one found itself."""

LANGUAGE_BOOST = 0.3
"""What a chunk in the question's own language counts on top: it decides between neighbours that share their words."""

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
    builder.add_text_field("words", tokenizer_name="blanks", index_option="position")
    builder.add_text_field("grams", tokenizer_name="blanks", index_option="freq")
    builder.add_text_field("language", tokenizer_name="raw", index_option="basic")
    builder.add_text_field("generation", tokenizer_name="raw", index_option="basic")
    # tantivy writes an int field's values as signed: an unsigned one panics at commit.
    builder.add_integer_field("row", fast=True)
    return builder.build()


def _document(generation: int, row: int, text: str) -> tantivy.Document:
    terms = chunk_terms(text)
    words, grams = " ".join(terms.words), " ".join(terms.grams)
    languages = list(terms.languages)
    return tantivy.Document(words=words, grams=grams, language=languages, generation=str(generation), row=row)


class Bm25Index:
    """One store's tantivy index in `directory`. One thread writes at a time; any number search."""

    @_panics_as_errors()
    def __init__(self, directory: Path) -> None:
        """Open or create. Raises ValueError or OSError when what is there cannot be read."""
        directory.mkdir(parents=True, exist_ok=True)
        self._schema: tantivy.Schema = _schema()
        self._index: tantivy.Index = tantivy.Index(self._schema, str(directory))
        self._index.register_tokenizer("blanks", TextAnalyzerBuilder(Tokenizer.whitespace()).build())
        # The writer says when there is something new; a watcher thread a store would be many threads.
        self._index.config_reader("manual")
        self._writer: tantivy.IndexWriter | None = None
        self._languages: frozenset[str] = self._read_languages()

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
            writer.add_document(_document(generation, row, text))
        writer.commit()
        self._index.reload()
        self._languages = self._read_languages()

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
        query = self._query(searcher, text)
        if query is None:
            return []
        if generations is not None:
            among = Query.term_set_query(self._schema, "generation", [str(one) for one in generations])
            query = Query.boolean_query([(Occur.Must, query), (Occur.Must, Query.const_score_query(among, 0.0))])
        hits = searcher.search(query, depth, count=False).hits
        rows = searcher.fast_field_values("row", [address for _, address in hits])
        return [(int(row), float(score)) for row, (score, _) in zip(rows, hits, strict=True) if row is not None]

    def _query(self, searcher: tantivy.Searcher, text: str) -> Query | None:
        question = read_question(text, self._languages)
        wanted = self._rarest(searcher, question.words)
        stems = {word.stems[0] for word in wanted if word.stems}
        pairs = [pair for pair in question.pairs if stems.issuperset(pair)][:MAX_QUERY_WORDS]
        parts = [*map(self._word, wanted), *(self._pair(*pair, question.pairs[pair]) for pair in pairs)]
        if not parts:
            return None
        found = Query.boolean_query([(Occur.Should, part) for part in parts])
        if len(self._languages) < 2:
            return found
        own = Query.const_score_query(self._term("language", question.language), LANGUAGE_BOOST)
        return Query.boolean_query([(Occur.Must, found), (Occur.Should, own)])

    @staticmethod
    def _rarest(searcher: tantivy.Searcher, words: Sequence[QueryWord]) -> Sequence[QueryWord]:
        """The words whose finding says most, in their order: rare in the store, often in the question."""
        if len(words) <= MAX_QUERY_WORDS:
            return words

        def worth(word: QueryWord) -> float:
            field, terms = ("words", word.stems) if word.stems else ("grams", word.grams)
            held = max(searcher.doc_freq(field, term) for term in terms)
            return word.count * math.log1p(searcher.num_docs / (held + 0.5)) if held else 0.0

        best = sorted(range(len(words)), key=lambda at: -worth(words[at]))[:MAX_QUERY_WORDS]
        return [words[at] for at in sorted(best)]

    def _word(self, word: QueryWord) -> Query:
        """A word's stems or, for less, its n-grams: the better of them counts, as often as the word was said."""
        either = [self._term("words", stem) for stem in word.stems]
        if word.grams:
            inside = [(Occur.Should, self._term("grams", gram)) for gram in word.grams]
            found = Query.boolean_query(inside, minimum_number_should_match=word.least)
            share = GRAM_BOOST if word.stems else 1.0
            either.append(Query.boost_query(found, share / len(word.grams)))
        best = either[0] if len(either) == 1 else Query.disjunction_max_query(either)
        return Query.boost_query(best, word.count * word.boost)

    def _pair(self, one: str, other: str, count: int) -> Query:
        phrase = Query.phrase_query(self._schema, "words", [one, other], PAIR_SLOP)
        return Query.boost_query(phrase, PAIR_BOOST * count)

    def _term(self, field: str, term: str) -> Query:
        return Query.term_query(self._schema, field, term, "freq")

    def _read_languages(self) -> frozenset[str]:
        """What the chunks are in: a question's words are read as each of these."""
        return frozenset(name for name, _ in self.searcher().terms_with_prefix("language", "", Query.all_query()))

    def _open_writer(self) -> tantivy.IndexWriter:
        if self._writer is None:
            self._writer = self._index.writer(WRITER_HEAP, 1)
        return self._writer
