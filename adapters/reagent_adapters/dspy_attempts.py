"""A DSPy module as the agent of a critique run; revisions see the earlier outputs and the critique as input fields."""

from __future__ import annotations

import contextvars
from collections.abc import Mapping
from typing import Any, NamedTuple

import anyio.to_thread

from reagent_adapters.dspy_work import trajectory_of
from reagent_adapters.versions import require
from reagent_sdk import scope
from reagent_sdk.agents import Feedback, Work, evidence
from reagent_sdk.budget import Meter
from reagent_sdk.prompts import revision_request
from reagent_sdk.task import Task
from reagent_sdk.usage import Usage

require("dspy", "dspy")

import dspy  # noqa: E402

EARLIER, CRITIQUE = "earlier_attempt", "critique_of_it"


class Made(NamedTuple):
    """An attempt's prediction, and the predictor calls behind it."""

    prediction: Any
    trace: list[Any]


class Attempts:
    """The agent of one run.

    Args:
        module: the module.
        inputs: what it is called with.
        hint: name of an input of the module that takes the critique, instead of fields for all predictors.
        context: where the caller's DSPy settings live, for a sync module.
    """

    def __init__(
        self, module: Any, inputs: Mapping[str, Any], hint: str | None, context: contextvars.Context | None
    ) -> None:
        self._module = module
        self._inputs = inputs
        self._hint = hint
        self._context = context

    async def attempt(self, task: Task, feedback: Feedback | None) -> Work:
        """Calls the module once; nothing of it is streamed, because it may yet be rejected.

        Raises:
            BudgetExceeded: the budget allows no further call of a language model.
            Exception: whatever the module raises.
        """
        inputs = dict(self._inputs)
        if feedback is not None and self._hint is not None:
            inputs[self._hint] = _advice(feedback)[CRITIQUE]
        current = scope.current()
        metered = _Metered(current.meter, _advice(feedback) if feedback and self._hint is None else {})

        def settings() -> Any:
            adapter = metered.over(dspy.settings.adapter or dspy.ChatAdapter())
            return dspy.context(adapter=adapter, trace=[], send_stream=None)

        def call() -> Made:
            with scope.entered(current), settings(), dspy.track_usage() as metered.tracker:
                return Made(self._module(**inputs), list(dspy.settings.trace))

        try:
            if self._context is not None or not hasattr(self._module, "aforward"):
                context = (self._context or contextvars.copy_context()).copy()
                made = await anyio.to_thread.run_sync(context.run, call, abandon_on_cancel=True)
            else:
                with settings(), dspy.track_usage() as metered.tracker:
                    made = Made(await self._module.acall(**inputs), list(dspy.settings.trace))
        finally:
            usage = metered.charge()
        trajectory = trajectory_of(made.prediction, made.trace, usage=usage, earlier=evidence(feedback))
        return Work(trajectory, made)

    async def aclose(self) -> None:
        """Nothing to free."""


class _Metered:
    """Asks the run's meter before each call of a predictor, and gives the predictors the fields of a revision."""

    def __init__(self, meter: Meter, advice: Mapping[str, str]) -> None:
        self.tracker: Any = None
        self._meter = meter
        self._advice = advice
        self._admitted = 0

    def over(self, adapter: Any) -> Any:
        """An adapter of the same class that goes through this."""
        enter, advice = self._admit, self._advice

        class Critiqued(type(adapter)):  # type: ignore[misc]
            def __init__(self) -> None:
                self.__dict__.update(adapter.__dict__)

            def __call__(self, lm: Any, lm_kwargs: Any, signature: Any, demos: Any, inputs: Any) -> Any:
                enter()
                return adapter(lm, lm_kwargs, _told(signature, advice), demos, {**inputs, **advice})

            async def acall(self, lm: Any, lm_kwargs: Any, signature: Any, demos: Any, inputs: Any) -> Any:
                enter()
                return await adapter.acall(lm, lm_kwargs, _told(signature, advice), demos, {**inputs, **advice})

        return Critiqued()

    def charge(self) -> Usage:
        """Counts what the language models reported; calls beyond those of the predictors as well."""
        entries = [one for told in self.tracker.usage_data.values() for one in told] if self.tracker else []
        calls = max(self._admitted, len(entries))
        used = Usage(
            calls=calls,
            prompt_tokens=_tokens(entries, "prompt_tokens"),
            completion_tokens=_tokens(entries, "completion_tokens"),
            unpriced_calls=calls,
            unmetered_calls=calls - sum(1 for one in entries if one.get("prompt_tokens")),
        )
        self._meter.charge(used.model_copy(update={"calls": calls - self._admitted}))
        return used

    def _admit(self) -> None:
        self._meter.admit()
        self._admitted += 1


def _tokens(entries: list[Mapping[str, Any]], name: str) -> int:
    return sum(int(one.get(name) or 0) for one in entries)


def _told(signature: Any, advice: Mapping[str, str]) -> Any:
    described = {
        EARLIER: "What you gave before for the same inputs.",
        CRITIQUE: "Answer the inputs again, minding this.",
    }
    for name in advice:
        signature = signature.append(name, dspy.InputField(desc=described[name]), str)
    return signature


def _advice(feedback: Feedback) -> dict[str, str]:
    return {EARLIER: feedback.previous.answer, CRITIQUE: revision_request(feedback.critique)}
