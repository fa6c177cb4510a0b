"""The Cranfield collection (abstracts of aerodynamics, 1960s; public) and how well a ranking of it is.

225 questions over 1,398 abstracts. The judgements run from 1, the best, to 4; a grade g counts as 5 - g.
"""

import lzma
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import msgspec


class Abstract(msgspec.Struct):
    title: str
    text: str


class _File(msgspec.Struct):
    documents: dict[str, Abstract]
    questions: list[str]
    judgements: list[dict[str, int]]


@dataclass(frozen=True)
class Collection:
    """Texts by document id, the questions, and for each of them its documents' gains."""

    documents: Mapping[str, str]
    questions: Sequence[str]
    grades: Sequence[Mapping[str, int]]

    def ndcg(self, rankings: Sequence[Sequence[str]], k: int = 10) -> float:
        """Mean nDCG@k of one ranking a question, with gains of 2^grade - 1."""
        scores = [_ndcg(ranking, grades, k) for ranking, grades in zip(rankings, self.grades, strict=True)]
        return sum(scores) / len(scores)


def _ndcg(ranking: Sequence[str], grades: Mapping[str, int], k: int) -> float:
    found = [grades.get(document, 0) for document in ranking[:k]]
    return _gain(found) / _gain(sorted(grades.values(), reverse=True)[:k])


def _gain(grades: Sequence[int]) -> float:
    return sum((2**grade - 1) / math.log2(place + 2) for place, grade in enumerate(grades))


@cache
def cranfield() -> Collection:
    """The collection, whole."""
    data = lzma.decompress(Path(__file__).with_name("cranfield.json.xz").read_bytes())
    held = msgspec.json.decode(data, type=_File)
    documents = {name: f"{abstract.title}\n{abstract.text}" for name, abstract in held.documents.items()}
    grades = [{name: 5 - grade for name, grade in one.items() if name in documents} for one in held.judgements]
    return Collection(documents, held.questions, grades)
