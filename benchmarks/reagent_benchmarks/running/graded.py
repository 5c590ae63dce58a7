"""What becomes of attempts: their answers graded, each different one of a sample once."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from reagent_benchmarks.grading import Grader
from reagent_benchmarks.outcomes import Outcome
from reagent_benchmarks.running.calls import KeptClient, journal_in_force, question
from reagent_benchmarks.running.failures import told
from reagent_benchmarks.running.question import ArmRun
from reagent_sdk.errors import InvalidInput
from reagent_sdk.trajectory import AgentStop

if TYPE_CHECKING:
    from inspect_ai.scorer import Target
    from inspect_ai.solver import TaskState

GRADES = "reagent_grades"
"""Key of the grades in a sample's store, by answer: arms often give the same one."""


class Graders:
    """Grades attempts, each different answer of a sample once.

    Raises:
        InvalidInput: there is no such grader, or one needs a model and none is given.
        MissingExtra: one needs a package that is not installed.
    """

    def __init__(self, default: str | Grader, model: str | None) -> None:
        self._default = default
        self._model = model
        self._journal = journal_in_force()
        self._made: dict[str, Grader] = {}
        if isinstance(default, str):
            self._named(default)

    async def outcome(self, own: ArmRun, attempt: int | None, state: TaskState, target: Target) -> tuple[Outcome, str]:
        """What an attempt of an arm comes to, and why."""
        if attempt is None or (own.failed is not None and attempt == own.run.chosen):
            return own.failed or Outcome.AGENT_FAILED, own.why
        work = own.run.attempts[attempt].trajectory
        known = dict(state.store.get(GRADES) or {})
        key = json.dumps([work.answer, work.stop])
        if key not in known:
            known[key] = list(await self._grade(work.answer, work.stop, state, target))
            state.store.set(GRADES, known)
        outcome, why = known[key]
        return Outcome(outcome), why

    async def _grade(self, answer: str, stop: AgentStop, state: TaskState, target: Target) -> tuple[str, str]:
        given = (state.metadata or {}).get("grader")
        try:
            grader = self._named(given) if given else self._grader()
            with question(self._journal, question_name(state)):
                grade = await grader.grade(
                    answer, list(target), question=state.input_text, cut_off=stop is AgentStop.TRUNCATED
                )
        except Exception as error:  # a grader that breaks says nothing about the answer
            return Outcome.GRADER_FAILED, told(error)
        if grade.right is None:
            return Outcome.GRADER_FAILED, grade.why
        return Outcome.RIGHT if grade.right else Outcome.WRONG, grade.why

    def _grader(self) -> Grader:
        return self._named(self._default) if isinstance(self._default, str) else self._default

    def _named(self, name: str) -> Grader:
        if name not in self._made:
            from reagent_benchmarks.grading import grader

            if name == "llm" and not self._model:
                raise InvalidInput("a model grades this set: name one with --grader SPEC")
            self._made[name] = grader(name, **(self._asking(self._model) if name == "llm" and self._model else {}))
        return self._made[name]

    def _asking(self, model: str) -> dict[str, Any]:
        """What a grader that is a model is made of; in a study its replies are kept."""
        from reagent_sdk.specs import client_for

        client = client_for(model)
        return (
            {"client": client}
            if self._journal is None
            else {"client": KeptClient(client), "secret": self._journal.secret}
        )


def question_name(state: TaskState) -> str:
    """The question and epoch that calls are kept under."""
    return f"{state.sample_id} {state.epoch}"
