"""`make minilm`: the graph it writes computes what a BERT encoder computes."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as runtime  # pyright: ignore[reportMissingTypeStubs] - has none

from tools.minilm.graph import HEADS, LAYERS, Graph
from tools.minilm.weights import Weights, read_weights

SIZE, WIDE, WORDS, PLACES = 24, 48, 11, 8
random = np.random.default_rng(3)


def some(*shape: int) -> Any:
    return random.standard_normal(shape).astype(np.float32)


def weights() -> Weights:
    found: Weights = {
        "embeddings.word_embeddings.weight": some(WORDS, SIZE),
        "embeddings.position_embeddings.weight": some(PLACES, SIZE),
        "embeddings.token_type_embeddings.weight": some(2, SIZE),
        **normal("embeddings.LayerNorm"),
    }
    for number in range(LAYERS):
        layer = f"encoder.layer.{number}"
        for part in ("query", "key", "value"):
            found |= dense(f"{layer}.attention.self.{part}", SIZE, SIZE)
        found |= dense(f"{layer}.attention.output.dense", SIZE, SIZE) | normal(f"{layer}.attention.output.LayerNorm")
        found |= dense(f"{layer}.intermediate.dense", WIDE, SIZE) | dense(f"{layer}.output.dense", SIZE, WIDE)
        found |= normal(f"{layer}.output.LayerNorm")
    return found


def dense(name: str, rows: int, columns: int) -> Weights:
    return {f"{name}.weight": some(rows, columns) / columns, f"{name}.bias": some(rows)}


def normal(name: str) -> Weights:
    return {f"{name}.weight": some(SIZE), f"{name}.bias": some(SIZE)}


def by_hand(held: Weights, tokens: list[int]) -> Any:
    """One text without padding, step by step."""

    def apply(name: str, at: Any) -> Any:
        return at @ held[f"{name}.weight"].T + held[f"{name}.bias"]

    def levelled(name: str, at: Any) -> Any:
        middle = at - at.mean(-1, keepdims=True)
        return middle / np.sqrt((middle**2).mean(-1, keepdims=True)) * held[f"{name}.weight"] + held[f"{name}.bias"]

    def gelu(at: Any) -> Any:
        return at * 0.5 * (1 + np.vectorize(math.erf)(at / math.sqrt(2)))

    at = (
        held["embeddings.word_embeddings.weight"][tokens] + held["embeddings.position_embeddings.weight"][: len(tokens)]
    )
    at = levelled("embeddings.LayerNorm", at + held["embeddings.token_type_embeddings.weight"][0])
    for number in range(LAYERS):
        layer = f"encoder.layer.{number}"
        parts = [apply(f"{layer}.attention.self.{part}", at) for part in ("query", "key", "value")]
        query, key, value = (part.reshape(len(tokens), HEADS, -1).swapaxes(0, 1) for part in parts)
        scores = np.exp(query @ key.swapaxes(1, 2) / math.sqrt(SIZE / HEADS))
        mixed = (scores / scores.sum(-1, keepdims=True) @ value).swapaxes(0, 1).reshape(len(tokens), SIZE)
        at = levelled(f"{layer}.attention.output.LayerNorm", at + apply(f"{layer}.attention.output.dense", mixed))
        wide = gelu(apply(f"{layer}.intermediate.dense", at))
        at = levelled(f"{layer}.output.LayerNorm", at + apply(f"{layer}.output.dense", wide))
    return at


def test_the_graph_computes_each_token_and_padding_changes_nothing(tmp_path: Path) -> None:
    held, path = weights(), tmp_path / "model.onnx"
    path.write_bytes(Graph(held).encoder())
    session: Any = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    texts = [[2, 5, 9, 3], [2, 7, 3, 0]]
    mask = np.array([[1, 1, 1, 1], [1, 1, 1, 0]])
    (found,) = session.run(None, {"input_ids": np.array(texts), "attention_mask": mask})
    assert np.allclose(found[0], by_hand(held, texts[0]), atol=1e-4)
    assert np.allclose(found[1][:3], by_hand(held, texts[1][:3]), atol=1e-4)


def test_weights_are_read_by_name() -> None:
    one, other = some(2, 3), some(4)
    header = json.dumps(
        {
            "__metadata__": {"format": "pt"},
            "one": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
            "places": {"dtype": "I64", "shape": [1], "data_offsets": [24, 32]},
            "other": {"dtype": "F32", "shape": [4], "data_offsets": [32, 48]},
        }
    ).encode()
    content = len(header).to_bytes(8, "little") + header + one.tobytes() + b"\0" * 8 + other.tobytes()
    found = read_weights(content)
    assert found.keys() == {"one", "other"}
    assert (found["one"] == one).all()
    assert (found["other"] == other).all()
