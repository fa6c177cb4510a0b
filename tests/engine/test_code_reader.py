"""The code inside the arguments of a call, however the upstream cuts them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from threadmill.engine.prompt.code_argument_parser import CodeArgumentParser


def read(*pieces: str) -> tuple[list[str], CodeArgumentParser]:
    reader = CodeArgumentParser()
    return [reader.feed(piece) for piece in pieces] + [reader.close()], reader


@given(st.text(), st.booleans(), st.data())
def test_code_comes_out_whole_however_it_is_cut(code: str, ascii_only: bool, data: st.DataObject) -> None:
    arguments = json.dumps({"code": code}, ensure_ascii=ascii_only)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(arguments)), max_size=8)))
    pieces = [arguments[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(arguments)], strict=True)]
    said, reader = read(*pieces)
    assert "".join(said) == reader.text == code
    assert reader.is_valid


def test_what_is_sure_is_said_at_once() -> None:
    said, _ = read('{"co', 'de": "print', "(1)\\", "nx\\u00e", "9\\ud83c", '\\udf2e"', "}")
    assert said == ["", "print", "(1)", "\nx", "é", "🌮", "", ""]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ("print(1)", "print(1)"),
        ("1 + 1", "1 + 1"),
        ("42", "42"),
        ('"print(1)"', "print(1)"),
        ('{"input": "print(1)"}', "print(1)"),
        ('{"language": "python", "code": "print(1)"}', "print(1)"),
        ('{"code": "print(1)", "timeout": 5}', "print(1)"),
        ('{"code": "a\nb"}', "a\nb"),
        ('{"code": "x = \'\\ud800\'"}', "x = '\ufffd'"),
        ('{"code": ""}', ""),
    ],
)
def test_other_ways_of_models_to_write_code_are_understood(arguments: str, code: str) -> None:
    _, reader = read(arguments)
    assert (reader.text, reader.is_valid) == (code, True)


@pytest.mark.parametrize(
    "arguments", ["", "  ", "{}", '{"code": 1}', '{"a": "x", "b": "y"}', '{"code": "print(1)', '{"code": "\\x"}']
)
def test_arguments_without_code_are_not_understood(arguments: str) -> None:
    _, reader = read(arguments)
    assert not reader.is_valid


def test_a_key_written_twice_counts_as_it_was_streamed() -> None:
    said, reader = read('{"code": "a", "code": "b"}')
    assert said == ["a", ""]
    assert reader.text == "a"
