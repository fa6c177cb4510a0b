"""All models behind one door: aliases, then name patterns, then rehearsal."""

import fnmatch
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from threadmill.adapters.models.openai_compatible import OpenAICompatible
from threadmill.adapters.models.rehearsal import REHEARSAL, Rehearsal
from threadmill.domain.outcome import ErrorCode
from threadmill.engine.ports.model import ModelError, ModelInfo, ModelRequest, Piece

WINDOWS: tuple[tuple[str, int], ...] = (
    ("gpt-5*", 400_000),
    ("gpt-4.1*", 1_047_576),
    ("gpt-4o*", 128_000),
    ("gpt-4-turbo*", 128_000),
    ("gpt-4-*preview*", 128_000),
    ("gpt-4.5*", 128_000),
    ("gpt-4-32k*", 32_768),
    ("gpt-4*", 8_192),
    ("gpt-3.5-turbo*", 16_385),
    ("o1-mini*", 128_000),
    ("o1*", 200_000),
    ("o3*", 200_000),
    ("o4*", 200_000),
)
"""Context windows in tokens, first match wins; `threadmill.toml` may say otherwise."""


@dataclass(frozen=True, slots=True)
class Route:
    """An upstream and the name patterns it serves."""

    upstream: OpenAICompatible
    patterns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What is known about names: aliases (old name -> living one) and context windows in tokens."""

    aliases: Mapping[str, str] = field(default_factory=dict[str, str])
    windows: Mapping[str, int] = field(default_factory=dict[str, int])


class Models:
    """See the port `Model`."""

    def __init__(self, routes: Sequence[Route], rehearsal: Rehearsal, catalogue: Catalogue) -> None:
        self._routes: Sequence[Route] = routes
        self._rehearsal: Rehearsal = rehearsal
        self._catalogue: Catalogue = catalogue

    def _find(self, model: str) -> OpenAICompatible | Rehearsal:
        if model == REHEARSAL:
            return self._rehearsal
        for route in self._routes:
            if any(fnmatch.fnmatchcase(model, pattern) for pattern in route.patterns):
                return route.upstream
        if not self._routes:
            text = (
                f"The model '{model}' is not available: no upstream is set. Set THREADMILL_UPSTREAM_URL, "
                f"or use the built-in model '{REHEARSAL}'."
            )
        else:
            text = f"The model '{model}' is not served by any upstream in threadmill.toml."
        raise ModelError(ErrorCode.SERVER_ERROR, text)

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Sequence[Piece], None]:
        """See the port."""
        model = self._catalogue.aliases.get(request.model, request.model)
        generator = self._find(model).stream(replace(request, model=model))
        try:
            async for batch in generator:
                yield batch
        finally:
            await generator.aclose()

    async def list(self) -> Sequence[ModelInfo]:
        """See the port."""
        found = {info.id: info for info in await self._rehearsal.list()}
        for route in self._routes:
            found.update((info.id, info) for info in await route.upstream.list())
        for alias, name in self._catalogue.aliases.items():
            found.setdefault(alias, replace(found.get(name, ModelInfo(name, 0, "alias")), id=alias))
        return list(found.values())

    def describe(self, model: str) -> ModelInfo:
        """See the port."""
        name = self._catalogue.aliases.get(model, model)
        window = self._catalogue.windows.get(model) or self._catalogue.windows.get(name)
        if window is None:
            window = next((size for pattern, size in WINDOWS if fnmatch.fnmatchcase(name, pattern)), None)
        return ModelInfo(name, 0, "", window)

    async def ready(self) -> None:
        """See the port: every upstream answers."""
        for route in self._routes:
            await route.upstream.ready()

    async def close(self) -> None:
        """Close the upstreams' connections."""
        for route in self._routes:
            await route.upstream.close()
