"""Several opinions as one verdict, and the specs that name composed judges."""

from __future__ import annotations

import asyncio
from pathlib import Path
from statistics import fmean, median, pstdev

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from reagent_sdk import (
    Budget,
    BudgetExceeded,
    CalibratedJudge,
    CritiqueLoop,
    EnsembleJudge,
    FallbackJudge,
    InvalidInput,
    JudgeSettings,
    ModelJudge,
    Task,
    Trajectory,
    Verdict,
    VerdictStatus,
)
from reagent_sdk.budget import Meter
from reagent_sdk.calibration.card import Calibration, write_calibration
from reagent_sdk.calibration.maps import PlattMap
from reagent_sdk.clients.base import Sampling
from reagent_sdk.judges.base import calls_per_verdict, voices
from reagent_sdk.scope import Scope, entered
from reagent_sdk.specs import judge_for
from reagent_sdk.testing import ScriptedAgent, ScriptedJudge

from .strategies import scores
from .test_model_judge import GOOD, Client

TASK, WORK = Task(question="What is 2 + 2?"), Trajectory(answer="4")
COMBINED = {"mean": fmean, "median": median, "min": min}


def members(*outcomes: object) -> list[ScriptedJudge]:
    return [ScriptedJudge([outcome], name=f"j{index}") for index, outcome in enumerate(outcomes)]  # type: ignore[list-item]


def verdict_of(judge: EnsembleJudge) -> Verdict:
    return asyncio.run(judge.judge(TASK, WORK))


@given(st.lists(scores, min_size=1, max_size=7), st.sampled_from(sorted(COMBINED)))
@example([0.3919089433472057] * 3, "mean")  # whose mean is rounded up
def test_scores_are_combined_and_kept(given_scores: list[float], combine: str) -> None:
    verdict = verdict_of(EnsembleJudge(members(*given_scores), combine))  # type: ignore[arg-type]
    assert verdict.score == pytest.approx(float(COMBINED[combine](given_scores)))
    assert verdict.scores == tuple(given_scores)
    assert verdict.spread == pytest.approx(pstdev(given_scores))
    assert min(given_scores) - 1e-15 <= (verdict.score or 0.0) <= max(given_scores) + 1e-15
    assert verdict.usage.calls == len(given_scores)


def test_the_critique_is_that_of_the_member_nearest_to_the_combined_score() -> None:
    verdict = verdict_of(EnsembleJudge(members((0.1, "awful"), (0.5, "so so"), (0.7, "fine")), "median"))
    assert (verdict.score, verdict.critique) == (0.5, "so so")
    verdict = verdict_of(EnsembleJudge(members((0.4, "strict"), (0.6, "mild")), "mean"))
    assert verdict.critique == "strict"


def test_a_single_verdict_has_no_spread() -> None:
    assert Verdict.of(0.5).spread is None


def test_a_failed_member_is_never_a_number() -> None:
    verdict = verdict_of(EnsembleJudge(members(0.9, VerdictStatus.UNPARSEABLE, RuntimeError("dead")), "mean"))
    assert (verdict.status, verdict.score) == (VerdictStatus.UNAVAILABLE, None)
    assert "1 of 3 judges scored, 3 are needed" in verdict.reason
    assert "RuntimeError: dead" in verdict.reason
    verdict = verdict_of(EnsembleJudge(members(0.9, VerdictStatus.UNPARSEABLE), "mean"))
    assert verdict.status is VerdictStatus.UNPARSEABLE


def test_a_quorum_lets_the_others_speak() -> None:
    verdict = verdict_of(EnsembleJudge(members(0.9, VerdictStatus.UNPARSEABLE, 0.5), "mean", quorum=2))
    assert (verdict.score, verdict.scores) == (pytest.approx(0.7), (0.9, 0.5))


def test_a_member_whose_stand_in_spoke_makes_a_score_of_another_ensemble() -> None:
    shaky = FallbackJudge([ScriptedJudge([0.2, VerdictStatus.UNAVAILABLE], name="a"), ScriptedJudge([1.0], name="b")])
    judge = EnsembleJudge([shaky, ScriptedJudge([0.3], name="c")], "mean")
    run = asyncio.run(CritiqueLoop(TASK, ScriptedAgent(["one", "two"]), judge).run())
    assert [attempt.verdict.judge for attempt in run.attempts if attempt.verdict] == ["mean(a, c)", "mean(b, c)"]
    assert run.chosen == 0


def test_the_budget_ends_an_ensemble_as_it_ends_a_judge() -> None:
    async def judged() -> None:
        with entered(Scope(Meter(Budget(calls=1)))):
            await EnsembleJudge(members(0.9, 0.8), "mean").judge(TASK, WORK)

    with pytest.raises(BudgetExceeded):
        asyncio.run(judged())


def test_members_are_asked_at_the_same_time() -> None:
    together = asyncio.Barrier(3)

    async def slow(task: Task, work: Trajectory) -> float:
        await together.wait()  # never passes unless all three are under way
        return 0.5

    async def judged() -> Verdict:
        judge = EnsembleJudge([judge_for(slow) for _ in range(3)])
        return await asyncio.wait_for(judge.judge(TASK, WORK), 60)

    assert asyncio.run(judged()).score == 0.5


def test_bad_ensembles_are_refused() -> None:
    with pytest.raises(InvalidInput, match="at least one judge"):
        EnsembleJudge([])
    with pytest.raises(InvalidInput, match="mean, median, min"):
        EnsembleJudge(members(0.5), "max")  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="between 1 and 2"):
        EnsembleJudge(members(0.5, 0.5), quorum=3)


def test_samples_of_a_model_differ_in_their_seed_and_share_their_prompt() -> None:
    client = Client(GOOD)
    judge = ModelJudge(client, JudgeSettings(sampling=Sampling(temperature=0.0)))
    verdict = verdict_of(EnsembleJudge(judge.samples(3), "mean"))
    assert verdict.score == pytest.approx(0.7)
    assert verdict.judge == "mean(3 x fake)"
    assert len({sampling.seed for _, sampling in client.asked}) == 3
    assert all(sampling.temperature == 0.7 for _, sampling in client.asked)
    assert len({messages[-1].text for messages, _ in client.asked}) == 1
    with pytest.raises(InvalidInput, match="at least 1"):
        judge.samples(0)


ONE, TWO = "http://127.0.0.1:9/v1#m", "http://127.0.0.1:8/v1#n"


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        (f"first:{ONE}|{TWO}", "m at http://127.0.0.1:9/v1 | n at http://127.0.0.1:8/v1"),
        (f"mean:{ONE} | {TWO}", "mean(m at http://127.0.0.1:9/v1, n at http://127.0.0.1:8/v1)"),
        (f"median:3*{ONE}", "median(3 x m at http://127.0.0.1:9/v1)"),
        (f"min:2*{ONE}|{TWO}", "min(2 x m at http://127.0.0.1:9/v1, n at http://127.0.0.1:8/v1)"),
    ],
)
def test_composed_judges_have_specs(spec: str, name: str) -> None:
    assert judge_for(spec).name == name


@pytest.mark.parametrize(
    "spec", ["first:", "mean:|", "median: ", "calibrated:", f"first:{ONE}", "mean:0*" + ONE, "mean:2*first:a/b|c/d"]
)
def test_incomplete_specs_are_one_clear_line(spec: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        judge_for(spec)
    assert "\n" not in str(caught.value)


def test_a_calibration_names_the_judge_it_belongs_to(tmp_path: Path) -> None:
    card = Calibration(judge="m at http://127.0.0.1:9/v1", spec=ONE, prompt_version="rrm-1", labels=50)
    judge = judge_for(f"calibrated:{write_calibration(tmp_path / 'judge.json', card)}")
    assert isinstance(judge, CalibratedJudge)
    assert judge.name == "m at http://127.0.0.1:9/v1"
    for spec, message in (
        (TWO, "was fitted for the judge"),
        (None, "does not say how to make"),
        (f"calibrated:{tmp_path}", "does not say"),
    ):
        write_calibration(tmp_path / "judge.json", card.model_copy(update={"spec": spec}))
        with pytest.raises(InvalidInput, match=message):
            judge_for(f"calibrated:{tmp_path / 'judge.json'}")
    (tmp_path / "judge.json").write_text("{}")
    with pytest.raises(InvalidInput, match="is not a calibration"):
        judge_for(f"calibrated:{tmp_path / 'judge.json'}")


def test_a_judge_knows_the_names_that_may_stand_on_its_verdicts() -> None:
    shaky = FallbackJudge(members(0.1, 0.2))
    ensemble = EnsembleJudge([shaky, ScriptedJudge([0.3], name="c")], "mean")
    assert voices(ScriptedJudge([0.3], name="c")) == ("c",)
    assert voices(shaky) == ("j0", "j1")
    assert voices(ensemble) == ("mean(j0, c)", "mean(j1, c)")
    calibrated = CalibratedJudge(shaky, Calibration(judge="j0", map=PlattMap(slope=1, offset=0), labels=9))
    assert voices(calibrated) == ("j0, calibrated", "j1")


def test_the_calls_of_a_verdict_are_those_of_all_who_may_be_asked() -> None:
    once = ModelJudge(Client([]), JudgeSettings(reasks=0))
    thrice = ModelJudge(Client([]), JudgeSettings(reasks=2))
    assert [calls_per_verdict(judge) for judge in (once, thrice, *members(0.5))] == [1, 3, 1]
    assert calls_per_verdict(EnsembleJudge([once, thrice, *members(0.5)])) == 5
    assert calls_per_verdict(EnsembleJudge(thrice.samples(4))) == 12
    stand_in = FallbackJudge([thrice, EnsembleJudge([once, once])])
    assert calls_per_verdict(stand_in) == 5
    assert calls_per_verdict(CalibratedJudge(thrice, Calibration(judge=thrice.name, labels=9))) == 3
