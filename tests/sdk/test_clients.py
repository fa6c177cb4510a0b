"""Every check of the script set, on every official SDK: what a client saw is what it must see."""

import pytest

from tests.sdk.clients import SDKS, SECONDS
from tests.sdk.conftest import ReportOf
from tests.sdk.expected import EXPECTED, RAISES, expected, without_frozen
from tests.sdk.page import PAGE, page
from tests.support.machine import lack

CASES = [
    pytest.param(sdk.name, kind, check, id=f"{sdk.name}-{kind}-{check}")
    for sdk in SDKS
    for kind in sdk.kinds
    for check in EXPECTED
]
BY_NAME = {sdk.name: sdk for sdk in SDKS}


@pytest.mark.needs("sandbox")
@pytest.mark.timeout(SECONDS + 60)  # the first of an SDK waits for all of it
@pytest.mark.parametrize(("sdk", "kind", "check"), CASES)
def test_client(sdk: str, kind: str, check: str, report_of: ReportOf) -> None:
    lack(BY_NAME[sdk].missing())  # away from a network; where tests decide about a change, never
    told = report_of(sdk)[kind][check]
    if (sdk, check) in RAISES:
        assert RAISES[sdk, check] in told["error"]
        return
    assert "error" not in told, told["error"]
    assert without_frozen(sdk, told["seen"]) == expected(sdk, check)


@pytest.mark.timeout(SECONDS + 60)
@pytest.mark.parametrize("sdk", [sdk.name for sdk in SDKS])
@pytest.mark.needs("sandbox")
def test_every_client_ran_every_check(sdk: str, report_of: ReportOf) -> None:
    lack(BY_NAME[sdk].missing())  # away from a network; where tests decide about a change, never
    for report in report_of(sdk).values():
        assert set(report) == set(EXPECTED)


def test_the_page_of_clients_is_fresh() -> None:
    assert PAGE.read_text() == page(), "stale: make docs"
