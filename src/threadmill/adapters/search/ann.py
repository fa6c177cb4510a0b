"""Nearness in large stores: an HNSW graph by usearch over the vectors, from so many on.

The graph is a cache of a cache. It grows in the background and may lag: rows it does not cover yet are compared exactly,
and so is everything while it is young. What is on disk may be old; `_indexed` says of each row whose vector was added.
"""

import threading
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from threadmill.adapters.search.vectors import Floats, nearest

SLICE = 256
"""Vectors added at once; searches in the same store wait for so long, about a tenth of a second."""

MAX_UNINDEXED_SHARE = 0.2
"""Of the vectors: how many may be uncovered before the exact search of them all is the better choice."""

OVERFETCH = 4
"""How many more hits are asked of the graph than are wanted, for some are of files gone or filtered out."""

SAVE_SHARE = 0.05
"""Of the vectors: how many changes are worth writing the graph to disk."""


class AnnGraph:
    """The graph of the store in `directory`, in use from `ann_threshold` vectors on."""

    def __init__(self, directory: Path, ann_threshold: int) -> None:
        self._path: Path = directory / "near.usearch"
        self._indexed_path: Path = directory / "near.npy"
        self._ann_threshold: int = ann_threshold
        self._lock: threading.Lock = threading.Lock()
        self._graph: Any = None  # usearch's own hints leave half of it unknown
        self._indexed: npt.NDArray[np.int32] = np.zeros(0, np.int32)
        self._unsaved: int = 0
        self._loaded: bool = False

    def reset(self) -> None:
        """The vectors are no longer those the graph was made of."""
        with self._lock:
            self._graph, self._indexed, self._unsaved, self._loaded = None, np.zeros(0, np.int32), 0, True
        self._path.unlink(missing_ok=True)
        self._indexed_path.unlink(missing_ok=True)

    def add_slice(
        self, matrix: Floats, generation_of_row: npt.NDArray[np.int32], has_vector: npt.NDArray[np.bool_]
    ) -> bool:
        """Add a slice of the vectors that are missing; False when none is, or the store is not large."""
        if int(has_vector.sum()) < self._ann_threshold:
            return False
        self._load(matrix.shape[1])
        self._grow(len(generation_of_row))
        rows = np.flatnonzero(has_vector & (self._indexed != generation_of_row))[:SLICE]
        if not len(rows):
            self._save_if_worth(int(has_vector.sum()))
            return False
        with self._lock:
            if len(stale := rows[self._indexed[rows] != 0]):
                self._graph.remove(stale)
            self._graph.add(rows, matrix[rows], threads=1)
            self._indexed[rows] = generation_of_row[rows]
        self._unsaved += len(rows)
        return True

    def nearest(
        self,
        matrix: Floats,
        generation_of_row: npt.NDArray[np.int32],
        question: Floats,
        wanted: npt.NDArray[np.bool_],
        depth: int,
    ) -> list[tuple[int, float]] | None:
        """The `depth` nearest of the wanted rows; None where the exact search is right or better."""
        count = int(np.count_nonzero(wanted))
        if self._graph is None or count < self._ann_threshold:
            return None
        covered = np.zeros(len(generation_of_row), np.bool_)
        known = min(len(generation_of_row), len(self._indexed))
        covered[:known] = self._indexed[:known] == generation_of_row[:known]
        tail = wanted & ~covered
        if int(np.count_nonzero(tail)) > MAX_UNINDEXED_SHARE * count:
            return None
        with self._lock:
            found = self._graph.search(question, depth * OVERFETCH, threads=1)
        keys = found.keys.astype(np.int64)
        keys = keys[keys < len(generation_of_row)]
        keys = keys[wanted[keys] & covered[keys]]
        if len(keys) < depth:
            return None
        # The graph keeps half floats; the score is the exact one.
        exact = zip(keys.tolist(), (matrix[keys] @ question).tolist(), strict=True)
        both = [*exact, *nearest(matrix, question, tail, depth)]
        return sorted((hit for hit in both if hit[1] > 0), key=lambda hit: -hit[1])[:depth]

    def save(self) -> None:
        """Write the graph down if it has changed."""
        if self._graph is None or not self._unsaved:
            return
        fresh = self._path.with_suffix(".new")
        with self._lock:
            # First the old coverage goes: a graph without one is not used, a graph with a wrong one would be.
            self._indexed_path.unlink(missing_ok=True)
            self._graph.save(str(fresh))
            fresh.replace(self._path)
            np.save(self._indexed_path, self._indexed)
        self._unsaved = 0

    def _save_if_worth(self, count: int) -> None:
        if self._unsaved > SAVE_SHARE * count:
            self.save()

    def _grow(self, rows: int) -> None:
        if rows > len(self._indexed):
            self._indexed = np.pad(self._indexed, (0, rows - len(self._indexed)))

    def _load(self, dimensions: int) -> None:
        """Open the graph, or begin one. Imported here: usearch takes 0.2 s and is of no use to small stores."""
        if self._graph is not None:
            return
        with suppress(ImportError):
            import_module("onnxruntime")  # an extra; imported after usearch (2.26 and 1.31) it kills the process
        from usearch.index import Index  # noqa: PLC0415 - see above

        graph: Any = Index(ndim=dimensions, metric="cos", dtype="f16")
        if not self._loaded:
            self._indexed = self._read(graph, dimensions)
        self._graph, self._loaded = graph, True

    def _read(self, graph: Any, dimensions: int) -> npt.NDArray[np.int32]:
        """What the graph on disk covers, after loading it into `graph`; nothing if it is lost or broken."""
        try:
            covered = np.load(self._indexed_path, allow_pickle=False)
            graph.load(str(self._path))
            if graph.ndim == dimensions and covered.dtype == np.int32 and len(graph) == np.count_nonzero(covered):
                return covered
        except (OSError, ValueError, RuntimeError, EOFError):
            pass
        graph.reset()
        return np.zeros(0, np.int32)
