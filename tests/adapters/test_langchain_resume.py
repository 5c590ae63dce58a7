"""Runs of the LangChain middleware that are killed, and go on from their checkpoint in another process."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("langchain")

SCRIPT = Path(__file__).parent / "langchain_resume.py"
SQLITE = importlib.util.find_spec("langgraph.checkpoint.sqlite") is not None
CALLS = {
    "judge-draft": ["model-draft", "judge-draft", "judge-draft", "model-revision", "judge-revision"],
    "model-revision": ["model-draft", "judge-draft", "model-revision", "model-revision", "judge-revision"],
    "judge-revision": ["model-draft", "judge-draft", "model-revision", "judge-revision", "judge-revision"],
}


@pytest.mark.parametrize("hang", list(CALLS))
@pytest.mark.parametrize(
    "saver", ["file", pytest.param("sqlite", marks=pytest.mark.skipif(not SQLITE, reason="no SqliteSaver here"))]
)
def test_a_killed_run_goes_on_judges_nothing_twice_and_keeps_the_best(tmp_path: Path, saver: str, hang: str) -> None:
    command = [sys.executable, str(SCRIPT), str(tmp_path), saver]
    with subprocess.Popen([*command, hang], stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "hanging\n"
        first.kill()
    second = subprocess.run([*command, "none"], capture_output=True, text=True, timeout=240)
    assert second.returncode == 0, second.stderr
    told = json.loads(second.stdout)
    assert told == {"messages": ["write", "draft of mine"], "scores": [0.8, 0.1], "calls": 4}
    assert (tmp_path / "calls").read_text().split() == CALLS[hang]  # only what was under way is done again
