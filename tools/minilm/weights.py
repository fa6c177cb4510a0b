"""The weights of a safetensors file: a header in JSON that says where each array lies, then the arrays."""

import json
from typing import TypeAlias, cast

import numpy as np
import numpy.typing as npt

Weights: TypeAlias = dict[str, npt.NDArray[np.float32]]


def read_weights(content: bytes) -> Weights:
    """Every array of 32-bit floats, by name."""
    end = 8 + int.from_bytes(content[:8], "little")
    header = cast("dict[str, dict[str, object]]", json.loads(content[8:end]))
    found: Weights = {}
    for name, one in header.items():
        if one.get("dtype") == "F32":
            first, last = cast("list[int]", one["data_offsets"])
            values = np.frombuffer(content[end + first : end + last], "<f4")
            found[name] = values.reshape(cast("list[int]", one["shape"]))
    return found
