"""Embeddings and reranking by an upstream, over real HTTP."""

import math
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import numpy as np
import pytest

from tests.models.support import QUICK, Naps
from tests.support.embeddings import SIZE, EmbeddingServer, embedding_server, numbers_of
from threadmill.adapters.models.upstream.embeddings import BATCH_BYTES, UpstreamEmbedder
from threadmill.adapters.models.upstream.reranking import UpstreamReranker
from threadmill.adapters.models.upstream.settings import UpstreamSettings
from threadmill.engine.ports.embedder import Embedder, EmbeddingFailed, Reranker

KEY = "sk-secret-0123456789"


@asynccontextmanager
async def embedder(
    server: EmbeddingServer, *, dimensions: int | None = None, batch_texts: int = 128, naps: Naps | None = None
) -> AsyncGenerator[Embedder]:
    settings = UpstreamSettings(server.url, api_key=KEY, timeouts=QUICK)
    found = UpstreamEmbedder(settings, "some-model", dimensions, batch_texts, (naps or Naps()).retry_policy())
    try:
        yield found
    finally:
        await found.aclose()


@asynccontextmanager
async def reranker(server: EmbeddingServer) -> AsyncGenerator[Reranker]:
    found = UpstreamReranker(UpstreamSettings(server.url, timeouts=QUICK), "judge", Naps().retry_policy())
    try:
        yield found
    finally:
        await found.aclose()


async def failure_of(server: EmbeddingServer, texts: list[str], dimensions: int | None = None) -> EmbeddingFailed:
    async with embedder(server, dimensions=dimensions) as adapter:
        with pytest.raises(EmbeddingFailed) as failed:
            await adapter.embed(texts)
    return failed.value


async def test_each_text_gets_its_vector_of_length_one() -> None:
    async with embedding_server() as server, embedder(server) as adapter:
        vectors = [np.frombuffer(vector, "<f4") for vector in await adapter.embed(["one", "two"])]
        assert server.requests == [{"model": "some-model", "input": ["one", "two"], "encoding_format": "float"}]
        assert server.headers[0]["Authorization"] == f"Bearer {KEY}"
    for text, vector in zip(["one", "two"], vectors, strict=True):
        wanted = np.array(numbers_of(text))
        assert np.allclose(vector, wanted / np.linalg.norm(wanted), atol=1e-6)


async def test_many_texts_go_in_batches_and_come_back_in_order() -> None:
    texts = [f"text {at}" for at in range(1_000)]
    async with embedding_server() as server, embedder(server, batch_texts=100) as adapter:
        vectors = await adapter.embed(texts)
        assert [len(request["input"]) for request in server.requests] == [100] * 10
    async with embedding_server() as server, embedder(server) as adapter:
        assert await adapter.embed(texts) == vectors


async def test_a_batch_has_no_more_bytes_than_upstreams_take_tokens() -> None:
    texts = ["ä" * 50_000] * 5
    async with embedding_server() as server, embedder(server) as adapter:
        assert len(await adapter.embed(texts)) == 5
        assert [len(request["input"]) for request in server.requests] == [2, 2, 1]
        assert all(len("".join(request["input"]).encode()) <= BATCH_BYTES for request in server.requests)


async def test_nothing_is_asked_for_no_texts() -> None:
    async with embedding_server() as server, embedder(server) as adapter:
        assert await adapter.embed([]) == []
        assert server.requests == []


async def test_an_empty_text_is_sent_as_a_space() -> None:
    async with embedding_server() as server, embedder(server) as adapter:
        await adapter.embed(["", "x"])
        assert server.requests[0]["input"] == [" ", "x"]


async def test_dimensions_are_asked_for_and_name_the_space() -> None:
    async with embedding_server() as server, embedder(server, dimensions=4) as adapter:
        assert [len(vector) for vector in await adapter.embed(["one"])] == [16]
        assert adapter.identity == "some-model:4"
    async with embedding_server() as server, embedder(server) as adapter:
        assert adapter.identity != "some-model:4"


async def test_answers_out_of_order_or_in_base64_mean_the_same() -> None:
    async with embedding_server() as server, embedder(server) as adapter:
        plain = await adapter.embed(["one", "two", "three"])
        server.backwards = server.base64 = True
        assert await adapter.embed(["one", "two", "three"]) == plain


async def test_a_vector_of_zeros_stays_one() -> None:
    async with embedding_server() as server, embedder(server) as adapter:
        server.answer({"data": [{"index": 0, "embedding": [0, 0]}]})
        assert await adapter.embed(["x"]) == [bytes(8)]


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_what_may_pass_is_asked_again_when_the_upstream_wishes(status: int) -> None:
    naps = Naps()
    async with embedding_server() as server, embedder(server, naps=naps) as adapter:
        server.answer({"error": {"message": "busy"}}, status, {"Retry-After": "7"})
        assert len(await adapter.embed(["x"])) == 1
        assert len(server.requests) == 2
    assert naps.taken == [7.0]


async def test_what_does_not_pass_is_given_up_after_three_tries() -> None:
    async with embedding_server() as server:
        for _ in range(3):
            server.answer({"error": {"message": "busy"}}, 503)
        failed = await failure_of(server, ["x"])
        assert len(server.requests) == 3
    assert failed.transient
    assert "busy" in str(failed)


async def test_what_cannot_pass_is_asked_once() -> None:
    async with embedding_server() as server:
        server.answer({"error": {"message": f"bad input for {KEY}"}}, 400)
        failed = await failure_of(server, ["x"])
        assert len(server.requests) == 1
    assert not failed.transient
    assert "bad input for ***" in str(failed)


async def test_an_upstream_without_embeddings_is_said() -> None:
    async with embedding_server() as server:
        server.answer({"error": "no"}, 404)
        assert "has no embeddings for model 'some-model'" in str(await failure_of(server, ["x"]))


async def test_an_upstream_that_is_not_there_is_transient() -> None:
    server = EmbeddingServer()
    server.url = "http://127.0.0.1:1/v1"
    failed = await failure_of(server, ["x"])
    assert failed.transient
    assert "cannot be reached" in str(failed)


NO_VECTORS: list[object] = [
    {"data": [{}]},
    {"data": [{"index": 0, "embedding": []}]},
    {"data": [{"index": 0, "embedding": [1, 2]}, {"index": 1, "embedding": [1]}]},
    {"data": [{"index": 0, "embedding": [1, 2]}]},
    {"data": [{"index": 0, "embedding": "%%%"}, {"index": 1, "embedding": "%%%"}]},
    {"data": [{"index": 0, "embedding": [1e300, 1]}, {"index": 1, "embedding": [1, 1]}]},
    {"error": "none"},
    "text",
]


@pytest.mark.parametrize("body", NO_VECTORS)
async def test_an_answer_that_is_no_set_of_vectors_is_refused(body: object) -> None:
    async with embedding_server() as server:
        server.answer(body)
        assert not (await failure_of(server, ["one", "two"])).transient


async def test_vectors_of_another_size_than_asked_for_are_refused() -> None:
    async with embedding_server() as server:
        server.answer({"data": [{"index": 0, "embedding": [1.0] * SIZE}]})
        assert f"have {SIZE} dimensions; 4 were asked for" in str(await failure_of(server, ["x"], 4))


async def test_the_failure_of_one_batch_is_the_failure_of_all() -> None:
    async with embedding_server() as server, embedder(server, batch_texts=1) as adapter:
        server.answer({"error": {"message": "bad"}}, 400)
        with pytest.raises(EmbeddingFailed, match="bad"):
            await adapter.embed(["one", "two", "three"])


async def test_a_reranker_scores_each_text() -> None:
    async with embedding_server() as server, reranker(server) as adapter:
        assert await adapter.rerank("a b", ["x", "a b", "a"]) == [0, 1, 0.5]
        assert server.requests[0] == {"model": "judge", "query": "a b", "documents": ["x", "a b", "a"], "top_n": 3}
        assert await adapter.rerank("a b", []) == []


async def test_a_rerankers_logits_are_brought_between_zero_and_one() -> None:
    async with embedding_server() as server, reranker(server) as adapter:
        server.answer({"results": [{"index": 1, "score": -3.0}, {"index": 0, "score": 4.0}]})
        scores = await adapter.rerank("q", ["one", "two"])
    assert scores == [pytest.approx(1 / (1 + math.exp(-4))), pytest.approx(1 / (1 + math.exp(3)))]


@pytest.mark.parametrize(
    "body", [{"results": []}, {"results": [{"index": 5, "score": 1}]}, {"no": 1}, {"results": [{"index": "a"}]}]
)
async def test_a_reranker_that_does_not_judge_every_text_failed(body: object) -> None:
    async with embedding_server() as server, reranker(server) as adapter:
        server.answer(body)
        with pytest.raises(EmbeddingFailed):
            await adapter.rerank("q", ["one"])
