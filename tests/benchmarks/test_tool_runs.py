"""The agent with tools on a real small model: over an offline corpus, and over pages served on this machine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from reagent_sdk import RunLog
from reagent_sdk.testing.server import ChatServer

pytestmark = pytest.mark.real_model
VERDICT = "<analysis>\nfor me alone\n</analysis>\n<critique>\nShow the steps.\n</critique>\n<score>0.4</score>"
DATA = Path(os.environ.get("REAGENT_DATA") or Path(__file__).parents[3] / "shared" / "data")


@pytest.mark.skipif(not DATA.is_dir(), reason=f"no data at {DATA}; set REAGENT_DATA to the public data sets")
def test_real_runs_call_their_tools_and_are_saved_and_resumed(tmp_path: Path) -> None:
    log = tmp_path / "runs.jsonl"
    limits = ["--questions", "1", "--steps", "1", "--rounds", "0", "--seconds", "240"]
    command = [sys.executable, "-m", "reagent_benchmarks.tool_runs", "--data", str(DATA), "--out", str(log), *limits]
    with ChatServer([VERDICT]) as judge:  # the model is for the agent's calls: real verdicts are tested elsewhere
        command += ["--judge", judge.base_url]
        printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        before = log.read_bytes()
        subprocess.run(command, capture_output=True, check=True)
        assert log.read_bytes() == before  # nothing is run twice
        assert len(judge.requests) == 5
    assert "gold in answer" in printed
    runs = list(RunLog(log).read())
    assert len(runs) == 5
    called = {run.task.question: [m for m in run.attempts[0].trajectory.messages if m.role == "tool"] for run in runs}
    assert all(called.values())
    texts = [message.text for messages in called.values() for message in messages]
    assert any(text.startswith(("Search results", "URL: ")) for text in texts)
    assert [run.attempts[0].score for run in runs] == [0.4] * 5
