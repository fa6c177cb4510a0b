"""Embeddings on this machine, by a real ONNX model small enough to be checked by hand."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing

from threadmill.adapters.embeddings import local
from threadmill.adapters.embeddings.local import WINDOW, LocalEmbedder
from threadmill.engine.ports.embedder import EmbeddingFailed

WORDS = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "cat": 4, "dog": 5, "car": 6}
TABLE = np.random.default_rng(1).standard_normal((len(WORDS), 6)).astype(np.float32)


def _write_model(path: Path) -> None:
    """A model whose token vectors are rows of a table."""
    made: Any = helper
    shape = ["batch", "tokens"]
    inputs = [made.make_tensor_value_info(name, TensorProto.INT64, shape) for name in ("input_ids", "attention_mask")]
    output = made.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, [*shape, 6])
    nodes = [made.make_node("Gather", ["table", "input_ids"], ["last_hidden_state"])]
    graph = made.make_graph(nodes, "table", inputs, [output], [numpy_helper.from_array(TABLE, "table")])
    model = made.make_model(graph, opset_imports=[made.make_opsetid("", 17)], ir_version=9)
    path.write_bytes(model.SerializeToString())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("table-model")
    (found / "onnx").mkdir()
    _write_model(found / "onnx" / "model.onnx")
    tokenizer: Any = Tokenizer(WordLevel(WORDS, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    tokenizer.enable_truncation(128)
    tokenizer.save(str(found / "tokenizer.json"))
    return found


@pytest.fixture
async def embedder(folder: Path) -> AsyncIterator[LocalEmbedder]:
    found = LocalEmbedder(folder)
    yield found
    await found.aclose()


def unit(vector: Any) -> Any:
    return vector / np.linalg.norm(vector)


def mean_of(*words: str) -> Any:
    return unit(TABLE[[2, *(WORDS[word] for word in words), 3]].mean(axis=0))


async def test_a_text_is_the_mean_of_its_tokens_whatever_stands_beside_it(embedder: LocalEmbedder) -> None:
    vectors = [np.frombuffer(one, "<f4") for one in await embedder.embed(["cat", "cat dog car", ""])]
    for vector, wanted in zip(vectors, (mean_of("cat"), mean_of("cat", "dog", "car"), mean_of()), strict=True):
        assert np.allclose(vector, wanted, atol=1e-6)


async def test_a_model_that_ranks_known_sentences_wrongly_is_refused(
    embedder: LocalEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    near, far = sorted(("dog", "car"), key=lambda word: -float(mean_of("cat") @ mean_of(word)))
    monkeypatch.setattr(local, "SENTENCES", (("cat", near, far),) * 2)
    embedder.check()
    monkeypatch.setattr(local, "SENTENCES", (("cat", far, near),) * 2)
    with pytest.raises(EmbeddingFailed, match="2 of 2 known pairs of sentences wrong"):
        embedder.check()


async def test_all_of_a_long_text_counts(embedder: LocalEmbedder) -> None:
    size = WINDOW - 2
    [vector] = await embedder.embed([" ".join(["cat"] * size + ["dog"] * size)])
    wanted = unit(mean_of(*["cat"] * size) + mean_of(*["dog"] * size))
    assert np.allclose(np.frombuffer(vector, "<f4"), wanted, atol=1e-5)


async def test_many_texts_keep_their_order_also_side_by_side(embedder: LocalEmbedder) -> None:
    texts = ["cat", "dog", "car"] * 20
    one, other = await asyncio.gather(embedder.embed(texts), embedder.embed(texts[::-1]))
    assert list(one) == list(other)[::-1]
    assert one[:3] == (await embedder.embed(texts[:3]))
    assert await embedder.embed([]) == []


def test_the_model_names_its_space(folder: Path) -> None:
    assert LocalEmbedder(folder).identity.startswith(f"local:{folder.name}:")


def test_a_folder_without_a_model_is_said(tmp_path: Path) -> None:
    with pytest.raises(EmbeddingFailed, match=r"lacks tokenizer.json or model.onnx"):
        LocalEmbedder(tmp_path)


def test_a_broken_model_is_said(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{}")
    (tmp_path / "model.onnx").write_bytes(b"nothing")
    with pytest.raises(EmbeddingFailed, match="cannot be loaded"):
        LocalEmbedder(tmp_path)
