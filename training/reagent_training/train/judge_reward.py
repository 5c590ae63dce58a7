"""The reward as TRL calls it: replies of a batch in, one number each out, and each part of it in the log."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from reagent_sdk.prompts import JudgePrompt
from reagent_training.data.answers import gives_away
from reagent_training.data.record import LabelledTrajectory
from reagent_training.train.grpo_config import RewardSettings
from reagent_training.train.reward_rows import label_of, order_of, references_of, unit_of, units_of
from reagent_training.train.rewards import Parts, Reply, beyond, brier, brier_of_mean, ranking, read_reply, total

Gather = Callable[[list[Any]], list[Any]]
Judged = tuple[LabelledTrajectory, Reply, bool]
"""A row, what the judge wrote about it, and whether its critique gives the answer away."""
Outcomes = Callable[[Sequence[Judged]], Sequence[float | None]]
Scores = Mapping[str, Sequence[float]]
"""Row id -> scores of its replies in form, over the whole batch."""


class JudgeReward:
    """R of each reply; see `rewards`.

    Args:
        rows: the rows of the run.
        settings: weights and forms.
        prompt: the judge's prompt, which says whether there is a grade.
        outcomes: measures what critiques do to the agent's work; called once a batch.
        gather: joins a list over the processes of a run; the rows of a batch may lie on several.
    """

    __name__ = "judge_reward"

    def __init__(
        self,
        rows: Iterable[LabelledTrajectory],
        settings: RewardSettings,
        prompt: JudgePrompt,
        *,
        outcomes: Outcomes | None = None,
        gather: Gather | None = None,
    ) -> None:
        self._rows = {row.id: row for row in rows}
        self._units = units_of(self._rows.values())
        self._settings = settings
        self._graded = prompt.graded
        by_default = "expectation" if prompt.graded and settings.read != "written" else "sample"
        self._of_mean = (settings.calibrate or by_default) == "expectation"
        self._outcomes = outcomes
        self._gather = gather or _over_processes

    def __call__(
        self, prompts: Sequence[Any], completions: Sequence[Any], *, row: Sequence[str], **columns: Any
    ) -> list[float | None]:
        """The rewards of a batch.

        Args:
            prompts: not looked at; the rows know what was asked.
            completions: texts, or lists of one chat message.
            row: id of the row that each completion judges.
            columns: what TRL passes besides, `log_metric` among it.

        Returns:
            One number each, None where there is nothing to measure the reply by: TRL leaves such a reply out.
        """
        rows = [self._rows[name] for name in row]
        replies = [read_reply(_text(c), graded=self._graded, read=self._settings.read) for c in completions]
        scores: dict[str, list[float]] = defaultdict(list)
        for name, score in self._gather([(name, reply.score) for name, reply in zip(row, replies, strict=True)]):
            if score is not None:
                scores[name].append(score)
        judged = [(one, reply, _leaks(one, reply)) for one, reply in zip(rows, replies, strict=True)]
        outcomes = self._outcomes(judged) if self._outcomes else [None] * len(judged)
        parts = [self._parts(one, outcome, scores) for one, outcome in zip(judged, outcomes, strict=True)]
        if callable(log := columns.get("log_metric")):
            self._log(parts, log)
        return [
            total(part, self._settings.weights) if self._measurable(one, scores) else None
            for one, part in zip(rows, parts, strict=True)
        ]

    def _parts(self, judged: Judged, outcome: float | None, scores: Scores) -> Parts:
        row, reply, leak = judged
        if reply.score is None:
            return Parts(format=0.0)
        label, order = label_of(row, self._settings), order_of(row, self._settings)
        return Parts(
            format=1.0,
            calibration=None if label is None else self._calibration(reply.score, scores[row.id], label),
            ranking=None if order is None else ranking(reply.score, order, self._others(row, scores)),
            outcome=outcome,
            leak=float(leak),
            length=beyond(reply.verdict, self._settings.length_limit),
        )

    def _calibration(self, score: float, same_row: Sequence[float], label: float) -> float:
        if not self._of_mean:
            return brier(score, label)
        others = list(same_row)
        others.remove(score)
        return brier_of_mean(score, others, label)

    def _others(self, row: LabelledTrajectory, scores: Scores) -> list[tuple[float, float]]:
        """Label and mean score of the other rows of the question that the batch holds."""
        found = []
        for other in self._units[unit_of(row)]:
            order, heard = order_of(other, self._settings), scores.get(other.id, ())
            if other.id != row.id and order is not None and heard:
                found.append((order, sum(heard) / len(heard)))
        return found

    def _measurable(self, row: LabelledTrajectory, scores: Scores) -> bool:
        """Whether the replies to a row can be told apart by more than their form."""
        if self._outcomes is not None or (self._settings.calibration and label_of(row, self._settings) is not None):
            return True
        order = order_of(row, self._settings)
        return order is not None and any(theirs != order for theirs, _ in self._others(row, scores))

    def _log(self, parts: Sequence[Parts], log: Callable[[str, float], None]) -> None:
        formed = [part for part in parts if part.format]
        log("parts/format", len(formed) / len(parts))
        for name in self._settings.weights:
            if values := [value for part in formed if (value := getattr(part, name)) is not None]:
                log(f"parts/{name}", sum(values) / len(values))


def _leaks(row: LabelledTrajectory, reply: Reply) -> bool:
    if reply.score is None:
        return False
    return bool(gives_away(reply.verdict.critique, row.task, row.trajectory, references_of(row)))


def _text(completion: Any) -> str:
    return completion if isinstance(completion, str) else str(completion[-1]["content"])


def _over_processes(local: list[Any]) -> list[Any]:
    from accelerate.utils import gather_object

    joined: list[Any] = gather_object(local)
    return joined
