"""The URL of a PostgreSQL database, as people may see it."""

from urllib.parse import unquote, urlsplit

SCHEMES = ("postgresql://", "postgres://")


def describe(url: str) -> str:
    """Where a URL leads, for people: without its password and its options."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "the local socket", parts.port
    except ValueError:
        return "PostgreSQL"
    at = host if port is None else f"{host}:{port}"
    return f"PostgreSQL database {unquote(parts.path.lstrip('/')) or 'of the default name'} at {at}"
