"""Where the `model` of a multipart form stands, found in its beginning. Pure."""

import re

_NAME = re.compile(rb'content-disposition:[^\r\n]*;\s*name="?model"?\s*(?:;|\r\n)', re.IGNORECASE)


def find_model(head: bytes, boundary: bytes) -> tuple[int, int] | None:
    """Beginning and end of its value, once the value is whole; None before, or where there is none."""
    if not boundary:
        return None
    mark = b"--" + boundary + b"\r\n"
    place = head.find(mark)
    while place >= 0:
        fields = head.find(b"\r\n\r\n", place)
        if fields < 0:
            return None
        end = head.find(b"\r\n--" + boundary, fields)
        if end < 0:
            return None
        if _NAME.search(head, place, fields + 2) is not None:
            return fields + 4, max(fields + 4, end)
        place = head.find(mark, end)
    return None
