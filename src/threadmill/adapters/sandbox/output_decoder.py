"""Bytes that code printed, made readable text: cut characters joined, binary output left out with a note."""

import codecs
import re

_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f]")
_ESCAPES = re.compile("\x1b(?:\\[[0-?]*[ -/]*[@-~]|\\][^\x07\x1b]*(?:\x07|\x1b\\\\)|[@-Z\\\\-_])")
_BINARY_SHARE = 0.1
_LINES = re.compile(b"[^\n]*\n|[^\n]+")


class OutputDecoder:
    """An incremental decoder for one execution."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._binary = 0

    def add(self, raw: bytes) -> str:
        """The text of one more piece, with a note of the binary output that ended before it."""
        return "".join(self._line(line) for line in _LINES.findall(raw))

    def _line(self, raw: bytes) -> str:
        text = self._decoder.decode(raw)
        if _is_binary(text):
            self._binary += len(raw)
            self._decoder.reset()
            return ""
        return self._note() + _clean(text) if text else ""

    def cut(self, size: int) -> str:
        """The note for a gap in the middle."""
        text = self.end()
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        return f"{text}\n[… {size:,} bytes of output left out …]\n"

    def end(self) -> str:
        """What is left when the output is over."""
        return _clean(self._decoder.decode(b"", final=True)) + self._note()

    def _note(self) -> str:
        size, self._binary = self._binary, 0
        return f"[{size:,} bytes of binary output left out]\n" if size else ""


def _is_binary(text: str) -> bool:
    strange = text.count("\ufffd") + len(_CONTROL.findall(text))
    return "\0" in text or strange > max(8, len(text) * _BINARY_SHARE)


def _clean(text: str) -> str:
    """Without terminal colours and control characters, which databases and JSON readers do not like."""
    return _CONTROL.sub("\ufffd", _ESCAPES.sub("", text)).replace("\x1b", "")
