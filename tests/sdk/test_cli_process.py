"""The command as a process: pipes, terminals, Ctrl-C, and the real embedded model."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from reagent_sdk import RunLog, StopReason
from reagent_sdk.testing.server import ChatServer, Fault, Reply

VERDICT = "<analysis>\nfor me alone\n</analysis>\n<critique>\nShow the steps.\n</critique>\n<score>0.4</score>"
EVIL = "\x1b]0;pwned\x07\x1b[2J[bold]42[/bold]"


def is_judge(body: dict[str, Any]) -> bool:
    return "strict reviewer" in str(body["messages"][0]["content"])


def answers(body: dict[str, Any]) -> str:
    return VERDICT if is_judge(body) else EVIL


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with ChatServer(answers) as running:
        yield running


@pytest.fixture
def environment(home: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("REAGENT_")}
    return kept | {"REAGENT_HOME": str(home), "COLUMNS": "80", "TERM": "xterm-256color"}


Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(environment: dict[str, str]) -> Start:
    def begin(*words: str, **options: Any) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "reagent_sdk", *words]
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL}
        return subprocess.Popen(command, text=True, env=environment, **(streams | options))

    return begin


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=240)
    return process.returncode, out, err


def on_a_terminal(start: Start, *words: str) -> tuple[int, str]:
    """Exit code and everything that reached the terminal."""
    leader, follower = pty.openpty()
    process = start(*words, stdout=follower, stderr=follower, stdin=follower)
    os.close(follower)
    shown = b""
    while True:
        try:
            piece = os.read(leader, 65_536)
        except OSError:  # how Linux tells that the last writer is gone
            break
        if not piece:
            break
        shown += piece
    os.close(leader)
    return process.wait(timeout=240), shown.decode()


def test_everything_end_to_end(start: Start, server: ChatServer, tmp_path: Path) -> None:
    url = server.base_url
    code, out, err = finish(start("ask", "What is 6 * 7?", "--model", f"{url}#agent", "--judge", url))
    assert (code, out) == (0, "[bold]42[/bold]\n")
    assert "\x1b" not in err
    code, out, _ = finish(start("runs", "list", "--json"))
    (row,) = map(json.loads, out.splitlines())
    assert (row["question"], row["scores"], row["stop"]) == ("What is 6 * 7?", [0.4, 0.4], "rounds")
    code, out, _ = finish(start("runs", "show", row["id"][:8]))
    assert code == 0
    assert "\x1b" not in out
    scored = tmp_path / "verdicts.jsonl"
    code, out, err = finish(start("score", str(tmp_path / "home" / "runs.jsonl"), "--judge", url, "--out", str(scored)))
    assert (code, json.loads(scored.read_text())["id"]) == (0, row["id"])
    assert err == ""  # no bar in a file
    assert "mean score" in out
    assert finish(start("doctor", "--judge", url))[0] == 0


def test_json_is_all_that_comes_on_stdout(start: Start, server: ChatServer) -> None:
    words = ("--model", server.base_url, "--judge", server.base_url, "--json")
    code, out, err = finish(start("ask", "q", *words))
    assert code == 0
    assert out.isascii()
    data = json.loads(out)
    assert data["answer"] == EVIL  # exact here, and harmless: escaped
    assert len(data["run"]["attempts"]) == 2
    assert "Attempt 1" in err


def test_on_a_terminal_the_view_is_live_and_the_answer_comes_last(start: Start, server: ChatServer) -> None:
    code, shown = on_a_terminal(start, "ask", "q", "--model", server.base_url, "--judge", server.base_url)
    assert code == 0
    assert "pwned" not in shown
    assert "\x1b[2J" not in shown
    assert "the agent works" in shown  # the moving part
    plain = re.sub(r"\x1b\[[0-?]*[@-~]", "", shown)
    assert re.search(r"score +0\.40 █+░+", plain)
    assert plain.rstrip().endswith("[bold]42[/bold]")
    assert plain.index("Show the steps.") < plain.index("Answer ─")


@pytest.mark.parametrize("stage", ["agent", "judge"])
def test_ctrl_c_ends_with_one_line_and_keeps_the_run(start: Start, home: Path, stage: str) -> None:
    def hangs(body: dict[str, Any]) -> str | Fault:
        return Fault.hang() if is_judge(body) == (stage == "judge") else "the draft"

    with ChatServer(hangs) as server:
        process = start("ask", "q", "--model", server.base_url, "--judge", server.base_url)
        wanted = 2 if stage == "judge" else 1
        while len(server.requests) < wanted:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        code, out, err = finish(process)
        assert server.wait_disconnect()
    assert (code, out) == (130, "")
    assert err.splitlines()[-1] == f"error: interrupted; the run so far is in {home / 'runs.jsonl'}"
    assert "Traceback" not in err
    (run,) = RunLog(home / "runs.jsonl").read()
    assert run.stop is StopReason.STOPPED


def test_ctrl_c_keeps_the_verdicts_that_are_there(start: Start, tmp_path: Path) -> None:
    asked: list[int] = []

    def slow_after_two(_: dict[str, Any]) -> Reply | Fault:
        asked.append(1)
        return Reply(VERDICT) if len(asked) <= 2 else Fault.hang()

    file, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    file.write_text("".join(json.dumps({"question": f"q{number}", "answer": "a"}) + "\n" for number in range(9)))
    with ChatServer(slow_after_two) as server:
        process = start("score", str(file), "--judge", server.base_url, "--out", str(out), "--concurrency", "2")
        while len(asked) < 4:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        code, _, err = finish(process)
    assert code == 130
    assert "run it again to go on" in err
    assert "Traceback" not in err
    assert len(out.read_text().splitlines()) == 2


def test_a_reader_that_goes_away_is_no_error(start: Start, home: Path, server: ChatServer) -> None:
    finish(start("ask", "q", "--model", server.base_url, "--judge", server.base_url))
    log = home / "runs.jsonl"
    log.write_text(log.read_text() * 400)
    process = start("runs", "list", "--json", "--limit", "400")
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == ""
    process.stderr.close()
    process.wait(timeout=240)


@pytest.mark.real_model
def test_the_demo_runs_on_the_real_model(
    start: Start, home: Path, smollm: Path, environment: dict[str, str], server: ChatServer
) -> None:
    place = home / "models" / smollm.parent.name
    place.mkdir(parents=True)
    for file in smollm.parent.iterdir():
        if file.is_file():
            (place / file.name).symlink_to(file)
    code, out, err = finish(start("demo", "--question", "What is 2 plus 3?"))
    assert code == 0, err
    assert err == ""
    assert "its score is a hint" in " ".join(out.split()), "what so small a judge cannot do is said at once"
    for part in ("135 million", "What is 2 plus 3?", "score", "critique", "decision", "First token after"):
        assert part in out
    assert str(home / "runs.jsonl") in out
    (run,) = RunLog(home / "runs.jsonl").read()
    assert all(attempt.score is not None for attempt in run.attempts)
    environment["REAGENT_JUDGE"] = server.base_url  # sooner heard than a second round of real verdicts
    code, out, _ = finish(start("demo", "--json", "--question", "What is 2 plus 3?"))
    assert code == 0
    data = json.loads(out)
    assert set(data["questions"][0]["scores"]) == {0.4}
    assert data["seconds_to_first_token"] < 30  # half a second on an idle machine
