"""Vector stores, their files and batches: counts, statuses and lives."""

import pytest

from threadmill.domain.error import Conflict, InvalidRequest
from threadmill.domain.ids import FileBatchId, FileId, ProjectId, VectorStoreId
from threadmill.domain.supported_file import (
    SPREADSHEET_EXTENSIONS,
    SUPPORTED_EXTENSIONS,
    check_supported,
    extension_of,
)
from threadmill.domain.vector_store import (
    MAX_STORE_FILES,
    CountChange,
    ExpiresAfter,
    FileBatch,
    FileBatchStatus,
    FileCounts,
    FileError,
    FileErrorCode,
    VectorStore,
    VectorStoreFile,
    VectorStoreStatus,
    check_expiry,
    check_store_room,
    usage_bytes,
)

PROJECT, STORE = ProjectId("default"), VectorStoreId("vs_1")
FILE = VectorStoreFile(FileId("file-1"), STORE, PROJECT, 100)
ERROR = FileError(FileErrorCode.INVALID_FILE, "The file is empty.")


def store(expires_after: ExpiresAfter | None = None) -> VectorStore:
    return VectorStore(STORE, PROJECT, 100, 100, expires_after=expires_after)


def test_an_empty_store_is_completed() -> None:
    assert store().status(100) is VectorStoreStatus.COMPLETED
    assert store().file_counts.total == 0


def test_counts_bytes_and_status_follow_a_file_through_its_life() -> None:
    with_one = store().counted(CountChange.of(None, FILE))
    assert (with_one.status(100), with_one.file_counts) == (VectorStoreStatus.IN_PROGRESS, FileCounts(in_progress=1))
    done = FILE.completed("e", 1_045)
    ready = with_one.counted(CountChange.of(FILE, done))
    assert (ready.status(100), ready.file_counts, ready.usage_bytes) == ("completed", FileCounts(completed=1), 1_045)
    empty = ready.counted(CountChange.of(done, None))
    assert empty == store(), "counting makes no new version"


def test_a_store_whose_files_failed_is_completed() -> None:
    failed = store().counted(CountChange.of(None, FILE) + CountChange.of(FILE, FILE.failed(ERROR)))
    assert failed.status(100) is VectorStoreStatus.COMPLETED
    assert failed.file_counts == FileCounts(failed=1)


def test_a_file_says_why_it_failed() -> None:
    assert FILE.failed(ERROR).last_error == ERROR


@pytest.mark.parametrize("settled", [FILE.completed("e", 1), FILE.failed(ERROR), FILE.cancelled()])
def test_a_file_settles_once(settled: VectorStoreFile) -> None:
    with pytest.raises(Conflict):
        settled.completed("e", 1)
    with pytest.raises(Conflict):
        settled.failed(ERROR)
    with pytest.raises(Conflict):
        settled.cancelled()


def test_a_store_lives_so_many_days_from_its_last_use() -> None:
    mortal = store(ExpiresAfter(3))
    assert mortal.expires_at == 100 + 3 * 86_400
    assert mortal.status(mortal.expires_at - 1) is VectorStoreStatus.COMPLETED
    assert mortal.status(mortal.expires_at) is VectorStoreStatus.EXPIRED
    assert mortal.counted(CountChange(), used_at=200).expires_at == 200 + 3 * 86_400
    assert mortal.counted(CountChange(), used_at=99) == mortal, "an earlier use that is noted later takes nothing away"


def test_a_store_has_room_for_so_many_files() -> None:
    check_store_room(MAX_STORE_FILES)
    with pytest.raises(InvalidRequest, match=r"at most 10,000 files; this one would have 10,001\."):
        check_store_room(MAX_STORE_FILES + 1)


def test_a_batch_reads_as_its_files_do() -> None:
    batch = FileBatch(FileBatchId("vsfb_1"), PROJECT, STORE, 100)
    assert batch.status is FileBatchStatus.COMPLETED
    running = batch.counted(CountChange(FileCounts(in_progress=2)))
    assert (running.status, running.file_counts.total) == (FileBatchStatus.IN_PROGRESS, 2)
    half = running.counted(CountChange.of(FILE, FILE.completed("e", 1)))
    assert half.status is FileBatchStatus.IN_PROGRESS
    ended = half.counted(CountChange.of(FILE, FILE.cancelled()))
    assert (ended.status, ended.file_counts) == (FileBatchStatus.CANCELLED, FileCounts(completed=1, cancelled=1))


def test_a_text_of_21_bytes_counts_as_the_service_counts_it() -> None:
    assert usage_bytes(["twenty-one characters"]) == 1_045


@pytest.mark.parametrize(("days", "code"), [(0, "integer_below_min_value"), (366, "integer_above_max_value")])
def test_a_life_outside_a_year_is_refused(days: int, code: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        check_expiry(ExpiresAfter(days))
    assert (refused.value.param, refused.value.code) == ("expires_after.days", code)


@pytest.mark.parametrize("days", [1, 365])
def test_a_life_of_a_day_or_a_year_is_taken(days: int) -> None:
    assert check_expiry(ExpiresAfter(days)).days == days


def test_files_are_told_by_their_last_extension() -> None:
    assert [extension_of(name) for name in ("a.PDF", "a.tar.gz", "README", "你好.txt")] == [".pdf", ".gz", "", ".txt"]


def test_unsupported_files_are_refused_in_the_words_of_the_service() -> None:
    check_supported(["a.md", "b.PDF", "c.csv", "d.xlsx"])
    with pytest.raises(InvalidRequest) as refused:
        check_supported(
            ["a.csv", "b.xlsx", "c.csv", "README", "d.txt"], supported=SUPPORTED_EXTENSIONS - SPREADSHEET_EXTENSIONS
        )
    assert str(refused.value).startswith("Files with extensions [.csv, .xlsx, none] are not supported for retrieval.")
    assert (refused.value.param, refused.value.code) == ("file_ids", "unsupported_file")
