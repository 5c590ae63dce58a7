"""Maps keep the order, cards survive the file, and a calibrated judge applies both."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from reagent_sdk import (
    CalibratedJudge,
    CritiqueLoop,
    FallbackJudge,
    InvalidInput,
    Policy,
    RunStatus,
    StopReason,
    Task,
    Trajectory,
    VerdictStatus,
)
from reagent_sdk.calibration.card import (
    Calibration,
    Estimate,
    Gate,
    RevisionRule,
    read_calibration,
    write_calibration,
)
from reagent_sdk.calibration.maps import IsotonicMap, PlattMap
from reagent_sdk.specs import judge_for
from reagent_sdk.testing import ScriptedAgent, ScriptedJudge

from .strategies import scores

TASK, WORK = Task(question="What is 2 + 2?"), Trajectory(answer="4")
GATE = Gate(threshold=0.6, target=0.1, confidence=0.95, accepted=60, wrong=1, bound=0.08, method="test")
STEPS = IsotonicMap(x=(0.0, 0.4, 0.6, 1.0), y=(0.2, 0.2, 0.8, 0.8))


@st.composite
def maps(draw: st.DrawFn) -> IsotonicMap | PlattMap:
    if draw(st.booleans()):
        return PlattMap(slope=draw(st.floats(1e-6, 1e4)), offset=draw(st.floats(-1e4, 1e4)))
    inner = draw(st.lists(st.integers(1, 999), unique=True, max_size=6).map(sorted))
    values = draw(st.lists(scores, min_size=len(inner) + 2, max_size=len(inner) + 2).map(sorted))
    return IsotonicMap(x=(0.0, *(value / 1000 for value in inner), 1.0), y=tuple(values))


@given(maps(), scores, scores)
def test_maps_stay_in_range_and_keep_the_order(score_map: IsotonicMap | PlattMap, one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert 0.0 <= score_map(low) <= 1.0
    if high - low >= 1e-9:  # finer than any judge writes
        assert score_map(low) < score_map(high)


@given(maps(), scores)
def test_a_gate_accepts_the_same_work_before_and_after_the_map(score_map: Any, score: float) -> None:
    card = Calibration(judge="j", map=score_map, gate=GATE, labels=100)
    judge = CalibratedJudge(ScriptedJudge([score], name="j"), card)
    verdict = asyncio.run(judge.judge(TASK, WORK))
    assert verdict.score is not None
    assert judge.gate is not None
    if abs(score - GATE.threshold) >= 1e-9 or score == GATE.threshold:
        assert (verdict.score >= judge.gate) == (score >= GATE.threshold)


def test_values_between_knots_are_interpolated() -> None:
    assert STEPS(0.5) == pytest.approx(0.5, abs=1e-5)
    assert STEPS(0.1) < STEPS(0.2) < 0.2001
    assert PlattMap(slope=2.0, offset=-1.0)(0.5) == pytest.approx(0.5, abs=1e-5)


@pytest.mark.parametrize(
    "fields",
    [
        {"x": (0.0, 1.0), "y": (0.5, 0.4)},
        {"x": (0.0, 0.5), "y": (0.1, 0.2)},
        {"x": (0.0, 0.5, 0.5, 1.0), "y": (0.1, 0.2, 0.3, 0.4)},
        {"x": (0.0, 1.0), "y": (0.5, 1.5)},
        {"x": (0.0, 1.0), "y": (0.5,)},
    ],
)
def test_a_map_that_would_not_keep_the_order_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        IsotonicMap(**fields)


def test_a_card_survives_its_file(tmp_path: Path) -> None:
    rule = RevisionRule(below=0.4, confidence=0.95, pairs=80, revised=30, fixed=12, broken=2, method="test")
    figures = {"auroc": Estimate(value=0.8, low=0.7, high=0.9)}
    card = Calibration(
        judge="j", prompt_version="rrm-1", map=STEPS, gate=GATE, revision=rule, labels=9, figures=figures
    )
    path = write_calibration(tmp_path / "new" / "judge.json", card)
    assert read_calibration(path) == card
    assert [file.name for file in path.parent.iterdir()] == ["judge.json"]
    assert str(card.figures["auroc"]) == "0.800 [0.700, 0.900]"


@pytest.mark.parametrize(
    "text", ["", "[]", '{"judge": "", "labels": 1}', '{"judge": "j"}', '{"judge": "j", "labels": 1, "x": 1}']
)
def test_files_that_are_no_calibration_are_one_clear_line(text: str, tmp_path: Path) -> None:
    (tmp_path / "judge.json").write_text(text)
    with pytest.raises(InvalidInput, match="is not a calibration") as caught:
        read_calibration(tmp_path / "judge.json")
    assert "\n" not in str(caught.value)
    with pytest.raises(InvalidInput, match="cannot read"):
        read_calibration(tmp_path / "absent.json")


def calibrated(outcomes: list[Any], **fields: Any) -> CalibratedJudge:
    return CalibratedJudge(ScriptedJudge(outcomes, name="j"), Calibration(judge="j", labels=50, **fields))


def test_a_calibrated_verdict_keeps_the_judges_own_score() -> None:
    verdict = asyncio.run(calibrated([0.5], map=STEPS).judge(TASK, WORK))
    assert (verdict.bare_score, verdict.judge) == (0.5, "j, calibrated")
    assert verdict.score == STEPS(0.5)
    failed = asyncio.run(calibrated([VerdictStatus.UNPARSEABLE], map=STEPS).judge(TASK, WORK))
    assert (failed.score, failed.bare_score, failed.status) == (None, None, VerdictStatus.UNPARSEABLE)


def test_the_loop_accepts_by_the_gate_of_the_calibration() -> None:
    run = asyncio.run(CritiqueLoop(TASK, ScriptedAgent(["4"]), calibrated([0.6], map=STEPS, gate=GATE)).run())
    assert (run.stop, run.status, len(run.attempts)) == (StopReason.ACCEPTED, RunStatus.ACCEPTED, 1)


@pytest.mark.parametrize(("below", "score", "attempts"), [(0.4, 0.5, 1), (0.4, 0.3, 2), (0.0, 0.0, 1), (None, 0.99, 2)])
def test_the_loop_revises_only_where_the_rule_says_that_it_pays(
    below: float | None, score: float, attempts: int
) -> None:
    rule = RevisionRule(below=below, confidence=0.95, pairs=80, revised=30, fixed=12, broken=2, method="test")
    judge = calibrated([score, 1.0], map=STEPS, revision=rule)
    run = asyncio.run(CritiqueLoop(TASK, ScriptedAgent(["4", "5"]), judge).run())
    assert len(run.attempts) == attempts
    assert run.stop is (StopReason.NO_GAIN if attempts == 1 else StopReason.ROUNDS)


def test_the_paper_s_reagent_c_heeds_neither_gate_nor_rule() -> None:
    rule = RevisionRule(below=0.0, confidence=0.95, pairs=80, revised=0, fixed=0, broken=0, method="test")
    judge = calibrated([1.0], gate=GATE, revision=rule)
    run = asyncio.run(CritiqueLoop(TASK, ScriptedAgent(["4", "5"]), judge, policy=Policy(keep="last")).run())
    assert (len(run.attempts), run.answer) == (2, "5")


def test_a_stand_in_is_neither_calibrated_nor_gated() -> None:
    shaky = FallbackJudge([ScriptedJudge([VerdictStatus.UNAVAILABLE], name="j"), ScriptedJudge([0.7], name="other")])
    judge = CalibratedJudge(shaky, Calibration(judge="j", map=STEPS, gate=GATE, labels=50))
    run = asyncio.run(CritiqueLoop(TASK, ScriptedAgent(["4", "5"]), judge).run())
    verdict = run.attempts[0].verdict
    assert verdict is not None
    assert (verdict.judge, verdict.score, verdict.bare_score) == ("other", 0.7, None)
    assert len(run.attempts) == 2
    assert run.status is RunStatus.ANSWERED


def test_the_gate_of_a_fallback_holds_for_its_first_judge_alone() -> None:
    first = ScriptedJudge([VerdictStatus.UNAVAILABLE, 0.9], name="first", gate=0.5)
    judge = FallbackJudge([first, ScriptedJudge([0.9], name="second")])
    run = asyncio.run(CritiqueLoop(TASK, ScriptedAgent(["4", "5"]), judge, policy=Policy(rounds=0)).run())
    assert (run.score, run.status, run.stop) == (0.9, RunStatus.ANSWERED, StopReason.ROUNDS)


def test_another_judge_s_calibration_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"fitted for the judge 'k' and this one is 'j': run `reagent calibrate`"):
        CalibratedJudge(ScriptedJudge([0.5], name="j"), Calibration(judge="k", labels=50))


@pytest.mark.real_model
def test_a_calibration_beside_local_weights_is_used(smollm: Path, tmp_path: Path) -> None:
    (tmp_path / "judge.gguf").symlink_to(smollm)
    manifest = {"name": "m", "role": "judge", "prompt_version": "rrm-1"}
    (tmp_path / "reagent.json").write_text(json.dumps(manifest), encoding="utf-8")
    spec = f"local:{tmp_path / 'judge.gguf'}"
    bare = judge_for(spec)
    card = Calibration(judge=bare.name, prompt_version="rrm-1", map=STEPS, gate=GATE, labels=50)
    write_calibration(tmp_path / "calibration.json", card)
    judge = judge_for(spec)
    assert isinstance(judge, CalibratedJudge)
    assert judge.gate == STEPS(GATE.threshold)
    assert judge.gate == judge_for(f"local:{tmp_path}?slots=1").gate
    asyncio.run(bare.aclose())
    asyncio.run(judge.aclose())
