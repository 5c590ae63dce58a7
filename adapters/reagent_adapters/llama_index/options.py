"""What all LlamaIndex wrappers take besides the thing they wrap."""

from __future__ import annotations

from os import PathLike
from typing import TypedDict, Unpack

from reagent_adapters.critique import Critique
from reagent_sdk.budget import Budget
from reagent_sdk.errors import InvalidInput
from reagent_sdk.policy import Policy
from reagent_sdk.record import RunLog
from reagent_sdk.specs import JudgeLike


class Rules(TypedDict, total=False):
    """The rules of a run.

    `policy` says how to revise and what to keep, `budget` limits each run, `log` is the path of a run log.
    """

    policy: Policy | None
    budget: Budget | None
    log: RunLog | str | PathLike[str] | None


def critique_of(judge: JudgeLike | Critique, **rules: Unpack[Rules]) -> Critique:
    """The settings of a wrapper: ready ones, whose judge stays the caller's, or made from a judge and rules.

    Raises:
        InvalidInput: ready settings and further rules, or as :meth:`Critique.of` says.
    """
    if not isinstance(judge, Critique):
        return Critique.of(judge, **rules)
    if rules:
        raise InvalidInput(f"a Critique brings its own rules; pass {', '.join(sorted(rules))} to Critique.of")
    return judge.with_changes(owned=False)
