"""What leaves a run while it goes on, as LlamaIndex events: the answer when it is chosen, drafts only on request."""

from __future__ import annotations

from collections.abc import Callable

from llama_index.core.agent.workflow import AgentInput, AgentSetup
from llama_index.core.workflow import Event, InputRequiredEvent, StopEvent
from pydantic import SerializeAsAny

from reagent_sdk import events
from reagent_sdk.run import Run
from reagent_sdk.verdict import VerdictStatus


class AttemptStarted(Event):
    """An attempt begins; 0 is the first draft."""

    attempt: int


class AttemptJudged(Event):
    """The judge spoke: a score in [0, 1], or None and the reason in `status`."""

    attempt: int
    score: float | None
    status: VerdictStatus


class DraftEvent(Event):
    """What an attempt streams, as it happens and before it is judged. It may yet be rejected."""

    attempt: int
    event: SerializeAsAny[Event]


class CritiqueFinished(Event):
    """The run ended: all attempts and verdicts, which was chosen and why."""

    run: Run


class Relay:
    """Holds the events of each attempt back, and lets those of the chosen one go when it is chosen.

    Args:
        emit: takes what leaves.
        drafts: also let all events go as they happen, marked as :class:`DraftEvent`.
    """

    def __init__(self, emit: Callable[[Event], None], *, drafts: bool = False) -> None:
        self._emit = emit
        self._drafts = drafts
        self._held: list[list[Event]] = []

    def observe(self, event: events.Event) -> None:
        """Turns what the loop tells into events of ours; texts of the judge are not among them."""
        if isinstance(event, events.AttemptStarted):
            self._held.append([])
            self._emit(AttemptStarted(attempt=event.index))
        elif isinstance(event, events.AttemptJudged):
            verdict = event.verdict
            self._emit(AttemptJudged(attempt=event.index, score=verdict.score, status=verdict.status))

    def see(self, event: Event) -> None:
        """Takes an event of the attempt under way. A question to a human cannot wait."""
        if isinstance(event, InputRequiredEvent):
            self._emit(event)
        elif not isinstance(event, StopEvent):
            self._held[-1].append(event)
            if self._drafts:
                self._emit(DraftEvent(attempt=len(self._held) - 1, event=event))

    def finish(self, run: Run) -> None:
        """Lets the chosen attempt go. What a revision was asked holds the rejected draft, so it stays here."""
        for event in self._held[run.chosen] if run.chosen is not None else ():
            if not (run.chosen and isinstance(event, AgentInput | AgentSetup)):
                self._emit(event)
        self._emit(CritiqueFinished(run=run))
