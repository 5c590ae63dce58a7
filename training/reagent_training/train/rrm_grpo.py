"""RRM GRPO: a judge that knows the format learns to score well and to criticise fairly (the paper's second stage).

judge of rrm-sft -> G replies to each row's prompt -> reward of each reply -> TRL's GRPOTrainer -> weights.

The paper does not publish the reward of this stage, its clip range or its KL weight. Here the reward is a proper
scoring rule of the score, on top of the format, with optional comparisons and a price on leaks and length (`rewards`).
Advantages are scaled by the spread of the batch and not of each group, because scaling by groups turns the rule's mean
into a median (docs/training-grpo.md). The upper clip of 0.28 and the mean over tokens are DAPO's. Under a graded prompt
the score that is rewarded is the digit before all reasoning, so that its probabilities go on being the score.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from reagent_sdk.prompts import judge_prompt
from reagent_training.data.record import LabelledTrajectory
from reagent_training.train.grpo import Prepared, prepared, trained
from reagent_training.train.grpo_config import GrpoRrmConfig, RewardSettings
from reagent_training.train.judge_reward import JudgeReward
from reagent_training.train.reward_rows import comparable, label_of, unit_of, units_of
from reagent_training.train.rows import read_rows


def prepare(config: GrpoRrmConfig) -> Prepared:
    """Everything up to the first update: rows, prompts and the judge that is trained further.

    Raises:
        InvalidInput: bad data or settings, or no row that can be trained on.
        WeightsUnavailable: the base weights are missing.
    """
    left_out: Counter[str] = Counter()
    rows = read_rows(config.train, prompt_version=None, seed=config.seed)
    return prepared(config, _rewarded(rows, config.reward, left_out), left_out)


def run(config: GrpoRrmConfig, out: Path) -> dict[str, Any]:
    """Trains, or goes on where an interrupted run stopped, and writes the judge to `out`.

    Returns:
        The report, as in `out/report.json`.

    Raises:
        InvalidInput: bad data or settings, or `out` holds another run; nothing has been written then.
        WeightsUnavailable: the base weights are missing.
    """
    ready = prepare(config)
    reward = JudgeReward(ready.rows, config.reward, judge_prompt(config.prompt_version))
    return trained(config, out, ready, reward, together=config.reward.ranking > 0)


def _rewarded(
    rows: Sequence[LabelledTrajectory], settings: RewardSettings, left_out: Counter[str]
) -> list[LabelledTrajectory]:
    """The rows whose replies can be told apart by more than their form."""
    units, kept = units_of(rows), []
    for row in rows:
        labelled = settings.calibration > 0 and label_of(row, settings) is not None
        if labelled or (settings.ranking > 0 and comparable(row, units[unit_of(row)], settings)):
            kept.append(row)
        else:
            left_out[f"no {settings.label}, and nothing to compare with"] += 1
    return kept
