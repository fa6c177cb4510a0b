"""The configuration for an archive: what was set, without whatever may be a secret."""

from typing import Any
from urllib.parse import urlsplit, urlunsplit

from pydantic import BaseModel

from threadmill.settings import Settings

LEFT_OUT = "(left out of the backup)"


def without_secrets(settings: Settings) -> dict[str, Any]:
    """What `threadmill.toml` and the environment say, and which projects have keys."""
    projects = sorted(set(settings.api_keys.values()))
    return {"projects_with_keys": projects, "configuration": _shown(settings.config)}


def _shown(value: Any) -> Any:
    if isinstance(value, BaseModel):
        kinds = type(value).model_fields
        return {key: _field(key, getattr(value, key), is_shown=kinds[key].repr) for key in kinds}
    if isinstance(value, dict):
        return {str(key): _shown(one) for key, one in value.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] - any JSON
    if isinstance(value, list | tuple):
        return [_shown(one) for one in value]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] - any JSON
    return value if isinstance(value, bool | int | float | None) else _text(str(value))


def _field(name: str, value: Any, *, is_shown: bool) -> Any:
    """What settings do not show in a log they do not show here; nor what is sent with requests, word for word."""
    if (not is_shown or name in {"extra_body", "access_key_id"}) and value:
        return LEFT_OUT
    return _shown(value)


def _text(text: str) -> str:
    """A URL without a name, a password and a query."""
    if "://" not in text:
        return text
    try:
        parts = urlsplit(text)
    except ValueError:
        return LEFT_OUT
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
