"""What comes out of a sandbox comes whole and in order: prints and pictures at the same time do not mix."""

from tests.sandbox.support import ONE, bwrap_settings
from tests.support.stage import FakeClock
from threadmill.adapters.sandbox.opening import bwrap_backend
from threadmill.adapters.sandbox.sessions import Lifetimes, ThreadSessions
from threadmill.engine.ports.sandbox import Ended, Ending, Image, Written

CODE = """
import matplotlib.pyplot as plt, numpy as np
for number in range(6):
    plt.imshow(np.random.rand(300, 300))
    plt.show()
    print(number, flush=True)
"""


async def test_pictures_and_prints_come_whole_and_in_the_order_of_the_code() -> None:
    sessions = ThreadSessions(bwrap_backend(bwrap_settings()), Lifetimes(), FakeClock())
    try:
        outputs = [output async for output in sessions.execute(ONE, CODE)]
    finally:
        await sessions.close()
    assert outputs[-1] == Ended(Ending.COMPLETED)
    images = [output for output in outputs if isinstance(output, Image)]
    assert [image.data[-8:-4] for image in images] == [b"IEND"] * 6
    shown = [
        "picture" if isinstance(output, Image) else output.text
        for output in outputs
        if not isinstance(output, (Ended, Written))
    ]
    assert "".join(shown) == "".join(f"picture{number}\n" for number in range(6))
