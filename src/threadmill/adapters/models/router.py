"""All models behind one door: an alias becomes its name, the name finds its upstream, `rehearsal` is there if it is offered."""

import asyncio
import fnmatch
import logging
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from threadmill.adapters.models.context_windows import context_window_of
from threadmill.adapters.models.rehearsal.model import REHEARSAL, Rehearsal
from threadmill.adapters.models.upstream.openai_compatible import OpenAICompatible
from threadmill.domain.outcome import ErrorCode
from threadmill.engine.ports.model import ModelError, ModelInfo, ModelRequest, Piece

LOG = logging.getLogger("threadmill.models")

EVERYTHING = "*"
"""The pattern of the default upstream: asked for what no other upstream's patterns name."""


@dataclass(frozen=True, slots=True)
class UpstreamRoute:
    """An upstream and the name patterns it serves (`*`, `?` and `[...]`, case counts)."""

    upstream: OpenAICompatible
    patterns: tuple[str, ...] = (EVERYTHING,)


@dataclass(frozen=True, slots=True)
class ModelAliases:
    """What is known about names: aliases (retired name -> living one) and context windows in tokens."""

    aliases: Mapping[str, str] = field(default_factory=dict[str, str])
    windows: Mapping[str, int] = field(default_factory=dict[str, int])


class ModelRouter:
    """The Model port over several upstreams. Of two upstreams that serve a name the first is asked; an alias wins
    over an upstream's own model of that name, and cannot take `rehearsal`. Without `rehearsal` that name is like any.
    """

    def __init__(
        self, routes: Sequence[UpstreamRoute], rehearsal: Rehearsal | None, names: ModelAliases | None = None
    ) -> None:
        self._routes: Sequence[UpstreamRoute] = routes
        self._rehearsal: Rehearsal | None = rehearsal
        self._names: ModelAliases = names or ModelAliases()

    def stream(self, request: ModelRequest) -> AsyncGenerator[Sequence[Piece], None]:
        """See the port. A name nobody serves raises ModelError with what to do about it.

        The upstream's own generator is handed out: one more in between would be paid for with every piece.
        """
        name = self._resolve_alias(request.model)
        model = self._upstream_for(name)
        if model is None:
            return _refused(self._unknown(request.model))
        return model.stream(replace(request, model=name))

    async def list(self) -> Sequence[ModelInfo]:
        """Rehearsal, the models the upstreams say they have, and the aliases. One that does not answer adds none."""
        found = {info.id: info for info in (await self._rehearsal.list() if self._rehearsal else ())}
        for listed in await asyncio.gather(*(self._listed(route) for route in self._routes)):
            for info in listed:
                found.setdefault(info.id, info)
        found |= {alias: self.get_info(alias) for alias in self._names.aliases if not self._is_rehearsal(alias)}
        return tuple(found.values())

    def get_info(self, model: str) -> ModelInfo:
        """See the port. An alias is described as the model it means."""
        name = self._resolve_alias(model)
        serving = self._upstream_for(name)
        if serving is None:
            return ModelInfo(model, 0, "unknown", context_window_of(name, self._names.windows))
        said = serving.get_info(name)
        windows = self._names.windows
        return replace(said, id=model, context_window=windows.get(model) or windows.get(name) or said.context_window)

    async def ready(self) -> None:
        """Every upstream answers. Raises the first ModelError."""
        await asyncio.gather(*(route.upstream.ready() for route in self._routes))

    async def aclose(self) -> None:
        """Close all connections to all upstreams."""
        await asyncio.gather(*(route.upstream.aclose() for route in self._routes))

    def _resolve_alias(self, name: str) -> str:
        return name if self._is_rehearsal(name) else self._names.aliases.get(name, name)

    def _upstream_for(self, name: str) -> OpenAICompatible | Rehearsal | None:
        if self._is_rehearsal(name):
            return self._rehearsal
        named = (route for route in self._routes if _serves(route, name))
        default = (route for route in self._routes if EVERYTHING in route.patterns)
        route = next(named, None) or next(default, None)
        return None if route is None else route.upstream

    def _is_rehearsal(self, name: str) -> bool:
        return name == REHEARSAL and self._rehearsal is not None

    async def _listed(self, route: UpstreamRoute) -> Sequence[ModelInfo]:
        """An upstream's models as far as their names lead to it."""
        try:
            listed = await route.upstream.list()
        except ModelError as error:
            LOG.warning("The models of an upstream are missing from the list: %s", error.message)
            return ()
        return [info for info in listed if self._upstream_for(info.id) is route.upstream]

    def _unknown(self, name: str) -> str:
        if not self._routes and self._rehearsal:
            return (
                f"The model '{name}' is not available: only '{REHEARSAL}' is, because this server has no upstream. "
                "Set THREADMILL_UPSTREAM_URL to the base URL of a Chat Completions server."
            )
        built_in = [REHEARSAL] if self._rehearsal else []
        served = ", ".join([*built_in, *(pattern for route in self._routes for pattern in route.patterns)])
        return f"The model '{name}' is served by no upstream; served are {served}."


def _serves(route: UpstreamRoute, name: str) -> bool:
    return any(pattern != EVERYTHING and fnmatch.fnmatchcase(name, pattern) for pattern in route.patterns)


async def _refused(text: str) -> AsyncGenerator[Sequence[Piece], None]:
    """A stream that fails with `text`."""
    raise ModelError(ErrorCode.SERVER_ERROR, text)
    yield []
