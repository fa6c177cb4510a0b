"""What of the spec this server does not show, each with its reason: the completeness test and the conformance page
read this one table. A row that nothing needs any more fails the completeness test; so the table can only shrink."""

from fnmatch import fnmatchcase
from typing import NamedTuple

from tests.support.surface import Fact


class Gap(NamedTuple):
    """Facts that are not shown: those of a kind whose place and value match."""

    kind: str
    place: str
    value: str
    reason: str


GAPS: tuple[Gap, ...] = (
    Gap("value", "MessageDeltaContentImageFileObject.image_file.detail", "*", "a plot has the detail auto"),
    Gap("value", "OtherChunkingStrategyResponseParam.type", "*", "no file here is from before strategies were kept"),
    Gap(
        "value",
        "VectorStoreFileBatchObject.object",
        "*",
        "the service sent `vector_store.file_batch` (behaviour.md 0.10), and so does this server",
    ),
    Gap("value", "VectorStoreFileBatchObject.status", "failed", "files fail, not batches, as at the service"),
    Gap(
        "value",
        "VectorStoreFileObject.last_error.code",
        "unsupported_file",
        "an unsupported file is refused with a 400 when it is added (behaviour.md 7.3)",
    ),
    Gap("value", "OpenAIFile.purpose", "batch_output", "this server has no batches"),
    Gap("value", "OpenAIFile.purpose", "fine-tune-results", "this server does no fine-tuning"),
    Gap("value", "OpenAIFile.status", "uploaded", "a file is processed when its upload is answered (behaviour.md 7.1)"),
    Gap("value", "OpenAIFile.status", "error", "a file is processed when its upload is answered (behaviour.md 7.1)"),
    Gap("value", "Upload.status", "expired", "an expired upload is told in an error; no operation shows it"),
    Gap("status", "* /*", "429", "this server sets no rate limit; an upstream's ends the run with rate_limit_exceeded"),
    Gap("status", "DELETE /models/{model}", "200", "there are no fine-tuned models to delete; answers 405"),
    Gap("value", "MessageDeltaContentImageUrlObject.*", "*", "a model's answer has no image URLs"),
    Gap("value", "MessageDeltaObject.delta.role", "*", "the service sends no role in a delta (behaviour.md 3.4)"),
    Gap(
        "value",
        "RunStepDeltaStepDetailsMessageCreationObject.*",
        "*",
        "the service names the message in step.created and sends no such delta (behaviour.md 3.3)",
    ),
)


def gap_of(fact: Fact) -> Gap | None:
    """The row that says why a fact is not shown."""
    for gap in GAPS:
        if gap.kind == fact.kind and fnmatchcase(fact.place, gap.place) and fnmatchcase(fact.value, gap.value):
            return gap
    return None
