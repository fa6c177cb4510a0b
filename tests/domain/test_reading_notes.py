"""What a reader was not sure of, in sentences."""

from threadmill.domain.reading_notes import ReadingNotes


def test_a_file_that_was_read_whole_leaves_no_doubt() -> None:
    assert ReadingNotes("PDF", pages=40).doubts() == []


def test_every_doubt_is_a_sentence() -> None:
    notes = ReadingNotes("PDF", None, replaced=1_200, pages=40, blank_pages=3, remarks=("A form has no text.",))
    assert notes.doubts() == [
        "A form has no text.",
        "1,200 characters mean nothing in its encoding and were replaced.",
        "3 of 40 pages have no text.",
    ]
