"""BM25 as the textbooks have it, the yardstick of words-only search: k1 1.2, b 0.75, each occurrence in a question counts."""

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence

from threadmill.adapters.search.languages import function_words
from threadmill.adapters.search.words import stems

K1, B = 1.2, 0.75


def terms(text: str) -> list[str]:
    """English stems without function words."""
    words = re.findall(r"\w+", text.lower())
    return [stems(word, "latin", "en")[0] for word in words if word not in function_words("latin", "en")]


class Textbook:
    """Ranks documents, all of which it holds in memory."""

    def __init__(self, documents: Mapping[str, str]) -> None:
        counts = {name: Counter(terms(text)) for name, text in documents.items()}
        self._lengths = {name: found.total() for name, found in counts.items()}
        self._mean = sum(self._lengths.values()) / len(counts)
        self._postings: dict[str, list[tuple[str, int]]] = {}
        for name, found in counts.items():
            for term, count in found.items():
                self._postings.setdefault(term, []).append((name, count))

    def ranking(self, question: str, depth: int) -> Sequence[str]:
        """The best documents, best first."""
        scores: Counter[str] = Counter()
        for term, asked in Counter(terms(question)).items():
            postings = self._postings.get(term, [])
            idf = math.log(1 + (len(self._lengths) - len(postings) + 0.5) / (len(postings) + 0.5))
            for name, count in postings:
                norm = K1 * (1 - B + B * self._lengths[name] / self._mean)
                scores[name] += asked * idf * count * (K1 + 1) / (count + norm)  # pyright: ignore[reportArgumentType]
        return [name for name, _ in scores.most_common(depth)]
