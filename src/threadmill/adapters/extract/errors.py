"""How a reader in the fenced process says that it cannot read a file. Standard library only, as all that it imports."""


class UnreadableFile(Exception):
    """The file's own fault; the message is shown to its owner and names no path."""


class TextBuffer:
    """Text as it is read, kept within `limit` characters."""

    def __init__(self, limit: int) -> None:
        self._limit: int = limit
        self._length: int = 0
        self._parts: list[str] = []

    def add(self, text: str) -> None:
        """Append. Raises UnreadableFile beyond the limit, before a hostile file has filled the memory."""
        self._length += len(text)
        if self._length > self._limit:
            raise UnreadableFile(
                f"The file holds more than {self._limit:,} characters of text, more than can be searched."
            )
        self._parts.append(text)

    def text(self) -> str:
        """All of it."""
        return "".join(self._parts)
