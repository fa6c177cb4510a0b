"""What comes out of a sandbox comes whole: prints and pictures at the same time do not mix."""

from tests.sandbox.support import ONE, bwrap_settings, told
from tests.support.stage import FakeClock
from threadmill.adapters.sandbox.factory import bwrap_backend
from threadmill.adapters.sandbox.session_pool import SessionPool
from threadmill.adapters.sandbox.session_slot import PoolLimits
from threadmill.engine.ports.sandbox import Ended, EndReason, Logs

CODE = """
import matplotlib.pyplot as plt, numpy as np
for number in range(6):
    plt.imshow(np.random.rand(300, 300))
    plt.show()
    print(number, flush=True)
"""


async def test_a_picture_is_whole_though_the_code_prints_meanwhile() -> None:
    sessions = SessionPool(bwrap_backend(bwrap_settings()), PoolLimits(), FakeClock())
    try:
        found = await told(sessions, CODE)
    finally:
        await sessions.close()
    assert found.ended.reason is EndReason.COMPLETED
    assert found.logs == "0\n1\n2\n3\n4\n5\n"
    assert [image.data[-8:-4] for image in found.images] == [b"IEND"] * 6


async def test_pictures_and_prints_come_in_the_order_the_code_made_them() -> None:
    sessions = SessionPool(bwrap_backend(bwrap_settings()), PoolLimits(), FakeClock())
    code = "import matplotlib.pyplot as plt\nfor number in range(20):\n    plt.plot([1])\n    plt.show()\n    print(number)"
    try:
        came = [output async for output in sessions.execute(ONE, code) if not isinstance(output, Ended)]
    finally:
        await sessions.close()
    assert [output.text if isinstance(output, Logs) else "picture" for output in came] == [
        told for number in range(20) for told in ("picture", f"{number}\n")
    ]
