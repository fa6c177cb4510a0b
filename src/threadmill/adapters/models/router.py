"""All models behind one door: an alias becomes its name, the name finds its upstream, `rehearsal` is there if it is offered."""

import asyncio
import fnmatch
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from threadmill.adapters.models.context_windows import context_window_of
from threadmill.adapters.models.rehearsal.model import REHEARSAL, Rehearsal
from threadmill.adapters.models.upstream.openai_compatible import OpenAICompatible
from threadmill.domain.outcome import ErrorCode
from threadmill.engine.ports.model import ModelError, ModelInfo, ModelRequest, Piece

FIRST_LIST_SECONDS = 1.0
"""How long a list of models waits for an upstream that was never asked."""

EVERYTHING = "*"
"""The pattern of the default upstream: asked for what no other upstream's patterns name."""


@dataclass(frozen=True, slots=True)
class UpstreamRoute:
    """An upstream and the name patterns it serves (`*`, `?` and `[...]`, case counts); `passes_on` are the paths that may
    be passed on to it, patterns too.
    """

    upstream: OpenAICompatible
    patterns: tuple[str, ...] = (EVERYTHING,)
    passes_on: tuple[str, ...] = (EVERYTHING,)


@dataclass(frozen=True, slots=True)
class ModelAliases:
    """What is known about names: aliases (a name or a pattern -> the model meant) and context windows in tokens."""

    aliases: Mapping[str, str] = field(default_factory=dict[str, str])
    windows: Mapping[str, int] = field(default_factory=dict[str, int])

    def pattern_for(self, name: str) -> str | None:
        """The longest pattern that fits a name."""
        return max(
            (one for one in self.aliases if is_pattern(one) and fnmatch.fnmatchcase(name, one)), key=len, default=None
        )


class ModelRouter:
    """The Model port over several upstreams. Of two upstreams that serve a name the first is asked; an alias of exactly
    that name wins over an upstream's own model, which wins over a pattern; none can take `rehearsal`. Without `rehearsal` that name is like any.
    """

    def __init__(
        self, routes: Sequence[UpstreamRoute], rehearsal: Rehearsal | None, names: ModelAliases | None = None
    ) -> None:
        self._routes: Sequence[UpstreamRoute] = routes
        self._rehearsal: Rehearsal | None = rehearsal
        self._names: ModelAliases = names or ModelAliases()

    @property
    def rehearsal(self) -> Rehearsal | None:
        """The built-in model, if it is offered."""
        return self._rehearsal

    @property
    def routes(self) -> Sequence[UpstreamRoute]:
        """The upstreams, in the configuration's order."""
        return self._routes

    @property
    def aliased(self) -> Sequence[str]:
        """The models that aliases mean."""
        return tuple(dict.fromkeys(self._names.aliases.values()))

    def serves(self, route: UpstreamRoute, name: str) -> bool:
        """Whether a model of that name is asked for there."""
        return self._upstream_for(name) is route.upstream

    def stream(self, request: ModelRequest) -> AsyncGenerator[Sequence[Piece], None]:
        """See the port. A name nobody serves raises ModelError with what to do about it.

        The upstream's own generator is handed out: one more in between would be paid for with every piece.
        """
        if self._pattern_of(request.model) is not None and not self._is_listed():
            return self._stream_when_listed(request)
        return self._stream(request)

    def _stream(self, request: ModelRequest) -> AsyncGenerator[Sequence[Piece], None]:
        name = self._resolve_alias(request.model)
        model = self._upstream_for(name)
        if model is None:
            return _refused(self._unknown(request.model))
        return model.stream(replace(request, model=name))

    async def _stream_when_listed(self, request: ModelRequest) -> AsyncGenerator[Sequence[Piece], None]:
        """Before the first list nobody knows whether a pattern hides a model that is there."""
        await self.learn_names()
        async with aclosing(self._stream(request)) as batches:
            async for batch in batches:
                yield batch

    async def learn_names(self) -> None:
        """Ask every upstream for its models, so that a pattern does not hide one. One that did not answer has none."""
        await asyncio.gather(*(route.upstream.last_listed() for route in self._routes))

    async def find(self, name: str | None) -> tuple[UpstreamRoute | None, str | None]:
        """The route that a call naming `name` takes, None for the built-in model; and what the name means there.

        Without a name it is the default's. Raises ModelError where no upstream serves it.
        """
        if name is not None and self._pattern_of(name) is not None and not self._is_listed():
            await self.learn_names()
        meant = None if name is None else self._resolve_alias(name)
        if meant is not None and self._is_rehearsal(meant):
            return None, meant
        if (route := self._route_for(meant)) is None:
            raise ModelError(ErrorCode.SERVER_ERROR, self._unknown(name or "none"))
        return route, meant

    async def list(self) -> Sequence[ModelInfo]:
        """Rehearsal, the models the upstreams said they have, and the aliases. One that never answered adds none."""
        found = {info.id: info for info in (await self._rehearsal.list() if self._rehearsal else ())}
        for listed in await asyncio.gather(*(self._listed(route) for route in self._routes)):
            for info in listed:
                found.setdefault(info.id, info)
        found |= {
            alias: self.get_info(alias)
            for alias in self._names.aliases
            if not (is_pattern(alias) or self._is_rehearsal(alias))
        }
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

    async def check_upstreams(self) -> None:
        """Ask each upstream once; the log says which cannot be reached or refuses the key. Raises nothing."""
        await self.learn_names()

    async def aclose(self) -> None:
        """Close all connections to all upstreams."""
        await asyncio.gather(*(route.upstream.aclose() for route in self._routes))

    def _resolve_alias(self, name: str) -> str:
        if self._is_rehearsal(name):
            return name
        if (meant := self._names.aliases.get(name)) is not None:
            return meant
        pattern = self._pattern_of(name)
        return name if pattern is None or self._has_own(name) else self._names.aliases[pattern]

    def _pattern_of(self, name: str) -> str | None:
        """The pattern that decides about a name, if nothing more exact does."""
        if self._is_rehearsal(name) or name in self._names.aliases:
            return None
        return self._names.pattern_for(name)

    def _is_listed(self) -> bool:
        return all(route.upstream.is_listed for route in self._routes)

    def _has_own(self, name: str) -> bool:
        """Whether an upstream lists a model of that name, or its patterns name it."""
        return any(_serves(route, name) or route.upstream.has(name) for route in self._routes)

    def _upstream_for(self, name: str) -> OpenAICompatible | Rehearsal | None:
        if self._is_rehearsal(name):
            return self._rehearsal
        route = self._route_for(name)
        return None if route is None else route.upstream

    def _route_for(self, name: str | None) -> UpstreamRoute | None:
        named = (route for route in self._routes if name is not None and _serves(route, name))
        default = (route for route in self._routes if EVERYTHING in route.patterns)
        first = iter(self._routes if name is None else ())
        return next(named, None) or next(default, None) or next(first, None)

    def _is_rehearsal(self, name: str) -> bool:
        return name == REHEARSAL and self._rehearsal is not None

    async def _listed(self, route: UpstreamRoute) -> Sequence[ModelInfo]:
        """An upstream's models as far as their names lead to it."""
        listed = await route.upstream.last_listed(FIRST_LIST_SECONDS)
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


def is_pattern(alias: str) -> bool:
    """Whether an alias stands for more names than one."""
    return any(sign in alias for sign in "*?[")


def _serves(route: UpstreamRoute, name: str) -> bool:
    return any(pattern != EVERYTHING and fnmatch.fnmatchcase(name, pattern) for pattern in route.patterns)


async def _refused(text: str) -> AsyncGenerator[Sequence[Piece], None]:
    """A stream that fails with `text`."""
    raise ModelError(ErrorCode.SERVER_ERROR, text)
    yield []
