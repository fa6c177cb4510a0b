"""Unions told apart before they are checked, so that a mistake is told of the member the caller meant."""

from typing import Any

from pydantic import Discriminator, Tag

from threadmill.wire.request.validation_error import TAG

STRING, ARRAY, OBJECT = Tag(f"{TAG}string"), Tag(f"{TAG}array"), Tag(f"{TAG}object")
"""For members told apart by their JSON type."""


def tag(kind: str) -> Tag:
    """For the member whose `type` is `kind`."""
    return Tag(TAG + kind)


def shape_of(value: Any) -> str:
    """The JSON type of a value, as far as unions care."""
    for kind, name in ((str, STRING), (list, ARRAY), (dict, OBJECT)):
        if isinstance(value, kind):
            return name.tag
    return TAG


def type_of(value: Any) -> str:
    """What an object's `type` says."""
    # A tag of no member makes Pydantic complain; `problem` then looks at the value itself.
    return f"{TAG}{value.get('type')}" if isinstance(value, dict) else TAG  # pyright: ignore[reportUnknownMemberType]


BY_SHAPE = Discriminator(shape_of)
BY_TYPE = Discriminator(type_of)
