"""Short questions to an upstream, one JSON answer each: embeddings and reranking. Asked again where that may help."""

import asyncio
import logging

import aiohttp

from threadmill.adapters.models.upstream.connection import MAX_ERROR_BYTES, Connection, read_bounded
from threadmill.adapters.models.upstream.retry import RetryPolicy
from threadmill.adapters.models.upstream.settings import UpstreamSettings
from threadmill.adapters.models.upstream.upstream_error import TransientError, parse_error, to_model_error
from threadmill.domain.outcome import ErrorCode
from threadmill.engine.ports.embedder import EmbeddingFailed
from threadmill.engine.ports.model import ModelError

LOG = logging.getLogger("threadmill.models")

MAX_ANSWER = 256 * 1024 * 1024
"""Bytes of an answer that are read: 2,048 vectors of 4,096 numbers, written out, are 180 MB."""


class UpstreamJsonClient:
    """Questions to one upstream; each is asked up to `timeouts.attempts` times, which share no state."""

    def __init__(self, settings: UpstreamSettings, retry_policy: RetryPolicy | None = None) -> None:
        self._settings: UpstreamSettings = settings
        self._retry_policy: RetryPolicy = retry_policy or RetryPolicy()
        self._connection: Connection = Connection(settings)

    async def post_json(self, path: str, body: bytes, model: str) -> bytes:
        """The answer's body. Raises EmbeddingFailed, its words free of this upstream's secrets."""
        attempt = 1
        while True:
            try:
                return await self._attempt(path, body, model)
            except ModelError as error:
                message = self._settings.redact(error.message)
                if not isinstance(error, TransientError):
                    raise EmbeddingFailed(message) from None
                if attempt >= self._settings.timeouts.attempts:
                    raise EmbeddingFailed(message, transient=True) from None
                pause = self._retry_policy.backoff(attempt, error.after)
            LOG.warning("%s Asking again in %.1f s.", message, pause)
            await self._retry_policy.sleep(pause)
            attempt += 1

    async def aclose(self) -> None:
        """Close all connections."""
        await self._connection.aclose()

    async def _attempt(self, path: str, body: bytes, model: str) -> bytes:
        seconds = self._settings.timeouts.whole
        response = await self._connection.post(path, body, seconds)
        try:
            if response.status >= 300:
                raise await self._failure(response, path, model)
            async with asyncio.timeout(seconds):
                return await read_bounded(response, MAX_ANSWER)
        except (TimeoutError, aiohttp.ClientError, OSError):
            text = f"The upstream '{self._settings.name}' broke off its answer."
            raise TransientError(ErrorCode.SERVER_ERROR, text) from None
        finally:
            # What is not read to its end cannot be used again.
            response.release()

    async def _failure(self, response: aiohttp.ClientResponse, path: str, model: str) -> ModelError:
        async with asyncio.timeout(self._settings.timeouts.ready):
            complaint = parse_error(await read_bounded(response, MAX_ERROR_BYTES), response.status)
        if response.status == 404:
            text = f"The upstream '{self._settings.name}' has no {path} for model '{model}'."
            return ModelError(ErrorCode.SERVER_ERROR, text)
        return to_model_error(
            complaint, model, self._retry_policy.parse_retry_after(response.headers.get("Retry-After"))
        )
