"""The code inside a code_interpreter call, read from the JSON arguments while the model still writes them.

Upstreams stream `{"code": "print(1)…` in any pieces, some of them cut inside an escape. What is sure is handed on
at once; how the whole is to be understood is decided at the end.
"""

import json
import re
from typing import cast

_OPENING = re.compile(r'\s*\{\s*"code"\s*:\s*"')
_WHOLE = re.compile(r'(?:[^"\\]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*')
_HIGH_SURROGATE = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}\Z")
_LONE = re.compile("[\ud800-\udfff]")


class CodeArgumentParser:
    """Reads one call's arguments. `text` is the code so far; `is_valid` says whether the whole made sense."""

    def __init__(self) -> None:
        self._arguments: list[str] = []
        self._said: list[str] = []
        self._raw: str = ""
        self._inside: bool = False
        self._over: bool = False
        self.is_valid: bool = False

    @property
    def text(self) -> str:
        """The code handed on so far."""
        return "".join(self._said)

    def feed(self, piece: str) -> str:
        """The code that is sure after this piece of the arguments; may be nothing."""
        self._arguments.append(piece)
        if self._over:
            return ""
        self._raw += piece
        if not self._inside:
            opening = _OPENING.match(self._raw)
            if opening is None:
                return ""
            self._inside, self._raw = True, self._raw[opening.end() :]
        return self._emit(self._decode_available())

    def close(self) -> str:
        """What is still to be handed on when the arguments are whole; `text` is the code then."""
        code, said = parse_code("".join(self._arguments)), self.text
        self.is_valid = code is not None
        if code is None or not code.startswith(said):
            return ""
        return self._emit(code[len(said) :])

    def _decode_available(self) -> str:
        """Decode the characters and whole escapes at hand; keep back half of one, and half of a surrogate pair."""
        match = _WHOLE.match(self._raw)
        end = match.end() if match else 0
        if end < len(self._raw) and self._raw[end] == '"':
            self._over = True
        elif high := _HIGH_SURROGATE.search(self._raw[:end]):
            end = high.start()
        taken, self._raw = self._raw[:end], self._raw[end:]
        return replace_lone_surrogates(json.loads(f'"{taken}"', strict=False))

    def _emit(self, text: str) -> str:
        if text:
            self._said.append(text)
        return text


def parse_code(arguments: str) -> str | None:
    """The code that whole arguments hold: `code` or the only text of an object, a JSON string, or the bare code itself.

    None if there is none to be found. Models that were trained on the original tool write bare code.
    """
    try:
        value: object = json.loads(arguments, strict=False)
    except (ValueError, RecursionError):
        bare = arguments.strip()
        return None if not bare or bare.startswith(("{", '"')) else replace_lone_surrogates(arguments)
    if isinstance(value, str):
        return replace_lone_surrogates(value)
    if not isinstance(value, dict):
        return replace_lone_surrogates(arguments)  # `1 + 1` is no JSON, but `42` is
    texts = {key: one for key, one in cast("dict[str, object]", value).items() if isinstance(one, str)}
    if "code" in texts:
        return replace_lone_surrogates(texts["code"])
    return replace_lone_surrogates(next(iter(texts.values()))) if len(texts) == 1 else None


def replace_lone_surrogates(text: str) -> str:
    """Half a surrogate pair is no character; nothing could store or send it."""
    return _LONE.sub("\ufffd", text)
