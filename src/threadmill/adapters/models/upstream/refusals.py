"""Members of a request that a model refuses: which one, and whether the request means the same without it. Pure."""

import re
from collections.abc import Collection
from dataclasses import replace

from threadmill.adapters.models.upstream.chat_request import Adaptation
from threadmill.adapters.models.upstream.upstream_error import UpstreamErrorBody
from threadmill.domain.outcome import ErrorCode
from threadmill.engine.ports.model import ModelError

TOKEN_LIMITS = ("max_completion_tokens", "max_tokens")

_STATUS = frozenset({400, 404, 422, 501})
_CODES = frozenset({"unsupported_parameter", "unknown_parameter", "unsupported_value"})
_REFUSES = re.compile(
    r"not (?:be )?(?:supported|permitted|allowed|recogni[sz]ed|accepted|available|implemented|valid|expected|known)"
    r"|(?:un|isn't |doesn't |does not )(?:support|recogni[sz]ed|known|expected|accept)|extra (?:inputs|fields|field)"
    r"|forbidden|cannot find|no such|invalid (?:argument|parameter|field|property|name)|instead",
    re.IGNORECASE,
)
_TOO_MUCH = re.compile(
    r"too (?:large|big|high|many|small|low)|at most|at least|exceed|less than|greater than", re.IGNORECASE
)
"""What is said of a number that is out of bounds: the member is known, and another name would be refused too."""


class MemberRefused(ModelError):
    """The upstream refused one member of the body."""

    def __init__(self, message: str, member: str) -> None:
        super().__init__(ErrorCode.SERVER_ERROR, message)
        self.member: str = member


def refused_member(error: UpstreamErrorBody, sent: Collection[str]) -> str | None:
    """The member of those `sent` that `error` refuses; None for any other error."""
    refuses = error.code in _CODES or _REFUSES.search(error.message) is not None
    if error.status not in _STATUS or not refuses or _TOO_MUCH.search(error.message):
        return None
    if error.param in sent:
        return error.param
    named = [member for member in sent if re.search(rf"(?<!\w){member}(?!\w)", error.message)]
    # The longest: whoever names `tool_choice` may speak of `tools` too.
    return max(named, key=len, default=None)


def adapted(adaptation: Adaptation, member: str) -> Adaptation | None:
    """How to ask again for the same; None where the member's meaning would be lost, or this was tried before."""
    if member == "stream_options" and member not in adaptation.omit:
        # Usage is then counted here.
        return replace(adaptation, omit=adaptation.omit | {member})
    if member in TOKEN_LIMITS and not adaptation.swaps_token_limit:
        return replace(adaptation, swaps_token_limit=True)
    return None


def explained(error: ModelError, member: str, upstream: str) -> MemberRefused:
    """The error with the setting that leaves the member out."""
    hint = f' Where it can be done without: omit = ["{member}"] for the upstream "{upstream}" in threadmill.toml.'
    return MemberRefused(error.message.rstrip(".") + "." + hint, member)


def explained_role(error: ModelError, status: int, words: str) -> ModelError:
    """The error with the setting for the role of instructions, if that is what was refused."""
    if status in _STATUS and re.search(r"role", words) and re.search(r"['\"`](system|developer)\b", words):
        hint = ' The role of instructions is set by system_role = "system" or "developer" in threadmill.toml.'
        return ModelError(error.code, error.message.rstrip(".") + "." + hint)
    return error
