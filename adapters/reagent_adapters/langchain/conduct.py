"""How the middleware conducts a run: what each hook does, sync and async alike, with the graph's state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from langchain.agents.middleware.types import ModelRequest, ModelResponse
from langchain_core.messages import AIMessage, AnyMessage, ToolMessage
from langgraph.errors import GraphBubbleUp

from reagent_adapters.critique import Critique
from reagent_adapters.langchain.history import tidied
from reagent_adapters.langchain.messages import answer_of, as_text, asked_in, stop_of, to_chat, usage_of_all
from reagent_adapters.langchain.quiet import counted_around
from reagent_adapters.langchain.turn import (
    Ending,
    Turn,
    broken_off,
    pack,
    packed_run,
    run_in,
    why_broken_off,
)
from reagent_sdk import scope
from reagent_sdk.agents import Feedback, Work
from reagent_sdk.budget import Meter
from reagent_sdk.errors import BudgetExceeded, JudgeFailed
from reagent_sdk.events import AttemptStarted
from reagent_sdk.prompts import revision_request
from reagent_sdk.review import Review
from reagent_sdk.run import Run, StopReason
from reagent_sdk.scope import Observer
from reagent_sdk.trajectory import Trajectory
from reagent_sdk.usage import Usage

SPARE_STEPS = 6
"""Steps that a revision needs at least for one more call of tools, of the model and of the judge, with the hooks of
other middleware. With fewer left it is not begun or goes no further: a draft in hand beats a recursion error."""


@dataclass(frozen=True)
class Conduct:
    """The rules of the runs and who watches them."""

    critique: Critique
    observe: Observer | None = None

    def begin(self, state: Mapping[str, Any]) -> dict[str, Any]:
        """The state of a turn that begins.

        Raises:
            InvalidInput: there is no message that asks anything.
        """
        task, index = asked_in(state["messages"])
        review = self.critique.review(task, self.observe)
        review.emit(AttemptStarted(0, None))
        question = state["messages"][index].id or ""
        turn = Turn(question=question, anchor=question).at_rest(state)
        return {"reagent_turn": turn, "reagent_run": packed_run(review.result()), "reagent_structured": []}

    async def judge(self, state: Mapping[str, Any]) -> dict[str, Any] | None:
        """Judges the attempt that has ended and says how the graph goes on.

        Raises:
            JudgeFailed: the judge gave no score and the policy makes that an error.
            LowScore: the best attempt scored below the floor and the policy makes that an error.
        """
        turn, run = Turn.in_state(state), run_in(state)
        if turn is None or run is None:
            return None  # the turn did not begin with us: another middleware ended it first
        work = turn.work(state["messages"])
        usage = usage_of_all(work)
        review = self._resumed(run, turn.elapsed(state), usage)
        stopped = why_broken_off(state["messages"])
        if turn.endings and (stopped or not work):
            review.ended(*(stopped or (StopReason.REVISION_FAILED, "the revision gave nothing")))
            return await self._finished(review, turn, state)
        if not work:
            return {"reagent_turn": None}  # another middleware ended the turn before the agent said anything
        ending = Ending.of(work, state.get("structured_response"))
        turn = turn.model_copy(update={"endings": (*turn.endings, ending)})
        structured = [*state.get("reagent_structured", []), state.get("structured_response")]
        state = {**state, "reagent_structured": structured}
        trajectory = _trajectory(turn, state, work).model_copy(update={"usage": usage})
        try:
            feedback = await review.submit(Work(trajectory, None))
        except JudgeFailed:
            await review.settle()
            raise
        if feedback is not None and state["reagent_steps_left"] < SPARE_STEPS:
            review.ended(StopReason.REVISION_FAILED, "the graph's recursion limit leaves no room for a revision")
            feedback = None
        if feedback is None:
            return await self._finished(review, turn, state)
        return self._revision(review, turn, state, feedback)

    def refusal(self, turn: Turn, state: Mapping[str, Any]) -> ModelResponse[Any] | None:
        """Instead of a model call that the budget forbids: the end of the revision.

        Raises:
            BudgetExceeded: there is no draft yet.
        """
        pending = usage_of_all(turn.work(state["messages"]))
        meter = Meter(self.critique.budget, used=turn.used + pending, elapsed=turn.elapsed(state))
        outer = None if counted_around() else scope.enclosing_meter()
        limit = meter.exhausted() or (outer.exhausted(pending.calls + 1) if outer else None)
        return self.over(limit, turn, state, f"the budget of {limit} is used up ({meter.usage})") if limit else None

    def seconds_left(self, turn: Turn, state: Mapping[str, Any]) -> float | None:
        """Seconds until the nearest deadline; None without any."""
        meter = Meter(self.critique.budget, parent=scope.enclosing_meter(), elapsed=turn.elapsed(state))
        return meter.remaining_seconds

    def over(self, limit: str, turn: Turn, state: Mapping[str, Any], message: str) -> ModelResponse[Any]:
        """The end of a revision at a limit of the budget; on the first attempt an error."""
        if not turn.endings:
            raise BudgetExceeded(limit, message, run=run_in(state))
        return _broken_off(state, StopReason.BUDGET)

    def failed(self, turn: Turn, state: Mapping[str, Any], error: Exception) -> ModelResponse[Any]:
        """Instead of a model's error while revising: the end of the revision. On the first attempt it is raised."""
        if not turn.endings or isinstance(error, GraphBubbleUp):
            raise error
        if isinstance(error, BudgetExceeded):
            return _broken_off(state, StopReason.BUDGET)
        note = f"attempt {len(turn.endings) + 1} failed with {type(error).__name__}: {error}"
        return _broken_off(state, StopReason.REVISION_FAILED, note)

    def checked(self, turn: Turn, request: ModelRequest[Any], response: ModelResponse[Any]) -> ModelResponse[Any]:
        """The response, unless it asks for tools in a revision for which the graph has too few steps left."""
        calls = any(isinstance(message, AIMessage) and message.tool_calls for message in response.result)
        state: Mapping[str, Any] = request.state
        if turn.endings and calls and state["reagent_steps_left"] < SPARE_STEPS:
            return _broken_off(state, StopReason.REVISION_FAILED, "the graph's recursion limit was reached")
        return response

    def _resumed(self, run: Run, seconds: float, usage: Usage) -> Review:
        """Goes on with the run, with what the agent used since; a run around this one hears of that once."""
        told = counted_around()
        used = run.usage + usage if told else run.usage
        review = self.critique.resumed(run.model_copy(update={"seconds": seconds, "usage": used}), self.observe)
        if not told:
            review.meter.charge(usage)
        return review

    def _revision(self, review: Review, turn: Turn, state: Mapping[str, Any], feedback: Feedback) -> dict[str, Any]:
        review.emit(AttemptStarted(review.count, feedback.critique))
        run = review.result()
        changes = {
            "anchor": state["messages"][-1].id or "",
            "advice": pack(revision_request(feedback.critique)),
            "used": run.usage,
            "seconds": run.seconds,
        }
        return {
            "jump_to": "model",
            "reagent_turn": turn.at_rest(state, **changes),
            "reagent_run": packed_run(run),
            "reagent_structured": state["reagent_structured"],
        }

    async def _finished(self, review: Review, turn: Turn, state: Mapping[str, Any]) -> dict[str, Any]:
        run: Run = await review.finish()
        update: dict[str, Any] = {"reagent_turn": None, "reagent_run": packed_run(run), "reagent_structured": []}
        if run.chosen is None:
            return update
        if changes := tidied(state["messages"], turn.endings, run.chosen, run.answer or ""):
            update["messages"] = changes
        if any(one is not None for one in state["reagent_structured"]):
            update["structured_response"] = state["reagent_structured"][run.chosen]
        return update


def _trajectory(turn: Turn, state: Mapping[str, Any], work: list[AnyMessage]) -> Trajectory:
    structured = state.get("structured_response")
    by_tool = structured is not None and bool(work) and isinstance(work[-1], ToolMessage)
    earlier = turn.model_copy(update={"endings": turn.endings[:-1]}).earlier_evidence(state["messages"])
    return Trajectory(
        messages=to_chat([*earlier, *work]),
        answer=as_text(structured) if by_tool else answer_of(work),
        stop=stop_of(work),
    )


def _broken_off(state: Mapping[str, Any], stop: StopReason, note: str = "") -> ModelResponse[Any]:
    """A response that ends the agent's loop, also where the loop waits for a structured response."""
    return ModelResponse(result=[broken_off(stop, note)], structured_response=state.get("structured_response"))
