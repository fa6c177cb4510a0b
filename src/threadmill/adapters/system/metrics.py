"""The Metrics port on prometheus-client, with a registry of its own: nothing global."""

from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from threadmill.domain.outcome import ErrorCode, Usage
from threadmill.domain.run import RunStatus

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)


class PrometheusMetrics:
    """Counts what the engine tells; `/metrics` shows it."""

    def __init__(self) -> None:
        self.registry: CollectorRegistry = CollectorRegistry()
        self._runs = Counter("threadmill_runs", "Runs that came to a status.", ["status"], registry=self.registry)
        self._waited = Histogram(
            "threadmill_run_queue_seconds", "From queued to a worker.", buckets=_SECONDS, registry=self.registry
        )
        self._first = Histogram(
            "threadmill_model_first_piece_seconds",
            "From asking the model to its first piece.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._tokens = Counter("threadmill_tokens", "Tokens spent.", ["kind"], registry=self.registry)
        self._failures = Counter(
            "threadmill_upstream_errors", "Turns ended by an upstream error.", ["code"], registry=self.registry
        )
        self._caches = Gauge(
            "threadmill_cache_bytes", "Kept in memory after the request it served.", ["cache"], registry=self.registry
        )
        self._cache_sizes: Callable[[], Mapping[str, int]] = dict
        self._slots = Gauge(
            "threadmill_upstream_requests",
            "Requests to an upstream with max_concurrent.",
            ["upstream", "state"],
            registry=self.registry,
        )
        self._passed_on = Counter(
            "threadmill_passed_on", "Calls passed on to an upstream.", ["path", "status"], registry=self.registry
        )

    def run_status_changed(self, status: RunStatus) -> None:
        """See the port."""
        self._runs.labels(status).inc()

    def queue_time(self, seconds: float) -> None:
        """See the port."""
        self._waited.observe(seconds)

    def time_to_first_token(self, seconds: float) -> None:
        """See the port."""
        self._first.observe(seconds)

    def tokens_used(self, usage: Usage) -> None:
        """See the port."""
        self._tokens.labels("prompt").inc(usage.prompt_tokens)
        self._tokens.labels("completion").inc(usage.completion_tokens)

    def upstream_slots(self, upstream: str, answering: int, waiting: int) -> None:
        """See the port."""
        self._slots.labels(upstream, "answering").set(answering)
        self._slots.labels(upstream, "waiting").set(waiting)

    def call_passed_on(self, path: str, status: int) -> None:
        """See the port."""
        self._passed_on.labels(path, str(status)).inc()

    def upstream_error(self, code: ErrorCode) -> None:
        """See the port."""
        self._failures.labels(code).inc()

    def watch_caches(self, sizes: Callable[[], Mapping[str, int]]) -> None:
        """Show what `sizes` says whenever somebody looks: bytes of each cache."""
        self._cache_sizes = sizes

    def text(self) -> bytes:
        """Everything counted, in Prometheus' text format."""
        for name, size in self._cache_sizes().items():
            self._caches.labels(name).set(size)
        return generate_latest(self.registry)
