"""The list of models an upstream says it has."""

from collections.abc import Sequence

import msgspec

from threadmill.engine.ports.model import ModelInfo

MAX_MODELS = 1_000
MAX_BYTES = 4 * 1024 * 1024


class _Meta(msgspec.Struct):
    """`n_ctx` is a place's own, of what the server was started with; `n_ctx_train` the most the model could have."""

    n_ctx: int | None = None
    n_ctx_train: int | None = None


class _Entry(msgspec.Struct):
    """`id` and `created` are everybody's; how the context window is called is each server's own invention."""

    id: str
    created: float | None = None
    owned_by: str | None = None
    max_model_len: int | None = None  # vLLM
    context_length: int | None = None  # OpenRouter, Together
    context_window: int | None = None  # Groq
    meta: _Meta | None = None  # llama.cpp


class _Listing(msgspec.Struct):
    data: list[_Entry] = []


_decode = msgspec.json.Decoder(_Listing, strict=False).decode


def parse_model_list(body: bytes, upstream: str) -> Sequence[ModelInfo]:
    """The models of a `GET /models` answer, MAX_MODELS at most; none if it is not to be understood."""
    try:
        entries = _decode(body).data
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ()
    return tuple(_info(entry, upstream) for entry in entries[:MAX_MODELS])


def _info(entry: _Entry, upstream: str) -> ModelInfo:
    window = entry.max_model_len or entry.context_length or entry.context_window
    if window is None and entry.meta is not None:
        window = entry.meta.n_ctx or entry.meta.n_ctx_train
    return ModelInfo(entry.id, int(entry.created or 0), entry.owned_by or upstream, window)
