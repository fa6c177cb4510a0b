"""A BERT encoder as an ONNX graph: token ids and their mask in, a vector for each token out."""

from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from tools.minilm.weights import Weights

HEADS, LAYERS, EPSILON = 12, 6, 1e-12
OPSET, IR = 20, 9
MASKED = -1e9
"""What a score of padding has added: nothing looks at it."""

make: Any = helper


class Graph:
    """Nodes in the order they run, and their constants. Each step gives the name of what it computes."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self._nodes: list[Any] = []
        self._constants: dict[str, Any] = {}

    def encoder(self) -> bytes:
        """The whole model, as `model.onnx` holds it."""
        at = self._embedded()
        bias = self._padding()
        for number in range(LAYERS):
            at = self._layer(f"encoder.layer.{number}", at, bias)
        self._nodes.append(make.make_node("Identity", [at], ["last_hidden_state"]))
        shape, size = ["batch", "tokens"], self._size
        inputs = [
            make.make_tensor_value_info(name, TensorProto.INT64, shape) for name in ("input_ids", "attention_mask")
        ]
        output = make.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, [*shape, size])
        held = [numpy_helper.from_array(value, name) for name, value in self._constants.items()]
        graph = make.make_graph(self._nodes, "encoder", inputs, [output], held)
        model = make.make_model(graph, opset_imports=[make.make_opsetid("", OPSET)], ir_version=IR)
        return model.SerializeToString()

    @property
    def _size(self) -> int:
        return self._weights["embeddings.word_embeddings.weight"].shape[1]

    def _constant(self, name: str, value: Any) -> str:
        self._constants[name] = np.asarray(value)
        return name

    def _run(self, kind: str, *inputs: str, **attributes: Any) -> str:
        name = f"{kind}_{len(self._nodes)}"
        self._nodes.append(make.make_node(kind, list(inputs), [name], **attributes))
        return name

    def _embedded(self) -> str:
        """Word, place and the type that texts without a second part have, together."""
        words = self._run("Gather", self._held("embeddings.word_embeddings.weight"), "input_ids")
        kind = self._weights["embeddings.token_type_embeddings.weight"][0]
        table = self._constant("places", self._weights["embeddings.position_embeddings.weight"] + kind)
        axis = self._constant("one", np.array([1], np.int64))
        count = self._run("Gather", self._run("Shape", "input_ids"), axis)
        places = self._run("Slice", table, self._constant("zero", np.array([0], np.int64)), count)
        return self._normal("embeddings.LayerNorm", self._run("Add", words, places))

    def _padding(self) -> str:
        mask = self._run("Cast", "attention_mask", to=TensorProto.FLOAT)
        away = self._run("Sub", self._constant("whole", np.float32(1)), mask)
        score = self._run("Mul", away, self._constant("masked", np.float32(MASKED)))
        return self._run("Unsqueeze", score, self._constant("axes", np.array([1, 2], np.int64)))

    def _layer(self, name: str, at: str, bias: str) -> str:
        mixed = self._dense(f"{name}.attention.output.dense", self._attention(f"{name}.attention.self", at, bias))
        at = self._normal(f"{name}.attention.output.LayerNorm", self._run("Add", at, mixed))
        wide = self._run("Gelu", self._dense(f"{name}.intermediate.dense", at))
        return self._normal(f"{name}.output.LayerNorm", self._run("Add", at, self._dense(f"{name}.output.dense", wide)))

    def _attention(self, name: str, at: str, bias: str) -> str:
        query, key = self._heads(f"{name}.query", at, [0, 2, 1, 3]), self._heads(f"{name}.key", at, [0, 2, 3, 1])
        scale = self._constant("scale", np.float32((self._size // HEADS) ** -0.5))
        scores = self._run("Add", self._run("Mul", self._run("MatMul", query, key), scale), bias)
        weighed = self._run(
            "MatMul", self._run("Softmax", scores, axis=-1), self._heads(f"{name}.value", at, [0, 2, 1, 3])
        )
        joined = self._constant("joined", np.array([0, 0, self._size], np.int64))
        return self._run("Reshape", self._run("Transpose", weighed, perm=[0, 2, 1, 3]), joined)

    def _heads(self, name: str, at: str, order: list[int]) -> str:
        parted = self._constant("parted", np.array([0, 0, HEADS, self._size // HEADS], np.int64))
        return self._run("Transpose", self._run("Reshape", self._dense(name, at), parted), perm=order)

    def _dense(self, name: str, at: str) -> str:
        weight = self._constant(f"{name}.turned", self._weights[f"{name}.weight"].T.copy())
        return self._run("Add", self._run("MatMul", at, weight), self._held(f"{name}.bias"))

    def _normal(self, name: str, at: str) -> str:
        return self._run(
            "LayerNormalization", at, self._held(f"{name}.weight"), self._held(f"{name}.bias"), epsilon=EPSILON
        )

    def _held(self, name: str) -> str:
        return self._constant(name, self._weights[name])
