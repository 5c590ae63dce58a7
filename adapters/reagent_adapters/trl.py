"""The judge as a reward function for TRL's `GRPOTrainer` and whatever shares its signature.

reward = rrm_reward(judge="http://127.0.0.1:8001/v1")
GRPOTrainer(model=..., reward_funcs=[reward, exact_match], train_dataset=...).train()
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Literal

from reagent_adapters.blocking import Closing
from reagent_adapters.critique import Critique
from reagent_adapters.trl_rows import report, rows_of, task_of, trajectory_of
from reagent_adapters.versions import require
from reagent_sdk.errors import InvalidInput
from reagent_sdk.judges.queue import JudgeDown, JudgeQueue
from reagent_sdk.specs import JudgeLike

require("trl", "trl")

__all__ = ["JudgeDown", "RewardFunction", "rrm_reward"]

Rewards = list[float | None]


def rrm_reward(
    judge: JudgeLike = None,
    *,
    on_failure: Literal["none", "wait", "raise"] = "none",
    patience: int = 64,
    wait_seconds: float = 600.0,
    concurrency: int = 16,
    name: str = "rrm_reward",
) -> RewardFunction:
    """A reward function that gives each completion the judge's score in [0, 1].

    A failed judge gives None, never a number: TRL leaves such a completion out of the group's baseline and of the
    advantages. The same prompt and completion is judged once, also across steps.

    Args:
        judge: a spec, a function `(task, trajectory)`, a Judge or a list of them; None means `$REAGENT_JUDGE`, else
            the embedded local judge.
        on_failure: "none" gives None, and raises after `patience` failures without a score between them; "wait" asks a
            judge that is unavailable again for up to `wait_seconds`, with growing pauses, and raises when it gave no
            score to the whole batch even so; "raise" raises at the first failure.
        patience: failures in a row after which a judge counts as down; at least 1.
        wait_seconds: how long "wait" waits for one batch.
        concurrency: completions that are judged at a time, in each training process.
        name: the reward's name in TRL's logs.

    Raises:
        InvalidInput: the judge is none of these, or a number is out of range.
    """
    if patience < 1 or concurrency < 1 or wait_seconds < 0 or on_failure not in ("none", "wait", "raise"):
        raise InvalidInput("patience and concurrency are at least 1, wait_seconds at least 0, on_failure a known word")
    return RewardFunction(
        Critique.of(judge),
        name,
        concurrency=concurrency,
        patience=1 if on_failure == "raise" else patience,
        wait_seconds=wait_seconds if on_failure == "wait" else 0.0,
    )


class RewardFunction(Closing):
    """What :func:`rrm_reward` returns: call it as TRL does. Close it when training is over, or let it be dropped."""

    def __init__(self, critique: Critique, name: str, *, concurrency: int, patience: int, wait_seconds: float) -> None:
        super().__init__(critique)
        self.__name__ = name
        self._queue = JudgeQueue(critique.judge, concurrency=concurrency, patience=patience, wait_seconds=wait_seconds)

    def __call__(self, prompts: Sequence[Any], completions: Sequence[Any], **columns: Any) -> Rewards:
        """The scores of a batch.

        Args:
            prompts: texts, or lists of chat messages.
            completions: texts, or lists of chat messages with tool calls and results.
            columns: what TRL passes besides. The judge is told the `question` in place of the prompt where there is
                such a column; all columns of a row are in `task.metadata` for judges that are functions.

        Returns:
            One score in [0, 1] for each completion, None where the judge gave none.

        Raises:
            JudgeDown: the judge failed for too long.
            InvalidInput: a prompt or a completion is neither text nor chat messages.
        """
        return self._portal.call(self._rewards, prompts, completions, columns)

    @property
    def awaitable(self) -> Callable[..., Awaitable[Rewards]]:
        """The same as an async function, which TRL runs beside other async reward functions."""

        async def reward(prompts: Sequence[Any], completions: Sequence[Any], **columns: Any) -> Rewards:
            return await self._rewards(prompts, completions, columns)

        reward.__name__ = self.__name__
        return reward

    async def _rewards(self, prompts: Sequence[Any], completions: Sequence[Any], columns: Mapping[str, Any]) -> Rewards:
        rows = rows_of(columns, len(prompts))
        work = [(task_of(p, row), trajectory_of(c)) for p, c, row in zip(prompts, completions, rows, strict=True)]
        verdicts = await self._queue.verdicts(work)
        report(columns, self.__name__, verdicts)
        return [verdict.score for verdict in verdicts]
