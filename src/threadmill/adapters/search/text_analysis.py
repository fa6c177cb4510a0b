"""Text to words: what tantivy indexes, and which words of a question are looked for."""

import re
from collections.abc import Sequence

from tantivy import Filter, TextAnalyzer, TextAnalyzerBuilder, Tokenizer

LONGEST_WORD = 60
"""Bytes of the longest word that is indexed; longer ones are base64 and the like."""

MAX_QUERY_WORDS = 64
"""Different words of a question that are looked for. A question may be a whole page; its rarest words are not worth
seconds."""

# Scripts written without spaces: each character is a word, and pairs of neighbours count extra, as everywhere.
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")

_FUNCTION_WORDS = frozenset(
    """a about above after again against all also am an and any are as at be because been before being below between
    both but by can could d did do does doing down during each etc every few for from further had has have having he
    her here hers him his how i if in into is it its itself just let ll m may me might more most must my myself no nor
    not now of off on once only or other our ours out over own per re s same shall she should so some such t than that
    the their theirs them then there these they this those through to too under until up upon us ve very was we were
    what when where whether which while who whom whose why will with within without would yes yet you your yours
    yourself""".split()  # noqa: SIM905 - a list to read
)
"""English words that carry a question's form, not its matter. They are indexed, so phrases and songs are still found."""


def analyzer() -> TextAnalyzer:
    """The chain every indexed text goes through."""
    builder = TextAnalyzerBuilder(Tokenizer.simple())
    for step in (Filter.remove_long(LONGEST_WORD), Filter.lowercase(), Filter.ascii_fold(), Filter.stemmer("english")):
        builder = builder.filter(step)
    return builder.build()


def split_unspaced_scripts(text: str) -> str:
    """`text` with spaces around the characters that are words by themselves."""
    return text if text.isascii() else _UNSPACED.sub(r" \g<0> ", text)


class QueryAnalyzer:
    """Reads questions as the index read its texts."""

    def __init__(self) -> None:
        self._analyzer: TextAnalyzer = analyzer()
        builder = TextAnalyzerBuilder(Tokenizer.simple())
        self._plain: TextAnalyzer = builder.filter(Filter.lowercase()).build()

    def words(self, text: str) -> Sequence[str]:
        """The words to look for, in order: those that carry the matter, or all if none does."""
        plain = self._plain.analyze(split_unspaced_scripts(text))
        content_words = [word for word in plain if word not in _FUNCTION_WORDS] or plain
        return self._analyzer.analyze(" ".join(content_words))
