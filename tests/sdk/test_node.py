"""The unmodified official Node SDK against a live server."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent / "node"

if shutil.which("node") is None or not (FOLDER / "node_modules" / "openai").exists():
    pytest.skip("node or its SDK is not installed (make setup says how)", allow_module_level=True)


def test_all_helpers_of_the_node_sdk(server_url: str) -> None:
    done = subprocess.run(
        ["node", str(FOLDER / "drive.mjs"), server_url, "rehearsal"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen["createAndPoll"] == ["completed", "one two"]
    assert seen["stream"]["run"] == "completed"
    assert seen["stream"]["same"] is True
    counts = seen["stream"]["counts"]
    assert (counts["textDelta"], counts["messageDone"], counts["runStepDone"], counts["end"]) == (2, 1, 1, 1)
    assert seen["submitToolOutputsAndPoll"] == [2, "completed", True]
    assert seen["submitInsideStream"]["text"] == "sunny"
    assert seen["createAndRun"] == ["completed", "completed"]
    assert seen["autoPaging"] == 25
    assert seen["errors"] == {
        "notFound": ["NotFoundError", 404, None],
        "badRequest": ["BadRequestError", 400, "invalid_value"],
        "undefinedId": ["BadRequestError", 400, "invalid_value"],
    }
