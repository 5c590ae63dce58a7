"""A task with ways to work on it, and work with what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Protocol

from reagent_training.synth.plan import Flaw, Plan, Step
from reagent_training.synth.record import SynthTask


@dataclass(frozen=True, slots=True)
class Slip:
    """A wrong argument that a puzzle offers.

    Attributes:
        key: by which the puzzle knows it.
        did: what the agent does wrong, as a clause with a verb: "reads the file of 2030".
        should: what the question asks for, as a sentence without its end: "the question asks for 2031".
        advice: what to do, as an imperative without the answer.
    """

    key: str
    did: str
    should: str
    advice: str


class Puzzle(Protocol):
    """A task together with ways to work on it, sound and not."""

    @property
    def task(self) -> SynthTask:
        """What is asked."""

    @property
    def slips(self) -> tuple[Slip, ...]:
        """Wrong arguments that somebody may use."""

    @property
    def goal(self) -> str:
        """What is asked for as a noun phrase, in the question's own terms: it names nothing that has to be found."""

    def plan(self, rng: Random, slip: Slip | None = None, *, checked: bool = False) -> Plan:
        """Straight work, or work with a slip whose step is marked; the wording is drawn.

        With `checked`, a last step looks at the outcome once more in another way; a slip is made there as well.
        """

    def detour(self, rng: Random) -> Step:
        """A call that the question does not need."""

    def invention(self, rng: Random) -> Step:
        """A call on a file or page that does not exist."""

    def mended(self, rng: Random, step: Step) -> Step:
        """A failing form of a step, from which the next step recovers."""

    def wrong(self, rng: Random) -> str:
        """A plausible wrong answer in the form of the right one."""

    def near(self, rng: Random) -> tuple[str, str]:
        """An answer that a last slip makes of the right one, and that slip as a clause: "rounds to whole numbers"."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One flaw of a draft.

    Attributes:
        flaw: its kind.
        did: what the agent does wrong, as a clause with a verb.
        should: why that is wrong, as a sentence without its end; may be empty.
        advice: what to do, as an imperative.
    """

    flaw: Flaw
    did: str
    should: str
    advice: str


@dataclass(frozen=True, slots=True)
class Draft:
    """A plan with what is wrong with it."""

    plan: Plan
    faults: tuple[Fault, ...] = ()
