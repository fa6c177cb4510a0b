"""The server's end of the process that counts tokens: started with the first question, and anew when it is gone."""

import os
import socket
import struct
import sys
import threading
import weakref
from collections.abc import Sequence
from contextlib import suppress

from threadmill.adapters.tokens.counting_process import COUNTS, LENGTHS, REQUEST, SIZE
from threadmill.adapters.tokens.vocabulary import VOCABULARIES
from threadmill.domain.error import Unavailable

MAX_TEXT = 40_000
"""Characters of one question. The process is shared: nobody waits long for what another asks."""

ANSWER_SECONDS = 60.0
"""For reading a vocabulary too, on the busiest machine."""

_PROGRAM = "from threadmill.adapters.tokens.counting_process import main; main()"


class Vocabularies:
    """Asks the process. Every call blocks its thread for a fraction of a millisecond, the first for a tenth of a second.

    Not in the server itself: whoever holds a vocabulary takes 50 MB, and stops every other thread while it is read.
    """

    def __init__(self) -> None:
        self._lock: threading.Lock = threading.Lock()
        self._process: _Process | None = None

    def counts(self, vocabulary: str, texts: Sequence[str]) -> Sequence[int]:
        """Tokens of each text; they have MAX_TEXT characters altogether, or are one alone. Raises Unavailable."""
        answer = self._ask(vocabulary, COUNTS, [_encoded(text) for text in texts])
        return struct.unpack(f"!{len(texts)}I", answer)

    def token_lengths(self, vocabulary: str, data: bytes) -> bytes:
        """Bytes of each token of a text in UTF-8. Raises Unavailable."""
        return self._ask(vocabulary, LENGTHS, [data])

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._end()

    def _ask(self, vocabulary: str, kind: int, texts: Sequence[bytes]) -> bytes:
        lengths = struct.pack(f"!{len(texts)}I", *map(len, texts))
        body = b"".join((lengths, *texts))
        question = REQUEST.pack(VOCABULARIES.index(vocabulary), kind, len(texts), len(body)) + body
        with self._lock:
            for _ in range(2):
                with suppress(OSError):
                    if self._process is None:
                        self._process = _Process()
                    return self._process.ask(question)
                self._end()
        raise Unavailable("The process that counts tokens cannot be started.")

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.end()


class _Process:
    def __init__(self) -> None:
        """Start it, with an empty environment. Raises OSError."""
        self._socket, theirs = socket.socketpair()
        self._socket.settimeout(ANSWER_SECONDS)
        weakref.finalize(self, self._socket.close)
        command = [sys.executable, "-I", "-c", _PROGRAM]
        nothing = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in (1, 2)]
        with theirs:
            # Not fork: the address space of a large server takes long to copy.
            actions = [*nothing, (os.POSIX_SPAWN_DUP2, theirs.fileno(), 0)]
            self._pid: int = os.posix_spawn(sys.executable, command, {}, file_actions=actions)

    def ask(self, question: bytes) -> bytes:
        """The answer. Raises OSError when the process is gone or stuck."""
        self._socket.sendall(question)
        (size,) = SIZE.unpack(self._received(SIZE.size))
        return self._received(size)

    def _received(self, size: int) -> bytes:
        held = bytearray()
        while len(held) < size:
            piece = self._socket.recv(size - len(held))
            if not piece:
                raise ConnectionResetError
            held += piece
        return bytes(held)

    def end(self) -> None:
        """Whatever it is doing."""
        self._socket.close()
        with suppress(ProcessLookupError):
            os.kill(self._pid, 9)
        with suppress(ChildProcessError):
            os.waitpid(self._pid, 0)


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "replace")
