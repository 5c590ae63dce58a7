"""Critic-outcome: a critic earns what the frozen agent's revision earns that follows its critique.

judge of rrm-sft -> G critiques of each attempt -> the agent revises on each -> is the revision right? -> GRPOTrainer.

After Caddie (arXiv 2610.09858): the reward of a critique is the success of the agent's continuation, only the critic is
updated, the objective is DAPO's. It differs in three things. The critique comes after a whole attempt, as in the SDK's
loop, and not in the middle of one. The critic goes on writing whole verdicts, so that one set of weights scores and
criticises. And a critique that gives the answer away earns nothing for the revision: the agent is not even asked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from reagent_sdk.agents import Agent, ModelAgent
from reagent_sdk.clients.base import Sampling
from reagent_sdk.prompts import judge_prompt
from reagent_sdk.specs import client_for
from reagent_training.data.record import LabelledTrajectory
from reagent_training.sampling.grading import is_right
from reagent_training.train.critic_config import CriticConfig, RevisingAgent
from reagent_training.train.grpo import Prepared, prepared, trained
from reagent_training.train.judge_reward import Judged, JudgeReward, Outcomes
from reagent_training.train.revising import Reviser
from reagent_training.train.revisions import Revisions
from reagent_training.train.reward_rows import references_of
from reagent_training.train.rows import read_rows
from reagent_training.train.running import rank


def prepare(config: CriticConfig) -> Prepared:
    """Everything up to the first update: rows, prompts and the critic that is trained further.

    Raises:
        InvalidInput: bad data or settings, or no row that can be trained on.
        WeightsUnavailable: the critic's weights are missing.
    """
    left_out: Counter[str] = Counter()
    rows = []
    for row in read_rows(config.train, prompt_version=None, seed=config.seed):
        if references_of(row):
            rows.append(row)
        else:
            left_out["no right answers in metadata.reference"] += 1
    return prepared(config, rows, left_out)


def run(config: CriticConfig, out: Path, agent: Agent | None = None) -> dict[str, Any]:
    """Trains, or goes on where an interrupted run stopped, and writes the critic to `out`.

    Args:
        config: the recipe's settings.
        out: the folder of the run.
        agent: the frozen agent; by default the one that `config.agent.spec` names.

    Returns:
        The report, as in `out/report.json`.

    Raises:
        InvalidInput: bad data or settings, or `out` holds another run; nothing has been written then.
        WeightsUnavailable: weights of the critic or of the agent are missing.
        AgentDown: the agent failed too often in a row.
    """
    agent = agent or _agent(config.agent)
    ready = prepare(config)
    kept = Revisions(out / f"revisions-{rank()}.jsonl")
    with Reviser(agent, config.agent, kept) as reviser:
        outcomes = outcomes_of(reviser, config.reward.form)
        reward = JudgeReward(ready.rows, config.reward, judge_prompt(config.prompt_version), outcomes=outcomes)
        return trained(config, out, ready, reward, together=config.reward.ranking > 0)


def outcomes_of(reviser: Reviser, form: str) -> Outcomes:
    """What critiques do to the agent's work.

    Args:
        reviser: lets the agent revise.
        form: "after": 1 where the revision is right, else 0; "gain": that less 1 where the attempt was right already.

    Returns:
        A function of a batch. It gives None where the agent made no revision; a critique that gives the answer away
        counts as if the revision were wrong.
    """

    def outcomes(judged: Sequence[Judged]) -> list[float | None]:
        fair = [place for place, (_, reply, leak) in enumerate(judged) if reply.formed and not leak]
        answers = reviser.right([(judged[place][0], judged[place][1].verdict.critique) for place in fair])
        after = dict(zip(fair, answers, strict=True))
        return [
            None if (right := after.get(place, False)) is None else float(right) - (form == "gain" and was_right(row))
            for place, (row, _, _) in enumerate(judged)
        ]

    return outcomes


def _agent(told: RevisingAgent) -> ModelAgent:
    sampling = Sampling(temperature=told.temperature, max_tokens=told.max_tokens)
    return ModelAgent(client_for(told.spec), sampling=sampling)


def was_right(row: LabelledTrajectory) -> bool:
    """Whether the attempt was right before any critique."""
    return row.correct if row.correct is not None else is_right(row.trajectory.answer, references_of(row))
