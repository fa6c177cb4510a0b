"""The quick copy is the copy that the standard library makes."""

import dataclasses
from typing import Any

import pytest

from threadmill.domain.decide import Decision, RunState
from threadmill.domain.ids import FileId
from threadmill.domain.message import ImageFilePart, Message
from threadmill.domain.replacement import replace
from threadmill.domain.run import Run
from threadmill.domain.run_step import RunStep
from threadmill.domain.tool import CodeInterpreterTool


@pytest.mark.parametrize("kind", [Run, RunStep, Message, RunState, Decision, ImageFilePart, CodeInterpreterTool])
def test_a_copy_with_changes_is_that_of_the_standard_library(kind: type[Any]) -> None:
    names = [field.name for field in dataclasses.fields(kind) if field.init]
    row = kind(**{name: f"old {name}" for name in names})
    assert replace(row) == row
    assert replace(row) is not row
    for name in names:
        changed = replace(row, **{name: "new"})
        assert (type(changed), changed) == (kind, dataclasses.replace(row, **{name: "new"}))
    assert row == kind(**{name: f"old {name}" for name in names})


def test_what_is_no_field_is_not_set() -> None:
    with pytest.raises(AttributeError):
        replace(ImageFilePart(FileId("file_1")), file="file_2")
