"""The judge as a check of final answers in smolagents: a refused answer becomes an error that the agent reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from os import PathLike
from typing import Any

from smolagents.memory import TaskStep

from reagent_adapters.critique import Critique, counted
from reagent_adapters.smolagents_steps import messages_of, said_text
from reagent_sdk.agents import Feedback, Work, evidence
from reagent_sdk.budget import Budget
from reagent_sdk.messages import assistant
from reagent_sdk.policy import Policy
from reagent_sdk.portal import Portal
from reagent_sdk.prompts import revision_request
from reagent_sdk.record import RunLog
from reagent_sdk.review import Review
from reagent_sdk.scope import Observer
from reagent_sdk.specs import JudgeLike
from reagent_sdk.task import Task
from reagent_sdk.trajectory import Trajectory

_NAME = "reagent_state"


@dataclass
class _State:
    """A run under way; it hangs on the run's own task step, and goes with it."""

    review: Review
    seen: int
    feedback: Feedback | None = None


def critique_check(
    judge: JudgeLike = None,
    *,
    policy: Policy | None = None,
    budget: Budget | None = None,
    log: RunLog | str | PathLike[str] | None = None,
    observe: Observer | None = None,
) -> Callable[..., bool]:
    """A check for `final_answer_checks`, which refuses an answer with the critique so that the agent works on.

        agent = CodeAgent(tools=[], model=model, final_answer_checks=[critique_check("local")], max_steps=8)

    A check can refuse an answer and not replace it, so the last answer counts, as with `Policy(keep="last")`; refused
    ones stay in the memory, and what the agent says at its step limit is not checked. Nor does it see the code with
    which a `CodeAgent` gives the answer itself. :class:`CritiqueAgent` has none of these limits.

    Args:
        judge: a spec, a function `(task, trajectory)`, a Judge or a list of them.
        policy: how to revise.
        budget: limits of each run; calls are counted after they are made.
        log: path of a run log.
        observe: called with each event; the last one, `RunFinished`, holds the run.

    Raises:
        InvalidInput: as :meth:`Critique.of` says.
    """
    rules = Policy(**{**dict(policy or Policy()), "keep": "last"})
    critique = Critique.of(judge, policy=rules, budget=budget, log=log)
    portal = Portal(critique.aclose)

    def critic(final_answer: Any, memory: Any, agent: Any = None) -> bool:
        at = max(at for at, step in enumerate(memory.steps) if isinstance(step, TaskStep))
        asked = memory.steps[at]
        state = getattr(asked, _NAME, None)
        if state is None:
            history = tuple(messages_of(memory.steps[:at], with_answers=True))
            state = _State(critique.review(Task(question=asked.task, history=history), observe), at + 1)
            setattr(asked, _NAME, state)
        portal.call(_judge, state, memory.steps, final_answer)
        if state.feedback is not None:
            raise ValueError(revision_request(state.feedback.critique))
        return True

    return critic


async def _judge(state: _State, steps: list[Any], final_answer: Any) -> None:
    """Submits the work since the last answer, and sets what the next one has to answer."""
    new, state.seen = steps[state.seen :], len(steps)
    if state.feedback is not None:
        new = [replace(new[0], error=None), *new[1:]]  # the refused answer's step, whose error is the critique
    told = [usage for step in new if (usage := getattr(step, "token_usage", None)) is not None]
    state.review.meter.charge(
        counted(
            calls=len(new) + (state.feedback is None),  # the step of an answer comes to the memory after its check
            prompt=sum(usage.input_tokens for usage in told),
            completion=sum(usage.output_tokens for usage in told),
            unmetered=int(state.feedback is None),
        )
    )
    answer = said_text(final_answer)
    done = (*evidence(state.feedback), *messages_of(new), assistant(answer))
    state.feedback = await state.review.submit(Work(Trajectory(messages=done, answer=answer), final_answer))
    if state.feedback is None:
        await state.review.finish()
