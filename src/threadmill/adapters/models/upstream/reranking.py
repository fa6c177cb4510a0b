"""The Reranker port on a `/rerank` endpoint as Jina, Cohere, vLLM, llama.cpp and others serve it."""

import math
from collections.abc import Sequence

import msgspec

from threadmill.adapters.models.upstream.json_client import UpstreamJsonClient
from threadmill.adapters.models.upstream.retry import RetryPolicy
from threadmill.adapters.models.upstream.settings import UpstreamSettings
from threadmill.engine.ports.embedder import EmbeddingFailed


class _Result(msgspec.Struct):
    """The place of a text among those sent, and how well it answers."""

    index: int
    relevance_score: float | None = None
    score: float | None = None

    @property
    def value(self) -> float:
        """Under whichever name it came; text-embeddings-inference calls it `score`."""
        return self.relevance_score if self.relevance_score is not None else (self.score or 0.0)


class _Answer(msgspec.Struct):
    results: list[_Result]


_decode = msgspec.json.Decoder(_Answer).decode


class UpstreamReranker:
    """`model` of one upstream."""

    def __init__(self, settings: UpstreamSettings, model: str, retry_policy: RetryPolicy | None = None) -> None:
        self._client: UpstreamJsonClient = UpstreamJsonClient(settings, retry_policy)
        self._model: str = model

    async def rerank(self, question: str, texts: Sequence[str]) -> Sequence[float]:
        """See the port. Servers that answer with bare logits are brought between 0 and 1 by the logistic curve."""
        if not texts:
            return []
        wanted = {"model": self._model, "query": question, "documents": list(texts), "top_n": len(texts)}
        body = await self._client.post_json("rerank", msgspec.json.encode(wanted), self._model)
        return _scores(body, len(texts))

    async def aclose(self) -> None:
        """See the port."""
        await self._client.aclose()


def _scores(body: bytes, count: int) -> Sequence[float]:
    try:
        results = {result.index: result.value for result in _decode(body).results}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise EmbeddingFailed("The reranker's answer cannot be understood.") from None
    if results.keys() != set(range(count)) or not all(map(math.isfinite, results.values())):
        raise EmbeddingFailed(f"The reranker did not judge each of the {count} texts once.")
    scores = [results[place] for place in range(count)]
    if min(scores) < 0 or max(scores) > 1:
        return [_logistic(score) for score in scores]
    return scores


def _logistic(score: float) -> float:
    return 1 / (1 + math.exp(-max(-700.0, min(700.0, score))))
