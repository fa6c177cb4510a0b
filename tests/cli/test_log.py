"""What stands in the log: one line a record, whatever a stranger's words hold."""

import json
import logging
import sys

import pytest

from threadmill.cli.serve import JsonFormatter, TextFormatter

HOSTILE = "a.txt\n2026-01-01 ERROR threadmill: forged \x1b[2J\x9b31m"


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()])
def test_a_strangers_words_are_one_line_and_drive_no_terminal(formatter: logging.Formatter) -> None:
    record = logging.LogRecord("threadmill", logging.WARNING, __file__, 1, "%s was not read", (HOSTILE,), None)
    line = formatter.format(record)
    assert line.isprintable()
    assert "forged" in line


def test_a_traceback_stands_below_its_line_or_inside_its_object() -> None:
    try:
        raise ValueError("x")
    except ValueError:
        record = logging.LogRecord("threadmill", logging.ERROR, __file__, 1, "failed", (), sys.exc_info())
    head, *traceback = TextFormatter().format(record).splitlines()
    assert head.endswith("ERROR threadmill: failed")
    assert traceback[-1] == "ValueError: x"
    assert json.loads(JsonFormatter().format(record))["traceback"].endswith("ValueError: x")
