"""Context windows of well-known model families, in tokens, for prompts that must be fitted before they are sent."""

from collections.abc import Mapping
from functools import lru_cache

_FAMILIES: tuple[tuple[str, int], ...] = (
    ("gpt-5", 400_000),
    ("gpt-4.1", 1_047_576),
    ("gpt-4.5", 128_000),
    ("gpt-4o", 128_000),
    ("chatgpt-4o", 128_000),
    ("gpt-4-turbo", 128_000),
    ("gpt-4-1106", 128_000),
    ("gpt-4-0125", 128_000),
    ("gpt-4-vision", 128_000),
    ("gpt-4-32k", 32_768),
    ("gpt-4", 8_192),
    ("gpt-3.5-turbo-instruct", 4_096),
    ("gpt-3.5-turbo", 16_385),
    ("gpt-35-turbo", 16_385),
    ("o1-mini", 128_000),
    ("o1-preview", 128_000),
    ("o1", 200_000),
    ("o3", 200_000),
    ("o4-mini", 200_000),
    ("gpt-oss", 131_072),
    ("claude-", 200_000),
    ("gemini-", 1_048_576),
    ("deepseek-", 65_536),
    ("mistral-large", 131_072),
    ("llama-3.1", 131_072),
    ("llama-3.3", 131_072),
)
"""Name prefix -> window. The longest matching prefix counts. A guess too small costs history, one too large a retry."""


def context_window_of(model: str, known: Mapping[str, int]) -> int | None:
    """The window of `model`: `known` wins, by full name; then the family; None if neither knows."""
    if model in known:
        return known[model]
    return _window_of_family(model)


@lru_cache(1_024)
def _window_of_family(model: str) -> int | None:
    """Asked twice in every run."""
    name = model.removeprefix("ft:").rpartition("/")[2].lower()
    matches = [(len(prefix), window) for prefix, window in _FAMILIES if _is_of(name, prefix)]
    return max(matches)[1] if matches else None


def _is_of(name: str, prefix: str) -> bool:
    """`o1` is o1 and o1-2024-12-17, never o10; `gpt-4` is not gpt-40."""
    if not name.startswith(prefix):
        return False
    rest = name.removeprefix(prefix)
    return not rest or prefix.endswith("-") or not rest[0].isalnum()
