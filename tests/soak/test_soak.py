"""The soak of `make soak`, for some seconds."""

import pytest

from tests.soak.soak import problems, soak, table


@pytest.mark.needs("sandbox")
async def test_many_clients_do_everything_at_once_and_no_run_fails() -> None:
    crowd, before, after = await soak(seconds=8, seed=1)
    assert problems(crowd, before, after) == [], table(crowd, before, after)
    assert crowd.streams > 50
