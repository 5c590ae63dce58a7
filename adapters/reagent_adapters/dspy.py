"""The judge for DSPy: a module that runs another one with critique, a reward for Refine and BestOfN, a metric.

better = CritiqueModule(dspy.ChainOfThought("question -> answer"), judge="local")
prediction = better(question="What is 2 + 3?")
print(prediction.answer, run_of(prediction).why)
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Mapping
from os import PathLike
from typing import Any, Literal, Self

from reagent_adapters.blocking import Closing
from reagent_adapters.critique import Critique
from reagent_adapters.versions import require
from reagent_sdk.budget import Budget
from reagent_sdk.errors import InvalidInput, ReagentError
from reagent_sdk.judges.base import heard
from reagent_sdk.policy import Policy
from reagent_sdk.record import RunLog
from reagent_sdk.run import Run
from reagent_sdk.specs import JudgeLike
from reagent_sdk.verdict import Verdict

require("dspy", "dspy")

import dspy  # noqa: E402

from reagent_adapters.dspy_attempts import Attempts, Made  # noqa: E402
from reagent_adapters.dspy_work import task_of, trajectory_of  # noqa: E402

__all__ = ["CritiqueModule", "Unscored", "critique_metric", "critique_reward", "run_of"]

LogLike = RunLog | str | PathLike[str] | None


class Unscored(ReagentError):
    """The judge gave no score where DSPy needs a number, and none may be invented.

    Attributes:
        verdict: the failed verdict, with its status and reason.
    """

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(f"the judge gave no score: {verdict.status}: {verdict.reason}")
        self.verdict = verdict


class CritiqueModule(dspy.Module):  # type: ignore[misc]
    """A module that runs another one with critique and returns the prediction of the chosen attempt.

    Called like the module itself, sync and by `acall`. On a revision every predictor inside gets two more input fields:
    what the module gave before, and the critique of it. Nothing of an attempt is streamed.

    Args:
        module: any DSPy module; optimizers see its predictors.
        judge: a spec, a function `(task, trajectory)`, a Judge or a list of them; None means `$REAGENT_JUDGE`, else
            the embedded local judge.
        policy: how to revise and what to keep.
        budget: limits of each call.
        log: path of a run log.
        hint: name of an input of the module that takes the critique, instead of fields for all predictors.

    Raises:
        InvalidInput: the judge is none of these.
    """

    def __init__(
        self,
        module: Any,
        *,
        judge: JudgeLike = None,
        policy: Policy | None = None,
        budget: Budget | None = None,
        log: LogLike = None,
        hint: str | None = None,
    ) -> None:
        super().__init__()
        self.module = module
        self.hint = hint
        self._shared = _Shared(Critique.of(judge, policy=policy, budget=budget, log=log))

    def forward(self, **inputs: Any) -> Any:
        """Runs the loop in blocking code; raises what the module raises on its first attempt."""
        made, run = self._shared.call(self._run, inputs, contextvars.copy_context())
        return _finished(made, run)

    async def aforward(self, **inputs: Any) -> Any:
        """Like :meth:`forward`, in the caller's event loop."""
        return _finished(*await self._run(inputs, None))

    async def _run(self, inputs: Mapping[str, Any], context: contextvars.Context | None) -> tuple[Made, Run]:
        loop = self._shared.critique.loop(task_of(inputs), Attempts(self.module, inputs, self.hint, context))
        run = await loop.run()
        return loop.output(), run

    def close(self) -> None:
        """Frees the judge, unless it was passed in, and the thread of sync calls. Idempotent."""
        self._shared.close()


def run_of(prediction: Any) -> Run:
    """The run behind a prediction of a :class:`CritiqueModule`.

    Raises:
        InvalidInput: the prediction came from another module.
    """
    run = getattr(prediction, "_reagent_run", None)
    if not isinstance(run, Run):
        raise InvalidInput(f"this {type(prediction).__name__} comes from no CritiqueModule")
    return run


def critique_reward(judge: JudgeLike = None) -> Callable[[Mapping[str, Any], Any], float]:
    """A reward for `dspy.Refine` and `dspy.BestOfN`: the judge's score in [0, 1] of the module's whole trace.

    Where the judge fails it raises :class:`Unscored`: both then leave the attempt out and count it against
    `fail_count`, and a prediction is never chosen by a number that the judge did not give. :class:`CritiqueModule`
    keeps the draft in that case.
    """
    shared = _Shared(Critique.of(judge))

    def reward(args: Mapping[str, Any], pred: Any) -> float:
        return _score(shared.hear(args, pred, dspy.settings.trace or ()))

    return reward


def critique_metric(judge: JudgeLike = None, *, on_failure: Literal["raise", "nan"] = "raise") -> Callable[..., Any]:
    """A metric for `dspy.Evaluate` and `dspy.GEPA`: the judge's score, and its critique as `feedback`.

    Args:
        judge: as for :class:`CritiqueModule`.
        on_failure: "raise" raises :class:`Unscored`, which DSPy turns into its own `failure_score`, 0.0 unless you set
            it; "nan" gives a score that is not a number, which keeps the failure visible in every average.
    """
    shared = _Shared(Critique.of(judge))

    def metric(gold: Any, pred: Any, trace: Any = None, pred_name: str | None = None, pred_trace: Any = None) -> Any:
        verdict = shared.hear(dict(gold.inputs().items()), pred, trace or ())
        score = float("nan") if on_failure == "nan" and not verdict.scored else _score(verdict)
        return dspy.Prediction(score=score, feedback=verdict.critique or verdict.reason)

    return metric


class _Shared(Closing):
    """Judge and thread, shared by all copies of a module: optimizers copy modules, and a judge is no part of them."""

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __copy__(self) -> Self:
        return self

    def call(self, function: Callable[..., Any], *args: Any) -> Any:
        return self._portal.call(function, *args)

    def hear(self, inputs: Mapping[str, Any], prediction: Any, trace: Any) -> Verdict:
        task, trajectory = task_of(inputs), trajectory_of(prediction, list(trace))
        verdict: Verdict = self.call(heard, self.critique.judge, task, trajectory)
        return verdict


def _score(verdict: Verdict) -> float:
    if verdict.score is None:
        raise Unscored(verdict)
    return verdict.score


def _finished(made: Made, run: Run) -> Any:
    """The chosen prediction; its predictor calls join the caller's trace, for optimizers to learn from."""
    if dspy.settings.trace is not None:
        dspy.settings.trace.extend(made.trace)
    if isinstance(made.prediction, dspy.Prediction):
        made.prediction._reagent_run = run
    return made.prediction
