"""The settings of `[limits]` and `[retention]`: bounds of the engine, of connections and of time. Read by `settings.py`, which says all else."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class LimitConfig(BaseModel):
    """Bounds of the engine: seconds, turns, runs at once, messages of a thread, bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    run_ttl_seconds: Annotated[int, Field(ge=1)] = 600
    lease_seconds: Annotated[int, Field(ge=3)] = 30
    store_wait_seconds: Annotated[float, Field(ge=0)] = 60
    database_wait_seconds: Annotated[float, Field(gt=0, le=60)] = 3
    max_rescues: Annotated[int, Field(ge=1)] = 3
    max_turns: Annotated[int, Field(ge=1)] = 64
    max_runs: Annotated[int, Field(ge=1)] = 512
    upstream_share: Annotated[float, Field(gt=0, le=1)] = 0.5
    max_thread_messages: Annotated[int, Field(ge=1)] = 100_000
    max_body_bytes: Annotated[int, Field(ge=1024)] = 32 * 1024 * 1024
    max_answer_characters: Annotated[int, Field(ge=1024)] = 4 * 1024 * 1024
    max_answer_calls: Annotated[int, Field(ge=1, le=512)] = 128
    bodies_mb: Annotated[int, Field(ge=1)] = 128
    prompt_pictures_mb: Annotated[int, Field(ge=0)] = 50
    cache_mb: Annotated[int, Field(ge=1)] = 64
    drain_seconds: Annotated[float, Field(ge=0)] = 10
    max_connections: Annotated[int, Field(ge=1)] = 10_000
    head_seconds: Annotated[float, Field(gt=0)] = 15
    body_seconds: Annotated[float, Field(gt=0)] = 30
    write_seconds: Annotated[float, Field(gt=0)] = 120
    keep_alive_seconds: Annotated[int, Field(ge=1)] = 75
    stream_comment_seconds: Annotated[float, Field(ge=0.01)] = 15.0


class RetentionConfig(BaseModel):
    """How many days what nobody uses is kept; None: for ever. `files`: what a thread made goes with it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    events_days: Annotated[int, Field(ge=1, le=36_500)] | None = None
    threads_days: Annotated[int, Field(ge=1, le=36_500)] | None = None
    files: bool = False
