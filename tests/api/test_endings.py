"""The ways a run ends that time and the model decide: expired, and failed with each code there is."""

from pathlib import Path

import pytest

from tests.support.serving import Live, Sent, serving

CODES = {"fail: rate_limit": "rate_limit_exceeded", "fail: server_error": "server_error", "sing: la": "invalid_prompt"}


def names(events: list[Sent]) -> list[str]:
    return [event.name for event in events]


async def test_a_run_whose_time_is_over_expires_and_closes_what_it_had_open(tmp_path: Path) -> None:
    async with serving(tmp_path, RUN_TTL_SECONDS="3") as live:
        assistant, thread = await live.api.assistant(), await live.api.thread("say: half a sentence\nfail: stall")
        events = await live.api.stream(f"/threads/{thread}/runs", {"assistant_id": assistant})
        assert names(events)[-4:] == [
            "thread.message.incomplete",
            "thread.run.step.expired",
            "thread.run.expired",
            "done",
        ]
        message, step, run = (event.data for event in events[-4:-1])
        assert message["incomplete_details"] == {"reason": "run_expired"}
        assert (step["status"], run["status"], run["completed_at"]) == ("expired", "expired", None)
        stored = await live.api.ok("GET", f"/threads/{thread}/runs/{run['id']}")
        assert stored["status"] == "expired"
        await live.api.ok("POST", f"/threads/{thread}/messages", {"role": "user", "content": "free again"})


@pytest.mark.parametrize("script", CODES)
async def test_a_failed_run_and_its_step_say_why(live: Live, script: str) -> None:
    assistant, thread = await live.api.assistant(), await live.api.thread(f"say: half\n{script}")
    events = await live.api.stream(f"/threads/{thread}/runs", {"assistant_id": assistant})
    assert names(events)[-2:] == ["thread.run.failed", "done"]
    run = events[-2].data
    assert run["last_error"]["code"] == CODES[script]
    assert (run["failed_at"] is None, run["completed_at"]) == (False, None)
    steps = [event.data for event in events if event.name == "thread.run.step.failed"]
    # A script is read before it is played, so one that is wrong has no step.
    assert [step["last_error"]["code"] for step in steps] == ([] if script == "sing: la" else [CODES[script]])
