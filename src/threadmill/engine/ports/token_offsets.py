"""Where the tokens of a text end, offline."""

from typing import Protocol

from threadmill.domain.chunking import TokenEnds


class TokenOffsets(Protocol):
    """Measures a text in the tokens chunks are counted in."""

    def ends(self, text: str) -> TokenEnds:
        """The end of each token of `text`, as `TokenEnds` says; it may end early beyond MAX_FILE_TOKENS. Blocking: up to a second for 20 MB."""
        ...
