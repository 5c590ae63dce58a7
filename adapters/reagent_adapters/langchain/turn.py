"""What the middleware keeps in the graph's state, so that a run goes on from any checkpoint, in any process."""

from __future__ import annotations

import base64
import time
import zlib
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, NotRequired, Self

from langchain.agents.middleware.types import AgentState, PrivateStateAttr
from langchain_core.messages import AIMessage, AnyMessage, BaseMessage, HumanMessage
from langgraph.config import get_config
from langgraph.managed.is_last_step import RemainingStepsManager

from reagent_adapters.langchain.messages import evidence
from reagent_sdk.frozen import Frozen
from reagent_sdk.run import Run, StopReason
from reagent_sdk.usage import Usage

STOPPED = "reagent_stopped"
"""Marks a message that stands for a revision which was broken off; it is gone when the run ends."""


class CritiqueState(AgentState[Any]):
    """The agent's state and what is ours in it. None of it is input or output of the graph.

    LangGraph shows private keys in the streams of values, updates and debug events nevertheless. What the judge says is
    therefore kept packed: it is nobody's to read before the run is over, and a packed run is small in a checkpoint.
    """

    reagent_run: NotRequired[Annotated[str, PrivateStateAttr]]
    """The run so far, packed; after the turn it stays as the last run of the thread."""
    reagent_turn: NotRequired[Annotated[dict[str, Any] | None, PrivateStateAttr]]
    """A :class:`Turn` as JSON; None between turns."""
    reagent_structured: NotRequired[Annotated[list[Any], PrivateStateAttr]]
    """The structured response of each attempt."""
    reagent_steps_left: Annotated[int, PrivateStateAttr, RemainingStepsManager]
    """Steps that the graph's recursion limit leaves."""


class Ending(Frozen):
    """The messages that give an attempt's answer."""

    ids: tuple[str, ...] = ()
    evidence: bool = False
    """Whether they are the result of a tool, which stays in the conversation also when the answer is rejected."""

    @classmethod
    def of(cls, work: Sequence[BaseMessage], structured: object) -> Self:
        """The last message of a model and what follows it, such as the result of a tool that ends the work."""
        last = max((i for i, message in enumerate(work) if isinstance(message, AIMessage)), default=0)
        end = work[last:]
        return cls(ids=tuple(m.id or "" for m in end), evidence=structured is None and bool(evidence(end)))


class Turn(Frozen):
    """One turn under way: where its messages stand and what it used until the last verdict."""

    question: str
    """Id of the message that asks."""
    anchor: str
    """Id of the last message before the attempt under way."""
    endings: tuple[Ending, ...] = ()
    advice: str = ""
    """What the attempt under way is to answer, packed."""
    used: Usage = Usage()
    seconds: float = 0.0
    at: float = 0.0
    until: int = 0
    """The last step that the graph may take, by which one call of the graph is told from the next."""

    @classmethod
    def in_state(cls, state: Mapping[str, Any]) -> Self | None:
        """The turn under way, if there is one."""
        kept = state.get("reagent_turn")
        return cls.model_validate(kept) if kept else None

    def at_rest(self, state: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
        """The turn as JSON for the state, with the time of now."""
        clock = {"at": time.time(), "until": last_step(state)}
        return self.model_copy(update={**clock, **changes}).model_dump(mode="json")

    def elapsed(self, state: Mapping[str, Any]) -> float:
        """Seconds of the turn. A pause between two calls of the graph, say for a human's approval, is not counted."""
        here = self.until == last_step(state)
        return self.seconds + (max(0.0, time.time() - self.at) if here else 0.0)

    def work(self, messages: Sequence[BaseMessage]) -> list[AnyMessage]:
        """The messages of the attempt under way."""
        return [m for m in _after(messages, self.anchor) if STOPPED not in m.additional_kwargs]

    def earlier_evidence(self, messages: Sequence[BaseMessage]) -> list[BaseMessage]:
        """Tool calls and results of the attempts before, without their answers."""
        own = {m.id for m in _after(messages, self.anchor)}
        answers = {name for ending in self.endings if not ending.evidence for name in ending.ids}
        turn = [m for m in _after(messages, self.question) if m.id not in own and m.id not in answers]
        return evidence(turn) if self.endings else []

    def advised(self, messages: Sequence[AnyMessage]) -> list[AnyMessage]:
        """The conversation as a revision sees it: one earlier answer, the last, and then what is said of it."""
        if not self.advice:
            return list(messages)
        stale = {name for ending in self.endings[:-1] if not ending.evidence for name in ending.ids}
        seen = [message for message in messages if message.id not in stale]
        places = [index + 1 for index, message in enumerate(seen) if message.id == self.anchor]
        place = places[0] if places else len(seen)
        return [*seen[:place], HumanMessage(unpack(self.advice)), *seen[place:]]


def last_step(state: Mapping[str, Any]) -> int:
    """The last step that this call of the graph may take."""
    return int(get_config().get("metadata", {}).get("langgraph_step", 0)) + int(state.get("reagent_steps_left", 0))


def broken_off(stop: StopReason, note: str = "") -> AIMessage:
    """Stands for the answer of a revision that was broken off."""
    return AIMessage("", additional_kwargs={STOPPED: {"stop": stop.value, "note": note}})


def why_broken_off(messages: Sequence[BaseMessage]) -> tuple[StopReason, str] | None:
    """Why the last attempt was broken off, if it was."""
    last = messages[-1] if messages else None
    told = last.additional_kwargs.get(STOPPED) if isinstance(last, AIMessage) else None
    return (StopReason(told["stop"]), told["note"]) if told else None


def pack(text: str) -> str:
    """Text out of sight, as text that any checkpointer and any JSON can carry."""
    return base64.b85encode(zlib.compress(text.encode())).decode()


def unpack(packed: str) -> str:
    """The inverse of :func:`pack`."""
    return zlib.decompress(base64.b85decode(packed)).decode()


def packed_run(run: Run) -> str:
    """A run for the state."""
    return pack(run.model_dump_json())


def run_in(state: Mapping[str, Any]) -> Run | None:
    """The last run of a thread, also one that is under way."""
    kept = state.get("reagent_run")
    return Run.model_validate_json(unpack(kept)) if kept else None


def _after(messages: Sequence[Any], name: str) -> list[Any]:
    """What follows a message; where it is gone (summed up, trimmed), what follows the last one of the user."""
    places = [i for i, m in enumerate(messages) if m.id == name]
    places = places or [i for i, m in enumerate(messages) if isinstance(m, HumanMessage)]
    return list(messages[places[-1] + 1 :]) if places else list(messages)
