"""Two-stage sampling: attempts, a critique each, revisions, and the reward of both (Reagent-U; R and GRPO stop early).

    o1 ~ pi(. | q)      c = critique(q, o1)      o2 ~ pi(. | q, o1, c)      R = R_rule + lambda * R_model for both

The rows of an update come in pairs, an attempt and the revision of it, so that the 2G rows of a task are one group to
TRL and its advantages are those of the pool (Eq. 7). Each attempt keeps a prompt of its own: a revision's holds the
question, the first attempt and the critique, and carries no loss.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reagent_sdk.agents import Feedback
from reagent_sdk.judges.queue import JudgeQueue
from reagent_sdk.verdict import Verdict
from reagent_training.agent_rl.config import AgentConfig
from reagent_training.agent_rl.objective import total_reward
from reagent_training.agent_rl.rollouts import Asked, Roller, Rollout
from reagent_training.sampling.questions import Question

FIRST, REVISED = 0, 1


@dataclass(frozen=True)
class Row:
    """One place in an update.

    Attributes:
        question: the task.
        stage: FIRST or REVISED.
        rollout: the attempt; None for a revision that was not made, because there was no critique to go by or no room.
        verdict: the judge's; None without a judge.
        reward: Eq. 6; None where the attempt is left out of its group.
    """

    question: Question
    stage: int
    rollout: Rollout | None
    verdict: Verdict | None = None
    reward: float | None = None

    @property
    def score(self) -> float | None:
        """The judge's score in [0, 1]; None without one."""
        return self.verdict.score if self.verdict else None


async def sampled(
    questions: Sequence[Question], config: AgentConfig, roller: Roller, judge: JudgeQueue | None
) -> list[Row]:
    """The rows of an update.

    Args:
        questions: a task for each row; under Reagent-U each task stands at an even place and again behind it.
        config: the recipe's.
        roller: lets the policy work.
        judge: who judges; None for rewards from the rule alone.

    Raises:
        JudgeDown: the judge failed for too long.
    """
    asked = list(questions[::2] if config.revises else questions)
    firsts = await roller.rollouts([Asked(question) for question in asked])
    verdicts = await judged(asked, firsts, judge)
    first_rows = [_row(FIRST, *one, config) for one in zip(asked, firsts, verdicts, strict=True)]
    if not config.revises:
        return first_rows
    seconds = await revised(first_rows, config, roller)
    verdicts = await judged(asked, seconds, judge)
    second_rows = [_row(REVISED, *one, config) for one in zip(asked, seconds, verdicts, strict=True)]
    return [row for pair in zip(first_rows, second_rows, strict=True) for row in pair]


async def judged(
    questions: Sequence[Question], rollouts: Sequence[Rollout | None], judge: JudgeQueue | None
) -> list[Verdict | None]:
    """A verdict for each attempt that there is, asked for at once; None without an attempt or a judge.

    Raises:
        JudgeDown: the judge failed for too long.
    """
    if judge is None:
        return [None] * len(rollouts)
    there = [(place, rollout) for place, rollout in enumerate(rollouts) if rollout is not None]
    heard = await judge.verdicts([(questions[place].task, rollout.trajectory) for place, rollout in there])
    found = {place: verdict for (place, _), verdict in zip(there, heard, strict=True)}
    return [found.get(place) for place in range(len(rollouts))]


async def revised(firsts: Sequence[Row], config: AgentConfig, roller: Roller) -> list[Rollout | None]:
    """A revision of each first attempt that the judge could criticise, where its context leaves room for one."""
    asked: dict[int, Asked] = {}
    for place, row in enumerate(firsts):
        if row.rollout is None or row.verdict is None or not row.verdict.scored:
            continue
        one = Asked(row.question, Feedback(row.rollout.trajectory, row.verdict.critique))
        if len(await roller.opening(one)) + config.rollout.max_new_tokens <= config.max_tokens:
            asked[place] = one
    made = dict(zip(asked, await roller.rollouts(list(asked.values())), strict=True))
    return [made.get(place) for place in range(len(firsts))]


def _row(stage: int, question: Question, rollout: Rollout | None, verdict: Verdict | None, config: AgentConfig) -> Row:
    if rollout is None:
        return Row(question, stage, None)
    learnt = config.pool == "both" or config.pool == ("first", "revised")[stage]
    score = verdict.score if verdict else None
    rule = None if rollout.right is None else float(rollout.right)
    reward = total_reward(rule, score, config.judge_weight) if learnt else None
    return Row(question, stage, rollout, verdict, reward)
