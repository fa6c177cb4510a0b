"""What a cell shows: figures, pictures, values, tracebacks, as a notebook would; over the bubblewrap."""

import asyncio
import os
import select
import signal
import sys

import pytest

from tests.sandbox.support import ROOT, TWO, told
from threadmill.adapters.sandbox.session_pool import SessionPool
from threadmill.engine.ports.sandbox import Ended, EndReason

PLOT = "from matplotlib import pyplot as plt\nplt.plot([1, 2, 3])\n"
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.mark.parametrize(
    "code",
    [
        f"{PLOT}plt.show()",
        f"{PLOT}plt.gcf().show()\nplt.close()",
        f"{PLOT}plt.title('left open')",
        f"{PLOT}plt.savefig('/tmp/elsewhere.png')",
        f"{PLOT}import io\nplt.savefig(io.BytesIO())",
        "import pandas as pd\npd.Series([1, 2]).plot()",
        "import seaborn as sns\nsns.lineplot(x=[1, 2], y=[3, 4])",
        "from PIL import Image\nImage.new('RGB', (4, 4))",
    ],
)
async def test_a_picture_is_shown_once(bwrap: SessionPool, code: str) -> None:
    found = await told(bwrap, code)
    assert found.ended == Ended(EndReason.COMPLETED)
    assert [(image.name, image.path, image.data[:8]) for image in found.images] == [("figure.png", None, PNG)]
    assert found.written == []


async def test_a_figure_that_was_saved_is_not_shown_again(bwrap: SessionPool) -> None:
    found = await told(bwrap, f"{PLOT}plt.savefig('/mnt/data/a.png')\nplt.show()\nNone")
    assert [image.path for image in found.images] == ["a.png"]
    found = await told(bwrap, f"{PLOT}plt.savefig('b.jpg')\nNone")
    assert [(image.path, image.data[:3]) for image in found.images] == [("b.jpg", b"\xff\xd8\xff")]


async def test_a_figure_saved_as_a_document_is_a_file_and_is_shown(bwrap: SessionPool) -> None:
    found = await told(bwrap, f"{PLOT}plt.savefig('/mnt/data/a.pdf')")
    assert [image.path for image in found.images] == [None]
    assert [file.path for file in found.written] == ["a.pdf"]


async def test_several_figures_come_in_order_and_between_what_is_printed(bwrap: SessionPool) -> None:
    code = "for n in range(3):\n    plt.figure(); plt.plot([n]); plt.show(); print('after', n)"
    found = await told(bwrap, f"{PLOT}plt.close()\n{code}")
    assert len(found.images) == 3
    assert found.logs == "after 0\nafter 1\nafter 2\n"


async def test_what_is_called_an_image_but_is_none_is_a_file(bwrap: SessionPool) -> None:
    found = await told(bwrap, "open('/mnt/data/x.png', 'w').write('<svg>')\nNone")
    assert found.images == []
    assert [file.path for file in found.written] == ["x.png"]


@pytest.mark.parametrize(
    ("code", "shown"),
    [
        ("1 + 1", "2\n"),
        ("1 + 1;", ""),
        ("None", ""),
        ("x = 5", ""),
        ("'ü'", "'ü'\n"),
        ("print('a', end='')\n'b'", "a'b'\n"),
        ("import asyncio\nawait asyncio.sleep(0, 'slept')", "'slept'\n"),
        ("7\nif True: 8", ""),
        ("import subprocess\n_ = subprocess.run(['echo', 'from outside'])", "from outside\n"),
        ("import os\nos.getcwd()", "'/mnt/data'\n"),
        ("input()", None),
        ("import pandas as pd\npd.DataFrame({'a': [1]})", "   a\n0  1\n"),
        ("", ""),
    ],
)
async def test_the_value_of_the_last_expression_is_shown(bwrap: SessionPool, code: str, shown: str | None) -> None:
    found = await told(bwrap, code)
    if shown is None:
        assert found.ended.reason is EndReason.EXCEPTION
    else:
        assert (found.logs, found.ended) == (shown, Ended(EndReason.COMPLETED))


async def test_a_value_is_kept_under_an_underscore(bwrap: SessionPool) -> None:
    await told(bwrap, "20 + 1")
    assert (await told(bwrap, "_ * 2")).logs == "42\n"


async def test_a_value_that_cannot_be_shown_is_an_exception(bwrap: SessionPool) -> None:
    found = await told(bwrap, "class A:\n    def __repr__(self): raise ValueError('no')\nA()")
    assert found.ended == Ended(EndReason.EXCEPTION, "ValueError: no")


async def test_a_traceback_shows_the_codes_own_lines_through_other_cells_and_libraries(bwrap: SessionPool) -> None:
    await told(bwrap, "import pandas as pd\ndef pick(frame):\n    return frame['b']")
    found = await told(
        bwrap, "try:\n    pick(pd.DataFrame({'a': [1]}))\nexcept KeyError as e:\n    raise RuntimeError('deep') from e"
    )
    for line in (
        "    return frame['b']",
        "KeyError: 'b'",
        "direct cause",
        'File "cell 2", line 4',
        "RuntimeError: deep",
    ):
        assert line in found.logs
    for ours in ("/opt/runner", "interpreter.py", "threadmill"):
        assert ours not in found.logs
    assert found.ended == Ended(EndReason.EXCEPTION, "RuntimeError: deep")


async def test_an_exception_that_lies_about_itself_is_still_one(bwrap: SessionPool) -> None:
    found = await told(bwrap, "class E(Exception):\n    def __str__(self): raise ValueError\nraise E")
    assert found.ended.reason is EndReason.EXCEPTION
    assert (await told(bwrap, "1")).logs == "1\n"


async def test_random_numbers_of_two_threads_differ(bwrap: SessionPool) -> None:
    code = "import random, numpy\n(random.random(), numpy.random.rand(), numpy.random.default_rng().random())"
    one, two = eval((await told(bwrap, code)).logs), eval((await told(bwrap, code, TWO)).logs)
    assert not set(one) & set(two)


async def test_libraries_analysts_expect_are_there(bwrap: SessionPool) -> None:
    names = (
        "numpy pandas matplotlib PIL scipy openpyxl sympy sklearn seaborn statsmodels docx pptx pypdf lxml bs4 networkx"
    )
    found = await told(bwrap, f"import importlib\nfor name in '{names}'.split(): importlib.import_module(name)\n'all'")
    assert found.logs == "'all'\n"


async def test_when_the_server_is_killed_the_sandbox_ends() -> None:
    program = """
import asyncio
from tests.sandbox.support import bwrap_settings
from threadmill.adapters.sandbox.factory import bwrap_backend
async def main():
    backend = bwrap_backend(bwrap_settings())
    session = await backend.open()
    print((await backend.zygote()).process.pid, flush=True)
    async for _ in session.execute('while True: pass'): pass
asyncio.run(main())
"""
    server = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, cwd=ROOT, stdout=asyncio.subprocess.PIPE, env={**os.environ}
    )
    assert server.stdout is not None
    zygote = os.pidfd_open(int(await server.stdout.readline()))
    server.send_signal(signal.SIGKILL)
    await server.wait()
    ended, _, _ = await asyncio.to_thread(select.select, [zygote], [], [], 5)
    os.close(zygote)
    assert ended


async def test_pictures_have_every_script_and_emoji_and_their_drawing_warns_of_nothing(bwrap: SessionPool) -> None:
    code = (
        "import matplotlib.pyplot as plt\n"
        "plt.rcParams['font.sans-serif'] = ['SimHei']\n"
        "for pair in ('销售', '매출', 'あい', '🚀🎉', 'กข', 'कख'):\n"
        "    for letter in pair:\n"
        "        plt.figure(figsize=(1, 1)); plt.text(0, 0, letter, size=40); plt.axis('off'); plt.show()"
    )
    found = await told(bwrap, code)
    assert (found.logs, found.ended) == ("", Ended(EndReason.COMPLETED))
    assert len({image.data for image in found.images}) == 12, "a box is the same for every letter"
