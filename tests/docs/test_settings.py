"""docs/reference/settings.md has every setting there is, and none more, with the defaults they have."""

import json
import re
from pathlib import Path

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from threadmill import settings

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reference" / "settings.md").read_text()
TABLES: dict[str, type[BaseModel]] = {
    "[[upstreams]]": settings.UpstreamConfig,
    '[models."name"]': settings.ModelConfig,
    "[limits]": settings.LimitConfig,
    "[sandbox]": settings.SandboxConfig,
    "[search]": settings.SearchConfig,
    "[blobs]": settings.BlobConfig,
    "[retention]": settings.RetentionConfig,
}


def rows_under(heading: str) -> dict[str, str]:
    """Names and defaults of the table under a heading."""
    section = re.split(r"^##+ ", PAGE.partition(f"# {heading}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]
    rows = re.findall(r"^\| `([^`]+)` \| (.+?) \| .+ \|$", section, re.MULTILINE)
    assert len(dict(rows)) == len(rows)
    return dict(rows)


def shown(default: object) -> str:
    """A default as the page writes it."""
    if default in (None, {}, ()):
        return "none"
    if isinstance(default, tuple):
        return f"`{json.dumps(default)}`"
    return f"`{default:g}`" if isinstance(default, float) else f"`{default}`"


def default_of(field: FieldInfo) -> str:
    return "required" if field.is_required() else shown(field.get_default(call_default_factory=True))


def test_every_table_of_the_file_is_documented_with_each_key_and_its_default() -> None:
    assert {re.sub(r"\W.*", "", name.strip("[]")) for name in TABLES} | {"aliases"} == set(
        settings.ConfigFile.model_fields
    ) - {"rehearsal"}
    for name, model in TABLES.items():
        wanted = {key: default_of(field) for key, field in model.model_fields.items()}
        assert rows_under(f"`{name}`") == wanted, name


def test_every_name_of_the_environment_is_documented_with_its_default() -> None:
    found = settings.load({})
    server, config = found.server, found.config
    wanted = {
        "HOST": server.host,
        "PORT": server.port,
        "DATA_DIR": server.data_dir,
        "DATABASE_URL": server.database_url,
        "API_KEYS": found.api_keys,
        "CORS_ORIGINS": server.access.cors_origins,
        "ALLOWED_HOSTS": server.access.allowed_hosts,
        "METRICS_OPEN": server.access.metrics_open,
        "CONFIG": None,
        "ALIASES": None,
        "LOG_FORMAT": server.log_format,
        "UPSTREAM_URL": config.upstreams,
        "UPSTREAM_API_KEY": None,
        "EMBEDDING_MODEL": config.search.embedding_model,
        "SPREADSHEETS": config.search.spreadsheets,
        "RUN_TTL_SECONDS": config.limits.run_ttl_seconds,
        "LEASE_SECONDS": config.limits.lease_seconds,
        "SANDBOX": config.sandbox.backend,
        "SANDBOX_TOKEN": config.sandbox.token,
        "BLOBS": config.blobs.store,
        "BLOBS_ENDPOINT": config.blobs.endpoint,
        "BLOBS_REGION": config.blobs.region,
    }
    assert rows_under("Environment") == {f"THREADMILL_{name}": shown(value) for name, value in wanted.items()}


def test_no_name_that_the_server_reads_is_missing() -> None:
    read = set(re.findall(r"THREADMILL_[A-Z_]*[A-Z]", (ROOT / "src" / "threadmill" / "settings.py").read_text()))
    assert read == set(rows_under("Environment"))


def test_the_example_of_the_file_is_a_file_the_server_takes(tmp_path: Path) -> None:
    example = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)[0]
    (tmp_path / "threadmill.toml").write_text(example)
    loaded = settings.load({"THREADMILL_CONFIG": str(tmp_path / "threadmill.toml"), "OPENAI_API_KEY": "k"})
    assert (loaded.config.limits.max_runs, loaded.config.upstreams[0].api_key) == (64, "k")


def test_what_the_page_on_security_says_bounds_a_cost_is_a_setting() -> None:
    page = (ROOT / "docs" / "explanation" / "security.md").read_text()
    bounds = [row.rpartition(" | ")[2] for row in re.findall(r"^\| (?!---)(.+) \|$", page, re.MULTILINE)]
    named = {name for bound in bounds for name in re.findall(r"`([a-z]+_[a-z_]+)`", bound)}
    assert len(named) > 15
    assert named <= {key for model in TABLES.values() for key in model.model_fields}
