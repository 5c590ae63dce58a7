from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reagent_benchmarks import revision
from reagent_benchmarks.judging.mint import proposed
from reagent_benchmarks.judging.rows import Row
from reagent_benchmarks.revision_arms import EVERYTHING, decided, outcomes
from reagent_benchmarks.revision_pairs import Pair, first_attempt, read_pairs

from reagent_sdk.errors import InvalidInput
from reagent_sdk.rendering import render_record

GRADED = "Your answer is wrong."
thoughts = st.text(st.characters(exclude_characters="<>"), max_size=40)


def run(number: int, critic: str, *, success: bool, turns: list[dict[str, str]] | None = None) -> dict[str, Any]:
    said = turns or [
        {"role": "assistant", "content": "<thought>Try.</thought> <solution>7</solution>"},
        {"role": "observation", "content": f"Observation:\n{GRADED}\nYou have 3 steps left."},
        {"role": "assistant", "content": "<solution>secret second try</solution>"},
    ]
    about = {"id": f"a|{critic}|d|{number}", "agent": "a", "critic": critic, "dataset": "d", "task_id": number}
    return {**about, "question": f"Question {number}?", "reference": "the reference", "turns": said, "success": success}


def written(folder: Path, rows: list[dict[str, Any]]) -> Path:
    (folder / "trajectories_x.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def shown(pair: Pair) -> str:
    return render_record(pair.task, pair.trajectory, max_chars=10**7).text


def test_a_pair_is_one_task_without_and_with_a_critic(tmp_path: Path) -> None:
    rows = [
        run(1, "none", success=False),
        run(1, "gpt-4-0613", success=True),
        run(1, "gpt-4-0613+GT", success=False),
        run(2, "none", success=True),
    ]
    (pair,) = read_pairs(written(tmp_path, rows))
    assert (pair.first, pair.revised, pair.group) == (False, True, "d/1")
    text = shown(pair)
    assert "<solution>7</solution>" in text
    assert not re.search("wrong|second try|reference", text)


def test_runs_without_a_partner_are_no_pairs(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no task that an agent solved"):
        read_pairs(written(tmp_path, [run(1, "none", success=True)]))


@given(st.lists(thoughts, max_size=3), st.lists(thoughts, max_size=2))
def test_nothing_after_the_first_solution_is_shown(before: list[str], after: list[str]) -> None:
    turns = [{"role": "assistant", "content": f"<execute>{text}</execute>"} for text in before]
    turns += [{"role": "assistant", "content": "<solution>7</solution>"}]
    turns += [{"role": "observation", "content": f"{GRADED} {text}"} for text in after]
    row = Row(run(1, "none", success=True, turns=turns), Path("x"), 1)
    assert GRADED not in str(first_attempt(row).model_dump())


def test_no_real_first_attempt_shows_how_it_was_graded(shared_data: Path) -> None:
    pairs = read_pairs(shared_data)
    assert len(pairs) > 400
    raw = {}
    for file in (shared_data / "mint").glob("trajectories_*.jsonl"):
        for line in file.read_text().splitlines():
            row = json.loads(line)
            raw[row["id"]] = row
    graded = [pair for pair in pairs if GRADED in json.dumps(raw[pair.id]["turns"])]
    assert len(graded) > 50  # the environment's answer is there to be let through
    for pair in pairs:
        turns = raw[pair.id]["turns"]
        heard = [turn["content"] for turn in turns if turn["role"] == "observation" and GRADED in turn["content"]]
        text = shown(pair)
        assert GRADED not in text
        assert not any(one in text for one in heard)
        assert not any(
            proposed(message.text) for message in pair.trajectory.messages[:-1] if message.role == "assistant"
        )


def test_the_counts_of_real_pairs_are_those_of_the_runs(shared_data: Path) -> None:
    pairs = read_pairs(shared_data)
    found = outcomes(pairs, decided(pairs, {}, seed=0), seed=0)
    always = {one.part: one.arm for one in found if one.decides == "always"}
    assert (always["claude-2/hotpotqa"].fixed, always["claude-2/hotpotqa"].broken) == (2, 5)
    assert (always["Mistral-7B-Instruct-v0.1/gsm8k"].fixed, always["Mistral-7B-Instruct-v0.1/gsm8k"].broken) == (16, 2)
    parts = [arm for part, arm in always.items() if part != EVERYTHING]
    assert sum(arm.net for arm in parts) == always[EVERYTHING].net
    assert all(one.arm.net == 0 for one in found if one.decides == "never")


def test_the_command_judges_the_named_parts_and_goes_on_from_its_verdicts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [run(n, critic, success=critic != "none") for n in range(10) for critic in ("none", "gpt-4-0613")]
    data, out = written(tmp_path, rows), tmp_path / "out.json"
    seen: list[str] = []

    class Judge:
        name = "stub"
        gate = None
        caveat = ""

        async def judge(self, task: Any, trajectory: Any) -> Any:
            from reagent_sdk.verdict import Verdict, VerdictStatus

            seen.append(task.question)
            return Verdict(status=VerdictStatus.SCORED, analysis="a", critique="c", score=0.2, judge="stub")

        async def aclose(self) -> None:
            pass

    monkeypatch.setattr("reagent_benchmarks.judging.judges.judge_for", lambda spec, adapt=None: Judge())
    monkeypatch.setattr("sys.argv", ["revision", "--data", str(data), "--judge", "stub", "--out", str(out)])
    revision.main()
    revision.main()
    assert len(seen) == 10
    result = json.loads(out.read_text())
    judged = {(one["decides"], one["rule_for_each"]): one["arm"] for one in result["judged"]["outcomes"]}
    assert judged["stub", "agent"]["fixed"] == judged["always", ""]["fixed"] == 10
    assert "10 pairs judged by stub, 0 without a score" in capsys.readouterr().out


def test_an_unknown_part_is_refused(tmp_path: Path) -> None:
    rows = [run(1, "none", success=False), run(1, "gpt-4-0613", success=True)]
    with pytest.raises(InvalidInput, match="there are a/d"):
        revision.chosen_parts(read_pairs(written(tmp_path, rows)), ["a/other"])


def test_decisions_without_scores_keep_the_first_attempt(tmp_path: Path) -> None:
    rows = [run(n, critic, success=critic != "none") for n in range(10) for critic in ("none", "gpt-4-0613")]
    pairs = read_pairs(written(tmp_path, rows))
    taken = decided(pairs, {"broken judge": np.full(10, np.nan)}, seed=0)
    assert not taken["broken judge", "agent"].any()
