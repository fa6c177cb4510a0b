"""JSON text of strangers, looked at in slices: whatever works on much of it at once stops every thread for as long."""

from collections.abc import Iterator

import msgspec

_SLICE = 256 * 1024

_PIECE = 2 * 1024 * 1024
"""Bytes that are decoded at once: 5 ms where every character is escaped; 30 MB would take 70."""

_LEVELS = 8
"""Of a body that are taken apart, each by a look at all of what is below: no member that we know lies deeper."""

_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_items = msgspec.json.Decoder(list[msgspec.Raw]).decode


def decode(text: bytes | msgspec.Raw, piece: int = _PIECE, levels: int = _LEVELS) -> object:
    """The value; what is larger than a piece member by member, so that other threads get their turn.

    Strict where the standard library is not: no NaN, no infinite number, no lone surrogate, UTF-8 only. Raises ValueError,
    RecursionError.
    """
    if len(text) > piece and levels:
        for take_apart in (_decode_members, _decode_items):
            try:
                return take_apart(text, piece, levels - 1)
            except msgspec.ValidationError:  # told by the first byte
                continue
    return msgspec.json.decode(text)


def _decode_members(text: bytes | msgspec.Raw, piece: int, levels: int) -> object:
    return {key: decode(value, piece, levels) for key, value in _members(text).items()}


def _decode_items(text: bytes | msgspec.Raw, piece: int, levels: int) -> object:
    return [decode(value, piece, levels) for value in _items(text)]


def has_more(raw: bytes, signs: bytes, most: int) -> bool:
    """Whether there are more than `most` of these signs."""
    left = most
    for at in range(0, len(raw), _SLICE):
        left -= sum(raw.count(sign, at, at + _SLICE) for sign in signs)
        if left < 0:
            return True
    return False


def has_more_values(raw: bytes, most: int) -> bool:
    """Whether there are more than `most` commas outside strings; what is not JSON may be told either way."""
    if not has_more(raw, b",", most):  # few have so many commas at all
        return False
    count, inside = 0, False
    for piece in _with_true_quotes(raw):
        parts = piece.split(b'"')
        count += sum(part.count(b",") for part in parts[inside::2])
        inside ^= len(parts) % 2 == 0
        if count > most:
            return True
    return False


def has_long_string(raw: bytes, most: int) -> bool:
    """Whether a string has more than `most` bytes that take time, told to a slice; what is not JSON may be told either way.

    Plain ASCII, as a picture in a data URL is, is copied as it stands: 28 MB in some 20 ms.
    """
    if len(raw) <= most:
        return False
    size, inside = 0, False
    for at, piece in enumerate(_with_true_quotes(raw)):
        quotes = piece.count(b'"')
        inside ^= quotes % 2 == 1
        if not inside or quotes:
            size = 0
        elif not _is_plain(raw[at * _SLICE : (at + 1) * _SLICE]):
            size += _SLICE
        if size >= most:
            return True
    return False


def _is_plain(text: bytes) -> bool:
    return text.isascii() and b"\\" not in text


def _with_true_quotes(raw: bytes) -> Iterator[bytes]:
    """The text in slices, without its escaped quotes and backslashes."""
    carry = b""
    for at in range(0, len(raw), _SLICE):
        piece = carry + raw[at : at + _SLICE]
        # A backslash and what it escapes stay together.
        carry = b"\\" if (len(piece) - len(piece.rstrip(b"\\"))) % 2 else b""
        yield piece[: len(piece) - len(carry)].replace(b"\\\\", b"").replace(b'\\"', b"")
