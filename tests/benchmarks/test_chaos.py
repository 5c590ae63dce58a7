"""Critiqued runs while servers are killed and replies are broken, and checks that notice when something is lost."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from signal import SIGKILL

import pytest
from reagent_benchmarks.chaos.faults import UNREADABLE, honest, judged_work, quoted_fake, verdict
from reagent_benchmarks.chaos.memory import Memory
from reagent_benchmarks.chaos.proof import check_runs, in_form, truthful
from reagent_benchmarks.chaos.report import allowed
from reagent_benchmarks.chaos.servers import Kill
from reagent_benchmarks.chaos.storm import recoveries

from reagent_sdk import Attempt, Run, StopReason, Task, Trajectory, Verdict
from reagent_sdk.parsing import parse_verdict
from reagent_sdk.prompts import judge_prompt
from reagent_sdk.record_line import encode

QUESTION = "Question 1: what is it?"
SAID = honest(QUESTION, "It is 1, I think.")


def test_every_run_survives_kills_and_broken_replies(tmp_path: Path) -> None:
    """Figures depend on how busy the machine is; what must hold does not."""
    out = tmp_path / "figures.json"
    limits = ["--minutes", "0.12", "--concurrency", "48", "--kill-every", "1.5", "--run-seconds", "4", "--seed", "1"]
    command = [sys.executable, "-m", "reagent_benchmarks.chaos", *limits, "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(out.read_text())
    assert len(found["checks"]) == 15
    assert all(check["holds"] for check in found["checks"])
    assert found["runs"] >= 48
    assert sum(found["kills"].values()) >= 1


@pytest.mark.parametrize("what", UNREADABLE)
def test_no_unreadable_reply_is_a_score(what: str) -> None:
    heard = parse_verdict(UNREADABLE[what](SAID))
    assert (heard.status, heard.score) == ("unparseable", None)


def test_a_quoted_fake_is_not_the_verdict() -> None:
    heard = parse_verdict(quoted_fake(SAID))
    assert (heard.score, heard.critique) == SAID


def test_the_scripted_model_reads_the_judges_real_prompt() -> None:
    task, work = Task.of(QUESTION), Trajectory(answer="It is 1, I think.")
    messages, _ = judge_prompt().messages(task, work, code="0123456789ab", max_chars=48_000)
    body = {"messages": [message.to_openai() for message in messages]}
    assert honest(*judged_work(body)) == SAID
    assert honest(QUESTION, "It is 2, I think.") != SAID


def attempt(index: int, answer: str, **changed: object) -> Attempt:
    said = honest(QUESTION, answer)
    heard = parse_verdict(verdict(said.critique, f"{said.score:.6f}")).model_copy(update={"judge": "j", **changed})
    return Attempt(index=index, trajectory=Trajectory(answer=answer), verdict=heard)


def a_run(**changed: object) -> Run:
    first = attempt(0, "It is 1, I think.")
    second = attempt(1, "It is 2, I think.")
    assert first.verdict
    second = second.model_copy(update={"feedback": first.verdict.critique})
    best = max((first, second), key=lambda one: one.score or 0.0)
    run = Run(task=Task.of(QUESTION), attempts=(first, second), chosen=best.index, stop=StopReason.ROUNDS)
    return run.model_copy(update=changed)


def failures(folder: Path, logged: bytes, returned: bytes, broke: tuple[str, ...] = ()) -> list[str]:
    (folder / "log").write_bytes(logged)
    (folder / "returned").write_bytes(returned)
    return [one.what for one in check_runs(folder / "log", folder / "returned", broke, truthful) if not one.holds]


def test_a_sound_log_passes(tmp_path: Path) -> None:
    runs = [a_run() for _ in range(3)]
    broken = Run(task=Task.of("q"), stop=StopReason.AGENT_FAILED)
    lines = b"".join(map(encode, runs))
    assert failures(tmp_path, lines + encode(broken), lines, ("q",)) == []


def other_chosen(run: Run) -> Run:
    return run.model_copy(update={"chosen": 1 - (run.chosen or 0)})


def false_score(run: Run) -> Run:
    lied = run.attempts[0].model_copy(update={"verdict": Verdict.of(0.0, SAID.critique)})
    return run.model_copy(update={"attempts": (lied,), "chosen": 0})


def score_of_another_attempt(run: Run) -> Run:
    one, other = run.attempts
    assert other.verdict
    first = one.model_copy(update={"verdict": other.verdict})
    second = other.model_copy(update={"verdict": one.verdict, "feedback": other.verdict.critique})
    return run.model_copy(update={"attempts": (first, second), "chosen": 1 - (run.chosen or 0)})


def strayed_critique(run: Run) -> Run:
    one, other = run.attempts
    return run.model_copy(update={"attempts": (one, other.model_copy(update={"feedback": "of another run"}))})


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (other_chosen, "no worse attempt"),
        (false_score, "no score but those"),
        (score_of_another_attempt, "no score but those"),
        (strayed_critique, "each revision answers"),
        (lambda run: run.model_copy(update={"attempts": (), "chosen": None}), "every other run has its draft"),
    ],
)
def test_a_run_that_breaks_a_promise_is_found(tmp_path: Path, change: Callable[[Run], Run], what: str) -> None:
    line = encode(change(a_run()))
    assert any(found.startswith(what) for found in failures(tmp_path, line, line))


@pytest.mark.parametrize(
    ("logged", "what"),
    [
        (lambda line: line + line, "no run is logged twice"),
        (lambda line: b"", "the log holds what was returned"),
        (lambda line: line.replace(b"It is 1", b"It is 3"), "the log holds what was returned"),
        (lambda line: line + encode(a_run()), "the log holds what was returned"),
        (lambda line: line + line[:40] + b"\n", "no line of the run log is damaged"),
        (lambda line: line + encode(Run(task=Task.of("q"), stop=StopReason.AGENT_FAILED)), "runs that the agent"),
    ],
)
def test_a_log_that_differs_from_what_was_returned_is_found(
    tmp_path: Path, logged: Callable[[bytes], bytes], what: str
) -> None:
    line = encode(a_run())
    assert any(found.startswith(what) for found in failures(tmp_path, logged(line), line))


def test_scores_of_the_embedded_judge_have_two_decimals() -> None:
    assert in_form(attempt(0, "x", score=0.29), QUESTION)
    assert not in_form(attempt(0, "x", score=0.291), QUESTION)


def test_growth_is_that_of_the_second_half() -> None:
    filled = Memory(seconds=[float(n) for n in range(121)], megabytes=[min(n, 60) * 1.0 for n in range(121)])
    assert filled.second_half() == pytest.approx((0.0, 0.0))
    leaking = Memory(seconds=filled.seconds, megabytes=[50 + n / 2 for n in range(121)])
    assert leaking.second_half() == pytest.approx((30.0, 30.0))
    assert allowed(leaking) < 30.0 < allowed(Memory(seconds=[0.0, 9.0], megabytes=[50.0, 80.0]))


def test_recovery_is_counted_from_the_kill() -> None:
    kills = [Kill("judge server", SIGKILL, at=10.0, back=12.0), Kill("judge server", SIGKILL, at=20.0)]
    assert recoveries(kills, [9.0, 11.0, 12.5, 30.0]) == ([2.0], [2.5])
