"""What models write because notebooks understand it runs here too, behind the same walls."""

import pytest

from tests.sandbox.support import ONE, told
from threadmill.adapters.sandbox.session_pool import SessionPool
from threadmill.engine.ports.sandbox import EndReason


@pytest.mark.parametrize(
    ("code", "shown"),
    [
        ("!echo hello", "hello\n"),
        ("x = !printf 'a\\nb'\nx", "['a', 'b']\n"),
        ("%matplotlib inline\nprint('on')", "on\n"),
        ("%cd /tmp\n%pwd", "/tmp\n'/tmp'\n"),
        ("name = 'a.txt'\n!echo {name} > $name && cat a.txt", "a.txt\n"),
        ("%%writefile b.txt\nhi", "Writing b.txt\n"),
        ("%%writefile c.txt\npip install x\n", "Writing c.txt\n"),
        ('!true\nx = """\npip install x"""\nx', "'\\npip install x'\n"),
        ("%%bash\necho one\necho two", "one\ntwo\n"),
        ("%%capture kept\nprint('hidden')", ""),
        ("  x = 1\n  x", "1\n"),
        (">>> 1 + 1", "2\n"),
        ("%env SHOWN=1\n!echo $SHOWN", "1\n"),
        ("%load_ext autoreload\n%autoreload 2", ""),
        ("value = 4\n%who", "value\n"),
    ],
)
async def test_a_cell_is_read_as_a_notebook_would(bwrap: SessionPool, code: str, shown: str) -> None:
    found = await told(bwrap, code)
    assert found.logs.removeprefix("env: SHOWN=1\n") == shown
    assert found.ended.reason is EndReason.COMPLETED


@pytest.mark.parametrize(
    ("code", "shown"),
    [
        ("%%time\nsum([1, 2])", "3\nCPU times"),
        ("%timeit -n1 -r1 1 + 1", " per loop"),
        ("%%timeit -n1 -r1\n1 + 1", " per loop"),
        ("len?", "Return the number of items"),
        ("pip install -q numpy\nprint('on')", "on\n"),
        ("pip install numpy", "Requirement already satisfied: numpy"),
        ("if True:\n    python -m pip list", "numpy=="),
        ("!pip install numpy pandas==1.0", "Requirement already satisfied: numpy"),
        ("%pip install -q pillow", "Requirement already satisfied: pillow"),
        ("!python -m pip list", "numpy=="),
        ("!pip install tensorflow", "there is no network in this sandbox"),
        (
            "import subprocess, sys\nsubprocess.run([sys.executable, '-m', 'pip', 'install', 'numpy'])",
            "already satisfied",
        ),
    ],
)
async def test_magics_and_pip_say_what_there_is(bwrap: SessionPool, code: str, shown: str) -> None:
    assert shown in (await told(bwrap, code)).logs


async def test_what_a_cell_writes_is_written_as_it_stands(bwrap: SessionPool) -> None:
    await told(bwrap, "%%writefile readme.md\npip install x\n")
    assert (await told(bwrap, "open('readme.md').read()")).logs == "'pip install x\\n'\n"


async def test_a_magic_that_is_not_there_is_an_exception(bwrap: SessionPool) -> None:
    found = await told(bwrap, "%sql SELECT 1")
    assert found.ended.reason is EndReason.EXCEPTION
    assert "Line magic function `%sql` not found." in found.logs


async def test_a_syntax_error_is_told_in_the_code_as_it_was_written(bwrap: SessionPool) -> None:
    found = await told(bwrap, "print('a')\nif x\n")
    assert found.ended.reason is EndReason.EXCEPTION
    assert "if x" in found.logs
    assert "get_ipython" not in found.logs


async def test_a_shell_command_is_stopped_with_its_cell(bwrap: SessionPool) -> None:
    running = bwrap.execute(ONE, "!echo on; sleep 60")
    async for _ in running:
        break
    await running.aclose()
    assert (await told(bwrap, "'well'")).logs == "'well'\n"
