"""Multi-hop questions over a corpus of fictional facts, answered with search and browse."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from reagent_training.synth.families.atlas import Atlas
from reagent_training.synth.families.chains import Chain, search_step, steps_of
from reagent_training.synth.families.prose import CONFUSED, phrase
from reagent_training.synth.families.strays import (
    detour_in,
    invention_near,
    mended_call,
    other_value,
    slips_of,
    spelt_wrong,
)
from reagent_training.synth.families.words import ENDING
from reagent_training.synth.figures import near_number
from reagent_training.synth.plan import OUT, Plan, Role, Step
from reagent_training.synth.puzzle import Slip
from reagent_training.synth.record import GradingRule, Split, SynthTask

FAMILY = "lookups"
_ASKS = ("Name {np}.", "Find out {np}.", "Give {np}.", "Use the corpus to find {np}.")
_CHECKS = ("I check this with another search.", "Let me see whether other pages agree.", "I verify it once more.")
_CLOSINGS = ("So that is {np}.", "This answers the question.", "That is what was asked for.", "The chain is complete.")

_CHAINS = {
    Split.TRAIN: (
        *(("town", ("founded",)), ("person", ("born_in",)), ("book", ("author",))),
        *(("book", ("author", "born_in")), ("press", ("founder", "mentor")), ("book", ("setting", "river"))),
        *(("book", ("author", "born_in", "river")), ("press", ("founder", "lives_in", "population"))),
    ),
    Split.TEST: (
        *(("town", ("river",)), ("press", ("seat",)), ("person", ("mentor",))),
        *(("book", ("press", "founder")), ("person", ("lives_in", "mayor")), ("press", ("seat", "charter"))),
        *(("book", ("author", "mentor", "lives_in")), ("book", ("press", "founder", "born"))),
    ),
}


@dataclass(frozen=True, slots=True)
class LookupPuzzle:
    """A chain of lookups with ways to work on it."""

    task: SynthTask
    atlas: Atlas
    chain: Chain
    slips: tuple[Slip, ...]

    @property
    def goal(self) -> str:
        """What is asked for."""
        return self.chain.words(0)

    def plan(self, rng: Random, slip: Slip | None = None, *, checked: bool = False) -> Plan:
        """A search and a browse for each hop."""
        hops = self.chain.hops(self.atlas, None if slip is None else int(slip.key.partition(":")[2]))
        steps = steps_of(rng, hops)
        last, span = hops[-1], (len(steps) - 2, len(steps))
        if checked:
            query = f"{last.subject.name} {last.value}"
            steps.append(search_step(rng.choice(_CHECKS), query, Role.CHECK, "a second source"))
        asserted = f"{phrase(last.relation, last.subject.name, rng.randrange(2))} is {OUT}"
        closing = rng.choice(_CLOSINGS).format(np=self.chain.words(0))
        return Plan(tuple(steps), closing, str(last.value), "", span, asserted)

    def detour(self, rng: Random) -> Step:
        """A page that the question does not lead to."""
        return detour_in(rng, self.atlas, {hop.subject.name for hop in self.chain.hops(self.atlas)})

    def invention(self, rng: Random) -> Step:
        """A page that is not in the corpus."""
        return invention_near(rng, self.chain.start)

    def mended(self, rng: Random, step: Step) -> Step:
        """A misspelt address."""
        return mended_call(rng, step)

    def wrong(self, rng: Random) -> str:
        """Something else of the same kind."""
        return other_value(rng, self.atlas, self.chain)

    def near(self, rng: Random) -> tuple[str, str]:
        """What else the last page says, what stands one hop earlier, or a slip of the pen."""
        hops = self.chain.hops(self.atlas)
        last = hops[-1]
        ways = []
        if last.relation in CONFUSED:
            other = CONFUSED[last.relation]
            said = phrase(other, last.subject.name, 0)
            ways.append((str(last.read.facts[other]), f"takes {said} from the page"))
        if len(hops) > 1:
            ways.append((str(hops[-2].value), "stops one hop early and gives the intermediate name"))
        if not ways:
            number = isinstance(last.value, int)
            ways.append(near_number(rng, str(last.value)) if number else spelt_wrong(rng, str(last.value)))
        return rng.choice(ways)


def lookup_puzzle(rng: Random, split: Split, task_id: str, atlas: Atlas, corpus: str) -> LookupPuzzle:
    """A question about a world."""
    kind, relations = rng.choice(_CHAINS[split])
    chain = Chain(rng.choice(atlas.of(kind)).name, relations)
    while not (slips := slips_of(atlas, (chain,))):
        chain = Chain(rng.choice(atlas.of(kind)).name, relations)
    value = chain.value(atlas)
    asked = rng.choice(_ASKS).format(np=chain.words(rng.randrange(2)))
    task = SynthTask(
        id=task_id,
        family=FAMILY,
        template=".".join((kind, *relations)),
        split=split,
        difficulty=len(relations),
        question=f"{asked} {ENDING}",
        answer=str(value),
        rule=GradingRule(kind="number" if isinstance(value, int) else "text"),
        tools=("search", "browse"),
        corpus=corpus,
    )
    return LookupPuzzle(task, atlas, chain, slips)
