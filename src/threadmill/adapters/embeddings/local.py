"""The Embedder port on a sentence-transformers model in ONNX form, such as all-MiniLM-L6-v2: no torch, no network.

The folder is the operator's: `tokenizer.json`, and `model.onnx` there or in `onnx/`, as they lie on the model's page.
"""

import asyncio
import hashlib
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from threadmill.engine.ports.embedder import EmbeddingFailed, Vector

WINDOW = 256
"""Tokens MiniLM was made for. A longer text is embedded window by window, and its vector is their mean."""

BATCH = 16
"""Windows run at once."""

NICENESS = 10
"""Of the threads that compute."""

SENTENCES = (
    ("How do I reset my password?", "I forgot the login and cannot get in.", "How do I bake my bread?"),
    ("The cat sleeps on the sofa.", "A kitten naps upon that couch.", "The committee votes on the budget."),
    ("She was hired by a hospital.", "He works as a doctor in one clinic.", "She was fined by a court."),
    ("Prices rose sharply last year.", "Inflation has been high for twelve months.", "Roses bloomed early last year."),
)
"""A sentence, one that means nearly the same in other words, and one of the same words that means something else."""

MOST_WRONG = 1
"""Of these a sound model may have wrong."""

Floats = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.int64]


class LocalEmbedder:
    """Tens of windows a second and core with MiniLM: for small stores. Uses the cores that nobody else wants."""

    def __init__(self, folder: Path) -> None:
        """Load. Raises EmbeddingFailed, with a line for the operator, when the extra or the files are missing."""
        try:
            # By name: an extra, whose hints leave half of it unknown.
            runtime: Any = import_module("onnxruntime")
            tokenizers: Any = import_module("tokenizers")
        except ImportError:
            text = "Local embeddings need the extra: pip install 'threadmill[local-embeddings]'."
            raise EmbeddingFailed(text) from None
        path = next((one for one in (folder / "model.onnx", folder / "onnx" / "model.onnx") if one.is_file()), None)
        if path is None or not (folder / "tokenizer.json").is_file():
            raise EmbeddingFailed(f"{folder} lacks tokenizer.json or model.onnx; see docs/reference/search.md.")
        self._thread: ThreadPoolExecutor = ThreadPoolExecutor(1, "embed", initializer=_give_way)
        try:
            # Made there, so that the threads it starts give way too.
            self._session: Any = self._thread.submit(_session, runtime, path).result()
            self._tokenizer: Any = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
        except Exception as error:
            self._thread.shutdown(wait=False)
            raise EmbeddingFailed(f"The model in {folder} cannot be loaded: {error}") from error
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._inputs: frozenset[str] = frozenset(one.name for one in self._session.get_inputs())
        self._identity: str = f"local:{folder.name}:{_fingerprint(path)}"

    def check(self) -> None:
        """Embed a few known sentences, a moment's work. Raises EmbeddingFailed where meaning does not decide.

        A wrong export (other inputs, another layer, a foreign tokenizer) gives vectors of the right size and no error.
        """
        try:
            wrong = sum(not self._ranks_rightly(three) for three in SENTENCES)
        except Exception as error:
            raise EmbeddingFailed(f"The local model failed: {error}") from error
        if wrong > MOST_WRONG:
            text = (
                f"the model has {wrong} of {len(SENTENCES)} known pairs of sentences wrong, so its vectors mean nothing"
            )
            raise EmbeddingFailed(
                f"{self._identity}: {text}. Is it an export for sentence embeddings, with its own tokenizer?"
            )

    def _ranks_rightly(self, three: Sequence[str]) -> bool:
        one, near, far = self._means([ids for _, ids in self._windows(three)])
        return bool(one @ near > one @ far)

    @property
    def identity(self) -> str:
        """See the port: the folder's name and the model file's fingerprint."""
        return self._identity

    async def embed(self, texts: Sequence[str]) -> Sequence[Vector]:
        """See the port. Batches of several callers take turns, so that a question waits for one batch only."""
        windows: list[tuple[int, Sequence[int]]] = await self._run(self._windows, texts)
        windows.sort(key=lambda window: len(window[1]))  # a batch is as wide as its longest
        total: Floats | None = None
        for start in range(0, len(windows), BATCH):
            batch = windows[start : start + BATCH]
            means = await self._run(self._means, [ids for _, ids in batch])
            total = np.zeros((len(texts), means.shape[1]), np.float32) if total is None else total
            for (place, ids), mean in zip(batch, means, strict=True):
                total[place] += mean * len(ids)
        if total is None:
            return []
        lengths = np.linalg.norm(total, axis=1, keepdims=True)
        return [row.astype("<f4").tobytes() for row in total / np.where(lengths > 0, lengths, 1)]

    async def aclose(self) -> None:
        """See the port."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _run(self, call: Any, argument: Any) -> Any:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, call, argument)
        except Exception as error:
            raise EmbeddingFailed(f"The local model failed: {error}") from error

    def _windows(self, texts: Sequence[str]) -> list[tuple[int, Sequence[int]]]:
        """The place of each text and the tokens of each of its windows."""
        frame: Sequence[int] = self._tokenizer.encode("").ids
        found: list[tuple[int, Sequence[int]]] = []
        for place, encoding in enumerate(self._tokenizer.encode_batch(list(texts), add_special_tokens=False)):
            found += [(place, ids) for ids in _cut(encoding.ids, frame)]
        return found

    def _means(self, windows: Sequence[Sequence[int]]) -> Floats:
        """The mean of the windows' token vectors."""
        longest = max(map(len, windows))
        ids: Numbers = np.zeros((len(windows), longest), np.int64)
        mask: Numbers = np.zeros_like(ids)
        for row, window in enumerate(windows):
            ids[row, : len(window)] = window
            mask[row, : len(window)] = 1
        given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        outputs: Any = self._session.run(None, {name: given[name] for name in self._inputs})
        weights = mask[:, :, None].astype(np.float32)
        means: Floats = (outputs[0] * weights).sum(axis=1) / weights.sum(axis=1)
        return means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), np.float32(1e-12))


def _give_way() -> None:
    """The calling thread works when nobody else does: deltas of streams go first."""
    if sys.platform == "linux":  # elsewhere this would be the whole process
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)


def _session(runtime: Any, path: Path) -> Any:
    options = runtime.SessionOptions()
    options.intra_op_num_threads = os.cpu_count() or 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # idle means idle
    return runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _cut(ids: Sequence[int], frame: Sequence[int]) -> Iterator[Sequence[int]]:
    """Windows of at most WINDOW tokens, each between the tokens that open and close a text, if the model has them."""
    opening, closing = list(frame[:1]), list(frame[1:2])
    size = WINDOW - len(opening) - len(closing)
    for start in range(0, max(1, len(ids)), size):
        yield [*opening, *ids[start : start + size], *closing] or [0]


def _fingerprint(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]
