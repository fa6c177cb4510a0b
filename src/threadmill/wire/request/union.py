"""Unions told apart before they are checked, so that a mistake is told of the member the caller meant."""

from typing import Any

from pydantic import Discriminator, Tag

from threadmill.wire.request.validation_error import UNION_TAG

STRING, ARRAY, OBJECT = Tag(f"{UNION_TAG}string"), Tag(f"{UNION_TAG}array"), Tag(f"{UNION_TAG}object")
"""For members told apart by their JSON type."""


def tag(kind: str) -> Tag:
    """For the member whose `type` is `kind`."""
    return Tag(UNION_TAG + kind)


def json_type_of(value: Any) -> str:
    """The JSON type of a value, as far as unions care."""
    for kind, name in ((str, STRING), (list, ARRAY), (dict, OBJECT)):
        if isinstance(value, kind):
            return name.tag
    return UNION_TAG


def type_of(value: Any) -> str:
    """What an object's `type` says."""
    # A tag of no member makes Pydantic complain; `from_pydantic` then looks at the value itself.
    return f"{UNION_TAG}{value.get('type')}" if isinstance(value, dict) else UNION_TAG  # pyright: ignore[reportUnknownMemberType]


BY_JSON_TYPE = Discriminator(json_type_of)
BY_TYPE = Discriminator(type_of)
