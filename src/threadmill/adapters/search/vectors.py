"""The nearness half of a store's index: vectors of length 1 in a file of rows, compared exactly by numpy."""

import os
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float32]
Rows: TypeAlias = npt.NDArray[np.int64]

GATHER_BELOW = 0.25
"""Share of the rows below which picking them out first is faster than scoring all and masking."""


class Vectors:
    """Rows of `dimensions` numbers in the file at `path`; rows never written are zero, which is near to nothing."""

    def __init__(self, path: Path, dimensions: int, row_count: int) -> None:
        """Map the file, made longer if need be. Raises OSError."""
        self._path: Path = path
        self.dimensions: int = dimensions
        with path.open("ab"):
            pass
        if path.stat().st_size < row_count * dimensions * 4:
            os.truncate(path, row_count * dimensions * 4)
        empty = np.zeros((0, dimensions), np.float32)
        self.matrix: Floats = (
            np.memmap(path, np.float32, "r", shape=(row_count, dimensions)) if row_count and dimensions else empty
        )

    def write(self, runs: Sequence[tuple[int, int]], vectors: Sequence[bytes]) -> int:
        """Put a file's vectors into its rows; their checksum."""
        data, at, width = b"".join(vectors), 0, self.dimensions * 4
        with self._path.open("r+b") as file:
            for start, length in runs:
                file.seek(start * width)
                file.write(data[at : at + length * width])
                at += length * width
        return zlib.crc32(data)

    def checksum(self, runs: Sequence[tuple[int, int]]) -> int:
        """The checksum of what is in those rows now."""
        found = 0
        for start, length in runs:
            found = zlib.crc32(np.ascontiguousarray(self.matrix[start : start + length]).data, found)
        return found


def nearest(matrix: Floats, question: Floats, wanted: npt.NDArray[np.bool_], depth: int) -> list[tuple[int, float]]:
    """The `depth` wanted rows with the greatest cosine above 0, best first."""
    rows = np.flatnonzero(wanted)
    if len(rows) < GATHER_BELOW * len(matrix):
        return best(rows, matrix[rows] @ question, depth)
    scores = matrix @ question
    if len(rows) < len(scores):
        scores[~wanted] = -1
    return best(None, scores, depth)


def best(rows: Rows | None, scores: Floats, depth: int) -> list[tuple[int, float]]:
    """The `depth` best rows above 0 and their scores; `rows` None: row n has score n."""
    top = np.argpartition(scores, -depth)[-depth:] if len(scores) > depth else np.arange(len(scores))
    top = top[np.argsort(-scores[top], kind="stable")]
    top = top[scores[top] > 0]
    found = top if rows is None else rows[top]
    return list(zip(found.tolist(), scores[top].tolist(), strict=True))
