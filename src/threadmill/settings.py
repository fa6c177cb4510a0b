"""Settings: a few frozen groups, parsed once from the environment and `threadmill.toml`. Nothing else reads either.

Names and meanings are fixed in docs/reference/settings.md. A wrong value ends the start with a line that says which.
"""

import fnmatch
import os
import re
import ssl
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal, cast
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, field_validator, model_validator

from threadmill.limits import LimitConfig, RetentionConfig

MAX_PORT = 65535

BUILT_IN_MODEL = "rehearsal"
"""The model that is always there (design.md 1)."""

CONFIG_ADVICE = "Mend the file, or unset THREADMILL_CONFIG to start without it; docs/reference/upstreams.md shows one."

HEADER_NAME = r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$"

PASSED_ON = ("chat/completions", "completions", "embeddings", "responses", "moderations", "images/*", "audio/*")
"""What `pass_through` may name: the app's other calls."""

Role = Literal["all", "api", "worker"]


class SettingsError(Exception):
    """A setting is wrong; the message names it and says what is allowed, `advice` what to do next."""

    def __init__(self, text: str, advice: str = "") -> None:
        super().__init__(text)
        self.advice: str = advice


class UpstreamConfig(BaseModel):
    """One Chat Completions server. `models` are the name patterns routed to it; the key may stand in `api_key_env`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    base_url: str
    name: str = "default"
    api_key: str | None = Field(default=None, repr=False)
    api_key_env: str | None = None
    models: tuple[str, ...] = ("*",)
    ca_file: Path | None = None
    headers: dict[str, str] = Field(default_factory=dict, repr=False)
    api_key_header: Annotated[str, Field(pattern=HEADER_NAME)] | None = None
    system_role: Literal["system", "developer"] = "system"
    omit: tuple[str, ...] = ()
    extra_body: dict[str, JsonValue] = Field(default_factory=dict)
    pass_through: bool | tuple[str, ...] = True
    max_concurrent: Annotated[int, Field(ge=1)] | None = None
    max_tokens_field: Literal["max_completion_tokens", "max_tokens"] = "max_completion_tokens"
    reasoning: Literal["hide", "keep"] = "hide"
    connect_seconds: Annotated[float, Field(gt=0)] = 10
    first_token_seconds: Annotated[float, Field(gt=0)] | None = None
    between_tokens_seconds: Annotated[float, Field(gt=0)] | None = None
    keepalive_seconds: Annotated[float, Field(ge=1)] = 60

    @model_validator(mode="after")
    def leaves_our_members(self) -> "UpstreamConfig":
        """No request is one without these."""
        if taken := sorted({"model", "messages", "stream"} & {*self.omit, *self.extra_body}):
            raise ValueError(f"omit and extra_body cannot hold {', '.join(taken)}")
        return self

    @field_validator("pass_through")
    @classmethod
    def known_paths(cls, paths: bool | tuple[str, ...]) -> bool | tuple[str, ...]:  # noqa: FBT001 - as the file has it
        """Of the list that is passed on at all."""
        for path in () if isinstance(paths, bool) else paths:
            if path.partition("/")[0] not in {known.partition("/")[0] for known in PASSED_ON}:
                raise ValueError(f"'{path}' is not passed on; there are {', '.join(PASSED_ON)}")
        return paths

    @field_validator("headers")
    @classmethod
    def can_be_sent(cls, headers: dict[str, str]) -> dict[str, str]:
        """As a header of HTTP; a value's own words are not repeated, it may be a key."""
        for name, value in headers.items():
            if not re.fullmatch(HEADER_NAME, name) or not value.isprintable() or not value.isascii():
                raise ValueError(f"'{name}' cannot be sent as a header")
        return headers


class ModelConfig(BaseModel):
    """What is to be known about a model, where our own table is wrong or silent."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    context_window: Annotated[int, Field(ge=256)]


class SandboxConfig(BaseModel):
    """Where code_interpreter runs: `bwrap`, `off`, or a Jupyter Kernel Gateway's URL; seconds, megabytes, counts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    backend: Annotated[str, Field(pattern="^(bwrap|off|https?://.+)$")] = "bwrap"
    token: str | None = Field(default=None, repr=False)
    python: Path | None = None
    call_seconds: Annotated[float, Field(ge=1)] = 120
    idle_seconds: Annotated[float, Field(ge=1)] = 20 * 60
    session_seconds: Annotated[float, Field(ge=1)] = 60 * 60
    max_sessions: Annotated[int, Field(ge=1)] = 64
    total_memory_mb: Annotated[int, Field(ge=256)] | None = None
    memory_mb: Annotated[int, Field(ge=256)] = 2048
    disk_mb: Annotated[int, Field(ge=16)] = 1024
    output_mb: Annotated[int, Field(ge=1)] = 256
    session_output_mb: Annotated[int, Field(ge=1)] = 1024
    processes: Annotated[int, Field(ge=8, le=1024)] = 64


class SearchConfig(BaseModel):
    """How file_search reads, embeds and ranks. Neither model: search goes by words only. Upstreams are named."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    embedding_model: str | None = None
    embedding_upstream: str | None = None
    embedding_dimensions: Annotated[int, Field(ge=1, le=8192)] | None = None
    embedding_batch: Annotated[int, Field(ge=1, le=2048)] = 128
    local_model: Path | None = None
    rerank_model: str | None = None
    rerank_upstream: str | None = None
    read_seconds: Annotated[int, Field(ge=1)] = 120
    read_memory_mb: Annotated[int, Field(ge=256)] = 2048
    spreadsheets: bool = True

    @model_validator(mode="after")
    def one_embedder(self) -> "SearchConfig":
        """Vectors of two models cannot be compared."""
        if self.embedding_model and self.local_model:
            raise ValueError("set embedding_model or local_model, not both")
        return self


class BlobConfig(BaseModel):
    """Where the bytes of files lie: `disk`, or `s3://bucket/prefix` in a store that speaks S3's protocol.

    What is unset is found where AWS's own tools look: AWS_ACCESS_KEY_ID and its like, ~/.aws, the machine's role.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    store: Annotated[str, Field(pattern=r"^(disk|s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[\w!.*'()/-]*)?)$")] = "disk"
    endpoint: Annotated[str, Field(pattern=r"^https?://[^/]+")] | None = None
    region: str | None = None
    addressing: Literal["auto", "path", "virtual"] = "auto"
    access_key_id: str | None = None
    secret_access_key: str | None = Field(default=None, repr=False)
    session_token: str | None = Field(default=None, repr=False)
    grace_seconds: Annotated[float, Field(ge=3600)] = 24 * 60 * 60


class ConfigFile(BaseModel):
    """`threadmill.toml`. `rehearsal` stands in it as `[models] rehearsal = false`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    upstreams: tuple[UpstreamConfig, ...] = ()
    aliases: dict[str, str] = Field(default_factory=dict)
    models: dict[str, ModelConfig] = Field(default_factory=dict)
    rehearsal: bool = True
    limits: LimitConfig = LimitConfig()
    sandbox: SandboxConfig = SandboxConfig()
    search: SearchConfig = SearchConfig()
    blobs: BlobConfig = BlobConfig()
    retention: RetentionConfig = RetentionConfig()

    @model_validator(mode="before")
    @classmethod
    def switch_of_rehearsal(cls, values: dict[str, object]) -> dict[str, object]:
        """The one entry of `[models]` that may be a switch and no table."""
        if not isinstance(values.get("models"), dict):
            return values
        models = dict(cast("dict[str, object]", values["models"]))
        if not isinstance(models.get(BUILT_IN_MODEL), bool):
            return values
        offered = models.pop(BUILT_IN_MODEL)
        return {**values, "models": models, "rehearsal": offered}


@dataclass(frozen=True, slots=True)
class AccessSettings:
    """Who may ask beside those with a key (ADR-0021).

    `cors_origins`: pages of these origins may read answers; None: all when keys are set, else none. `allowed_hosts`:
    names this server answers to besides loopback, `*.example.org` and `*` included; none: all when keys are set.
    `metrics_open`: /metrics asks for no key.
    """

    cors_origins: tuple[str, ...] | None = None
    allowed_hosts: tuple[str, ...] = ()
    metrics_open: bool = False


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Where the server listens, where it keeps its data, what it does."""

    host: str = "127.0.0.1"
    port: int = 8000
    data_dir: Path = Path(".threadmill")
    database_url: str | None = None
    role: Role = "all"
    log_format: Literal["text", "json"] = "text"
    access: AccessSettings = field(default_factory=AccessSettings)


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings. `api_keys` maps a key to its project; empty: any key is accepted, on loopback only."""

    server: ServerSettings = field(default_factory=ServerSettings)
    api_keys: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    config: ConfigFile = field(default_factory=ConfigFile)


def load(environ: Mapping[str, str] | None = None) -> Settings:
    """Read THREADMILL_* from `environ` (the process's by default) and the file THREADMILL_CONFIG names.

    Raises SettingsError with a line for the operator.
    """
    env = os.environ if environ is None else environ
    config = _config(env)
    return Settings(_server(env), _api_keys(env.get("THREADMILL_API_KEYS", "")), config)


def _server(env: Mapping[str, str]) -> ServerSettings:
    log_format = env.get("THREADMILL_LOG_FORMAT", "text")
    if log_format not in ("text", "json"):
        raise SettingsError(f"THREADMILL_LOG_FORMAT is '{log_format}'; it must be text or json.")
    return ServerSettings(
        host=env.get("THREADMILL_HOST", "127.0.0.1"),
        port=_port(env),
        data_dir=Path(env.get("THREADMILL_DATA_DIR", ".threadmill")),
        database_url=env.get("THREADMILL_DATABASE_URL") or None,
        log_format=log_format,
        access=_access(env),
    )


def _access(env: Mapping[str, str]) -> AccessSettings:
    origins = env.get("THREADMILL_CORS_ORIGINS")
    return AccessSettings(
        None if origins is None else _list("THREADMILL_CORS_ORIGINS", origins, _ORIGIN, "like https://app.example"),
        _list("THREADMILL_ALLOWED_HOSTS", env.get("THREADMILL_ALLOWED_HOSTS", ""), _HOST, "a name like api.example"),
        _switch(env, "THREADMILL_METRICS_OPEN"),
    )


_ORIGIN = re.compile(r"\*|https?://[a-z0-9.\-\[\]:_]+|[a-z][a-z0-9+.-]*-extension://[a-z0-9-]+", re.IGNORECASE)
_HOST = re.compile(r"\*|(\*\.)?[a-z0-9._-]+|\[?[0-9a-f:.]+\]?", re.IGNORECASE)


def _list(name: str, text: str, form: re.Pattern[str], example: str) -> tuple[str, ...]:
    """Entries between commas, in lower case."""
    entries = tuple(part.strip().lower() for part in text.split(",") if part.strip())
    for entry in entries:
        if not form.fullmatch(entry):
            raise SettingsError(f"{name} has '{entry}'; each entry must be {example}, or * for all.")
    return entries


def _switch(env: Mapping[str, str], name: str, *, default: bool = False) -> bool:
    text = env.get(name, "")
    if text not in ("", "0", "1"):
        raise SettingsError(f"{name} is '{text}'; it must be 1 or 0.")
    return text == "1" if text else default


def _port(env: Mapping[str, str]) -> int:
    port = _integer(env, "THREADMILL_PORT", 8000)
    if not 0 <= port <= MAX_PORT:
        raise SettingsError(f"THREADMILL_PORT is {port}; it must be 0 (any free one) to {MAX_PORT}.")
    return port


def _integer(env: Mapping[str, str], name: str, default: int) -> int:
    text = env.get(name, "")
    try:
        return int(text) if text else default
    except ValueError:
        raise SettingsError(f"{name} is '{text}'; it must be a whole number.") from None


_PROJECT = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_KEY = re.compile(r"(?=.{16})[!-+\--<>-~]+={0,2}")
"""Printable, without space and comma; `=` at its end only, as base64 writes it."""

_KEYS_ADVICE = (
    "Write KEY or PROJECT=KEY, separated by commas: a project of a-z, 0-9, _ and -, 63 at most; a key of 16 characters "
    "at least, with = at its end only. `default=KEY` leaves no doubt."
)


def _api_keys(text: str) -> dict[str, str]:
    """Project by key. An entry is `KEY` (project `default`) or `PROJECT=KEY`; what may be either is refused."""
    keys: dict[str, str] = {}
    for number, entry in enumerate(filter(None, (part.strip() for part in text.split(","))), 1):
        project, key = _api_key(entry, f"entry {number} of THREADMILL_API_KEYS")
        if keys.setdefault(key, project) != project:
            raise SettingsError("THREADMILL_API_KEYS gives one key to two projects.")
    return keys


def _api_key(entry: str, where: str) -> tuple[str, str]:
    """Project and key of an entry, which no error repeats. Its padding is the key's, not a sign between the two."""
    project, separator, key = entry.partition("=")
    if not separator or not key.strip("="):
        if entry.endswith("=") and not key and _PROJECT.fullmatch(project):
            text = f"{where} may be a key that ends in '=', or a project without a key."
            raise SettingsError(text[0].upper() + text[1:], _KEYS_ADVICE)
        project, key = "default", entry
    if not _PROJECT.fullmatch(project):
        raise SettingsError(f"The project in {where} has another form than a project's.", _KEYS_ADVICE)
    if not _KEY.fullmatch(key):
        raise SettingsError(
            f"The key in {where} is shorter than 16 characters, or has others than it may.", _KEYS_ADVICE
        )
    return project, key


def _config(env: Mapping[str, str]) -> ConfigFile:
    path = env.get("THREADMILL_CONFIG")
    try:
        values = tomllib.loads(Path(path).read_text(encoding="utf-8")) if path else {}
        config = ConfigFile.model_validate(values)
    except OSError as error:
        raise SettingsError(f"THREADMILL_CONFIG: {path} cannot be read: {error.strerror}.", CONFIG_ADVICE) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not valid TOML: {error}.", CONFIG_ADVICE) from None
    except ValidationError as error:
        raise SettingsError(f"{path}: {_first_mistake(error)}.", CONFIG_ADVICE) from None
    return _with_environment(config, env)


def _first_mistake(error: ValidationError) -> str:
    """The first mistake, with its place in the file."""
    first = error.errors(include_input=False)[0]
    said = "this version knows no such setting" if first["type"] == "extra_forbidden" else first["msg"]
    return f"{'.'.join(str(part) for part in first['loc'])}: {said}"


def _with_environment(config: ConfigFile, env: Mapping[str, str]) -> ConfigFile:
    """The environment's upstream and limits win over the file's."""
    upstreams = tuple(_with_key(upstream, env) for upstream in config.upstreams)
    if url := env.get("THREADMILL_UPSTREAM_URL"):
        given = UpstreamConfig(base_url=url, name="environment", api_key=env.get("THREADMILL_UPSTREAM_API_KEY") or None)
        upstreams = (*upstreams, given)
    for upstream in upstreams:
        _check_upstream(upstream)
    if not (upstreams or config.rehearsal):
        advice = "Set THREADMILL_UPSTREAM_URL, or take `rehearsal = false` out of [models]."
        raise SettingsError("There is no model: the built-in one is switched off and no upstream is set.", advice)
    aliases = config.aliases | _aliases(env.get("THREADMILL_ALIASES", ""))
    _check_aliases(aliases, upstreams, rehearsal=config.rehearsal)
    ttl = _integer(env, "THREADMILL_RUN_TTL_SECONDS", config.limits.run_ttl_seconds)
    lease = _integer(env, "THREADMILL_LEASE_SECONDS", config.limits.lease_seconds)
    try:
        given = config.limits.model_dump() | {"run_ttl_seconds": ttl, "lease_seconds": lease}
        limits = LimitConfig.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        raise SettingsError(f"THREADMILL_{str(first['loc'][0]).upper()}: {first['msg']}.") from None
    changes = {
        "limits": limits,
        "sandbox": _sandbox(config, env),
        "search": _search(config, env, upstreams),
        "blobs": _blobs(config, env),
    }
    return config.model_copy(update={"upstreams": upstreams, "aliases": aliases, **changes})


def _aliases(text: str) -> dict[str, str]:
    """`PATTERN=MODEL`, separated by commas. What could be read in two ways is refused."""
    aliases: dict[str, str] = {}
    for entry in filter(None, (part.strip() for part in text.split(","))):
        pattern, separator, model = (part.strip() for part in entry.partition("="))
        if not (pattern and separator and model) or "=" in model:
            advice = "Names with other signs go into [aliases] of threadmill.toml."
            raise SettingsError(f"THREADMILL_ALIASES has '{entry}'; write PATTERN=MODEL, separated by commas.", advice)
        aliases[pattern] = model
    return aliases


def _sandbox(config: ConfigFile, env: Mapping[str, str]) -> SandboxConfig:
    named = {"backend": env.get("THREADMILL_SANDBOX"), "token": env.get("THREADMILL_SANDBOX_TOKEN")}
    given = {name: value for name, value in named.items() if value}
    try:
        return SandboxConfig.model_validate(config.sandbox.model_dump() | given)
    except ValidationError:
        raise SettingsError(
            f"THREADMILL_SANDBOX is '{given.get('backend')}'; it must be bwrap, off, or the URL of a Jupyter Kernel Gateway."
        ) from None


def _search(config: ConfigFile, env: Mapping[str, str], upstreams: tuple[UpstreamConfig, ...]) -> SearchConfig:
    spreadsheets = _switch(env, "THREADMILL_SPREADSHEETS", default=config.search.spreadsheets)
    search = config.search.model_copy(update={"spreadsheets": spreadsheets})
    if model := env.get("THREADMILL_EMBEDDING_MODEL"):
        search = search.model_copy(update={"embedding_model": model, "local_model": None})
    for kind, model, upstream in (
        ("embedding", search.embedding_model, search.embedding_upstream),
        ("rerank", search.rerank_model, search.rerank_upstream),
    ):
        names = [one.name for one in upstreams]
        if model and not names:
            raise SettingsError(f"The {kind} model '{model}' needs an upstream; set THREADMILL_UPSTREAM_URL.")
        if model and upstream and upstream not in names:
            raise SettingsError(f"search.{kind}_upstream is '{upstream}'; the upstreams are {', '.join(names)}.")
    return search


BLOB_VARIABLES = {
    "store": ("THREADMILL_BLOBS", "disk or s3://bucket/prefix"),
    "endpoint": ("THREADMILL_BLOBS_ENDPOINT", "a URL like https://host:9000"),
    "region": ("THREADMILL_BLOBS_REGION", "a region's name"),
}


def _blobs(config: ConfigFile, env: Mapping[str, str]) -> BlobConfig:
    given = {field: value for field, (name, _) in BLOB_VARIABLES.items() if (value := env.get(name))}
    try:
        return BlobConfig.model_validate(config.blobs.model_dump() | given)
    except ValidationError as error:
        field = str(error.errors(include_input=False)[0]["loc"][0])
        name, form = BLOB_VARIABLES[field]
        raise SettingsError(f"{name} is '{given[field]}'; it must be {form}.") from None


def _check_upstream(upstream: UpstreamConfig) -> None:
    try:
        parts = urlsplit(upstream.base_url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        text = f"The upstream '{upstream.name}' has base URL '{upstream.base_url}'"
        raise SettingsError(f"{text}; it must be like http://127.0.0.1:9001/v1 or https://host/v1.")
    try:
        if upstream.ca_file is not None:
            ssl.create_default_context(cafile=upstream.ca_file)
    except OSError as error:  # ssl's own errors are such
        text = f"The upstream '{upstream.name}' has ca_file '{upstream.ca_file}', which cannot be used"
        advice = "Name a PEM file with the authorities' certificates, or leave ca_file out."
        raise SettingsError(f"{text}: {error.strerror}.", advice) from None


def _check_aliases(aliases: Mapping[str, str], upstreams: tuple[UpstreamConfig, ...], *, rehearsal: bool) -> None:
    """An alias for a name that nobody serves could only fail, one run after the other."""
    patterns = [pattern for upstream in upstreams for pattern in upstream.models]
    for alias, name in aliases.items():
        if rehearsal and name == BUILT_IN_MODEL:
            continue
        if not any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns):
            text = f"The alias '{alias}' stands for '{name}', which no upstream serves."
            raise SettingsError(text, "Add the name to an upstream's models, or add an upstream that has it.")


def _with_key(upstream: UpstreamConfig, env: Mapping[str, str]) -> UpstreamConfig:
    if upstream.api_key_env is None:
        return upstream
    key = env.get(upstream.api_key_env)
    if not key:
        text = f"The upstream '{upstream.name}' wants its key in {upstream.api_key_env}, which is not set."
        raise SettingsError(text)
    return upstream.model_copy(update={"api_key": key})
