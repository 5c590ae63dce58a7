"""A solver of inspect_ai as the agent of a critique run, with each attempt kept as it was when it was done."""

from __future__ import annotations

import copy
from typing import Any

from reagent_adapters.versions import require
from reagent_sdk.agents import Feedback, Work
from reagent_sdk.events import AttemptJudged, Event
from reagent_sdk.run import Run
from reagent_sdk.task import Task

require("inspect-ai", "inspect")

from inspect_ai._util.exception import TerminateSampleError  # noqa: E402
from inspect_ai.log import transcript  # noqa: E402
from inspect_ai.solver import Generate, Solver, TaskState  # noqa: E402
from inspect_ai.util import LimitExceededError, span  # noqa: E402

from reagent_adapters.inspect_meter import tallied  # noqa: E402
from reagent_adapters.inspect_work import feedback_message, trajectory_of  # noqa: E402

RUN = "reagent_run"
"""Key of the run in a sample's store, and of its summary in the sample's metadata."""

_COPIED = ("messages", "output", "completed", "choices", "metadata", "scores")


class Attempts:
    """The wrapped solver as an agent: all attempts go on in one state.

    Attributes:
        state: the state as it is now.
        ended: the error that ends the sample, where a revision met one.
    """

    def __init__(self, inner: Solver, state: TaskState, generate: Generate) -> None:
        self.state = state
        self.ended: Exception | None = None
        self._given = state
        self._inner = inner
        self._generate = generate

    async def attempt(self, task: Task, feedback: Feedback | None) -> Work:
        """Runs the solver once, on the sample's messages or on the critique after the earlier work.

        Raises:
            BudgetExceeded: the budget allows no further model call.
            Exception: whatever the solver raises.
        """
        with tallied() as tally:
            try:
                if feedback is not None:
                    self.state.completed = False
                    self.state.messages.append(feedback_message(feedback.critique))
                async with span("revision" if feedback else "draft", type="reagent"):
                    self.state = await self._inner(self.state, self._generate)
            except Exception as error:
                if tally.refused is not None:
                    raise tally.refused from error
                if isinstance(error, LimitExceededError | TerminateSampleError):
                    self.ended = error  # the loop keeps the draft, and the sample must end all the same
                raise
        return Work(trajectory_of(self.state, tally.usage), _Snapshot(self.state))

    def settle(self, chosen: _Snapshot | None, run: Run) -> None:
        """Puts the chosen attempt back, and the run beside it; also into the state that the solver was given."""
        for state in {id(one): one for one in (self._given, self.state)}.values():
            if chosen is not None:
                chosen.restore(state)
            state.store.set(RUN, run.model_dump(mode="json"))
            state.metadata = {**(state.metadata or {}), RUN: _summary(run)}

    async def aclose(self) -> None:
        """Nothing to free."""


class _Snapshot:
    """A copy of what an attempt left in its state."""

    def __init__(self, state: TaskState) -> None:
        self._fields = {name: _copied(getattr(state, name)) for name in _COPIED}
        self._store = {key: _copied(value) for key, value in state.store.items()}

    def restore(self, state: TaskState) -> None:
        """Makes a state what it was."""
        for name, value in self._fields.items():
            setattr(state, name, value)
        for key in list(state.store.keys()):
            state.store.delete(key)
        for key, value in self._store.items():
            state.store.set(key, value)


def _copied(value: Any) -> Any:
    try:
        return copy.deepcopy(value)
    except TypeError:  # a live handle, such as a lock or a connection: there is only the one
        return value


def show(event: Event) -> None:
    """Verdicts, in the sample's transcript."""
    if isinstance(event, AttemptJudged):
        told = event.verdict.model_dump(mode="json", exclude_defaults=True)
        transcript().info({"attempt": event.index, **told}, source="reagent")


def _summary(run: Run) -> dict[str, Any]:
    scores = [attempt.score for attempt in run.attempts]
    told = {"status": run.status.value, "stop": run.stop.value, "why": run.why, "judge": run.judge}
    return {**told, "chosen": run.chosen, "score": run.score, "scores": scores, "calls": run.usage.calls}
