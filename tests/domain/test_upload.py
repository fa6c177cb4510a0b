"""The rules of an upload."""

from dataclasses import replace

import pytest

from threadmill.domain.error import Conflict, InvalidRequest
from threadmill.domain.file import Blob, FilePurpose
from threadmill.domain.ids import FileId, ProjectId, UploadId, UploadPartId
from threadmill.domain.upload import (
    KEPT_SECONDS,
    MAX_PARTS,
    MAX_PENDING,
    MAX_PENDING_BYTES,
    MAX_UPLOAD_BYTES,
    UPLOAD_SECONDS,
    NewUpload,
    Upload,
    UploadPart,
    UploadStatus,
    begun,
    ended,
    ordered,
    require_pending,
    with_part,
)

NEW = NewUpload("a.bin", FilePurpose.ASSISTANTS, 10, "application/octet-stream", 3600)
PROJECT = ProjectId("p")


def upload() -> Upload:
    return begun(NEW, UploadId("upload_1"), PROJECT, 1_000, [])


def part(number: int, size: int) -> UploadPart:
    return UploadPart(UploadPartId(f"part_{number}"), PROJECT, 1_000, UploadId("upload_1"), Blob(str(number), size))


def test_an_upload_begins_pending_and_takes_parts_for_an_hour() -> None:
    made = upload()
    assert (made.status, made.expires_at, made.due_at) == (UploadStatus.PENDING, 4_600, 4_600)
    assert made.file_expires_after == 3600
    require_pending(made, 1_000 + UPLOAD_SECONDS - 1)
    with pytest.raises(Conflict, match="is expired"):
        require_pending(made, 1_000 + UPLOAD_SECONDS)


@pytest.mark.parametrize("status", [UploadStatus.COMPLETED, UploadStatus.CANCELLED, UploadStatus.EXPIRED])
def test_an_upload_that_has_ended_takes_nothing(status: UploadStatus) -> None:
    done = ended(upload(), status, 2_000, FileId("file-1"))
    assert (done.status, done.due_at, done.file_id, done.version) == (status, 2_000 + KEPT_SECONDS, "file-1", 2)
    for at in (2_000, 1_000_000):
        with pytest.raises(Conflict, match=f"is {status}"):
            require_pending(done, at)


def test_a_project_has_only_so_many_pending_and_so_many_bytes() -> None:
    one = upload()
    begun(NEW, one.id, PROJECT, 0, [one] * (MAX_PENDING - 1))
    with pytest.raises(Conflict, match="too many pending uploads"):
        begun(NEW, one.id, PROJECT, 0, [one] * MAX_PENDING)
    large = replace(one, size=MAX_UPLOAD_BYTES)
    with pytest.raises(Conflict, match="too many pending uploads"):
        begun(NEW, one.id, PROJECT, 0, [large] * (MAX_PENDING_BYTES // MAX_UPLOAD_BYTES))


def test_parts_are_counted_and_bounded() -> None:
    got = with_part(with_part(upload(), part(1, 4)), part(2, 6))
    assert (got.parts, got.received, got.version) == (2, 10, 3)
    with pytest.raises(Conflict, match="too many parts"):
        with_part(got, part(3, 1 << 27))
    with pytest.raises(Conflict, match="too many parts"):
        with_part(replace(got, parts=MAX_PARTS), part(3, 0))


def test_parts_come_in_the_order_asked_for_and_those_not_named_are_left_out() -> None:
    parts = [part(1, 4), part(2, 6), part(3, 6)]
    wanted = [UploadPartId("part_3"), UploadPartId("part_1")]
    assert [one.id for one in ordered(upload(), parts, wanted)] == wanted


@pytest.mark.parametrize(
    ("wanted", "text", "param"),
    [
        (["part_1", "part_9"], "No part found with id 'part_9'", "part_ids[1]"),
        (["part_1", "part_1"], "named once", "part_ids"),
        (["part_1"], "have 4 bytes, but the upload was created with 10", "part_ids"),
        ([], "have 0 bytes", "part_ids"),
    ],
)
def test_a_list_of_parts_that_is_not_the_file_is_refused(wanted: list[str], text: str, param: str) -> None:
    with pytest.raises(InvalidRequest, match=text) as refused:
        ordered(upload(), [part(1, 4), part(2, 6)], [UploadPartId(one) for one in wanted])
    assert refused.value.param == param
