"""From settings to models: the one place that knows both shapes."""

from functools import partial

import msgspec

from threadmill.adapters.models.rehearsal.model import Rehearsal
from threadmill.adapters.models.router import EVERYTHING, ModelAliases, ModelRouter, UpstreamRoute
from threadmill.adapters.models.upstream.embeddings import UpstreamEmbedder
from threadmill.adapters.models.upstream.openai_compatible import OpenAICompatible
from threadmill.adapters.models.upstream.reranking import UpstreamReranker
from threadmill.adapters.models.upstream.settings import Timeouts, UpstreamSettings
from threadmill.engine.ports.metrics import Metrics
from threadmill.engine.ports.tokens import Tokens
from threadmill.settings import ConfigFile, UpstreamConfig


def open_models(config: ConfigFile, tokens: Tokens, metrics: Metrics) -> ModelRouter:
    """All models of the configuration. Nothing is connected yet; `aclose` what you got."""
    windows = {name: model.context_window for name, model in config.models.items()}
    routes = [
        UpstreamRoute(
            OpenAICompatible(_settings(one), windows, report_slots=partial(metrics.upstream_slots, one.name)),
            one.models,
            _passes_on(one.pass_through),
        )
        for one in config.upstreams
    ]
    rehearsal = Rehearsal(tokens) if config.rehearsal else None
    return ModelRouter(routes, rehearsal, ModelAliases(config.aliases, windows))


def _passes_on(setting: bool | tuple[str, ...]) -> tuple[str, ...]:  # noqa: FBT001 - as the file has it
    """The paths a setting names, what is below them too."""
    if isinstance(setting, bool):
        return (EVERYTHING,) if setting else ()
    return tuple(pattern for path in setting for pattern in (path, f"{path.removesuffix('/*')}/*"))


def open_upstream_embedder(config: ConfigFile) -> UpstreamEmbedder | None:
    """The embedder an upstream serves, if one is named in the configuration. Nothing is connected yet."""
    search = config.search
    if search.embedding_model is None:
        return None
    upstream = _named(config, search.embedding_upstream)
    return UpstreamEmbedder(upstream, search.embedding_model, search.embedding_dimensions, search.embedding_batch)


def open_reranker(config: ConfigFile) -> UpstreamReranker | None:
    """Likewise the reranker."""
    search = config.search
    return (
        UpstreamReranker(_named(config, search.rerank_upstream), search.rerank_model) if search.rerank_model else None
    )


def _named(config: ConfigFile, name: str | None) -> UpstreamSettings:
    """The upstream of that name; unnamed, the one that is the models' default."""
    upstreams = config.upstreams
    default = next((one for one in upstreams if "*" in one.models), upstreams[0])
    return _settings(next((one for one in upstreams if one.name == name), default))


def _settings(upstream: UpstreamConfig) -> UpstreamSettings:
    timeouts = Timeouts(
        upstream.connect_seconds,
        upstream.first_token_seconds,
        upstream.between_tokens_seconds,
        keepalive=upstream.keepalive_seconds,
    )
    return UpstreamSettings(
        base_url=upstream.base_url,
        name=upstream.name,
        api_key=upstream.api_key,
        headers=upstream.headers,
        api_key_header=upstream.api_key_header,
        ca_file=upstream.ca_file,
        timeouts=timeouts,
        max_tokens_field=upstream.max_tokens_field,
        system_role=upstream.system_role,
        # What an operator adds stands for our own member of that name.
        omit=frozenset(upstream.omit) | frozenset(upstream.extra_body),
        extra_body=msgspec.json.encode(upstream.extra_body),
        max_concurrent=upstream.max_concurrent,
        reasoning=upstream.reasoning,
    )
