"""Lookups whose findings are then computed with: search, browse and python."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from random import Random

from reagent_training.synth.families.atlas import Atlas
from reagent_training.synth.families.chains import Chain, Hop, side_by_side, steps_of
from reagent_training.synth.families.mixed_forms import FORMS, MixedForm
from reagent_training.synth.families.prose import phrase
from reagent_training.synth.families.strays import detour_in, invention_near, mended_call, slips_of
from reagent_training.synth.families.words import ENDING
from reagent_training.synth.figures import is_tie, near_number, shown, wrong_number
from reagent_training.synth.plan import OUT, Call, Flaw, Plan, Role, Step
from reagent_training.synth.puzzle import Slip
from reagent_training.synth.record import GradingRule, Split, SynthTask

FAMILY = "mixed"
_RECKONING = ("Now I compute it.", "With both numbers I compute {w}.", "Python gives {w} from these.", "I compute {w}.")
_CHECKS = (
    "I check the sum with other code.",
    "Let me verify the arithmetic.",
    "I compute it once more, written differently.",
)
_CLOSINGS = ("So {w} is known.", "That is {w}.", "This is what was asked for.", "That answers the question.")


@dataclass(frozen=True, slots=True)
class MixedPuzzle:
    """Two lookups and a computation, with ways to work on them."""

    task: SynthTask
    atlas: Atlas
    form: MixedForm
    chains: tuple[Chain, Chain]
    slips: tuple[Slip, ...]

    @property
    def goal(self) -> str:
        """What is asked for."""
        return f"{self.form.what} from two lookups"

    def plan(self, rng: Random, slip: Slip | None = None, *, checked: bool = False) -> Plan:
        """Looks both numbers up, one after the other or side by side, and computes."""
        one, two = self._hops(slip)
        if len(one) == len(two) == 1 and rng.random() < 0.5:
            steps = side_by_side(rng, [*one, *two])
        else:
            steps = _one_by_one(rng, one, two)
        a, b = one[-1].value, two[-1].value
        mistaken = slip is not None and slip.key == "compute"
        codes = (self.form.mistake.expr,) * 2 if mistaken else self.form.code
        first = rng.randrange(2)
        span = (len(steps), len(steps) + 1)
        steps.append(
            Step(
                rng.choice(_RECKONING).format(w=self.form.what),
                (_python(codes[first], a, b),),
                Role.COMPUTE,
                self.form.what,
                f"{self.form.what} is {OUT}",
                rng.choice(("So", "Python says that", "The code shows that")),
                Flaw.WRONG_ARGUMENT if mistaken else None,
            )
        )
        if checked:
            call = _python(codes[1 - first], a, b, name="again")
            steps.append(Step(rng.choice(_CHECKS), (call,), Role.CHECK, "a second look", f"it prints {OUT} as well"))
        closing = rng.choice(_CLOSINGS).format(w=self.form.what)
        return Plan(tuple(steps), closing, OUT, "", span, f"{self.form.what} is {OUT}")

    def detour(self, rng: Random) -> Step:
        """A page that the question does not lead to."""
        needed = {hop.subject.name for chain in self.chains for hop in chain.hops(self.atlas)}
        return detour_in(rng, self.atlas, needed)

    def invention(self, rng: Random) -> Step:
        """A page that is not in the corpus."""
        return invention_near(rng, rng.choice(self.chains).start)

    def mended(self, rng: Random, step: Step) -> Step:
        """A misspelt address, or code that raises a NameError."""
        return mended_call(rng, step)

    def wrong(self, rng: Random) -> str:
        """Another number."""
        return wrong_number(rng, self.task.answer)

    def near(self, rng: Random) -> tuple[str, str]:
        """The right number, carried over badly."""
        return near_number(rng, self.task.answer)

    def _hops(self, slip: Slip | None) -> tuple[list[Hop], list[Hop]]:
        number, _, place = (slip.key if slip else "").partition(":")
        wrong = [int(place) if place and number == str(chain) else None for chain in range(2)]
        return self.chains[0].hops(self.atlas, wrong[0]), self.chains[1].hops(self.atlas, wrong[1])


def mixed_puzzle(rng: Random, split: Split, task_id: str, atlas: Atlas, corpus: str) -> MixedPuzzle:
    """A question about a world; both numbers differ."""
    while True:
        form = rng.choice(FORMS[split])
        chains = form.chains(rng, atlas)
        a, b = (int(chain.value(atlas)) for chain in chains)
        answer = form.answer(Fraction(a), Fraction(b))
        if a != b and answer != 0 and not is_tie(answer):
            break
    wording = rng.randrange(2)
    asked = form.asks[wording].format(a=chains[0].words(wording), b=chains[1].words(wording), s=chains[0].start)
    task = SynthTask(
        id=task_id,
        family=FAMILY,
        template=form.name,
        split=split,
        difficulty=3 if max(len(chain.relations) for chain in chains) > 1 else 2,
        question=f"{asked} {ENDING}",
        answer=shown(Fraction(round(answer * 100), 100)),
        rule=GradingRule(kind="number", tolerance=0.0051),
        tools=("search", "browse", "python"),
        corpus=corpus,
    )
    slip = Slip("compute", form.mistake.did, form.mistake.should, form.mistake.advice)
    return MixedPuzzle(task, atlas, form, chains, (*slips_of(atlas, chains), slip))


def _python(code: str, a: object, b: object, name: str = "result") -> Call:
    return Call("python", {"code": f"a = {a}\nb = {b}\n{name} = {code}\nprint({name})"})


def _one_by_one(rng: Random, one: list[Hop], two: list[Hop]) -> list[Step]:
    """Both lookups in turn. A page that was read for the first is not read again, only looked at again."""
    seen = {hop.read.name for hop in one if hop.read is hop.subject}
    known = [hop for hop in two if hop.read is hop.subject and hop.read.name in seen]
    first, second = steps_of(rng, one), steps_of(rng, [hop for hop in two if hop not in known])
    if known and second:
        told = f"The same page says that {phrase(known[0].relation, known[0].subject.name, 0)} is {known[0].value}."
        second[0] = replace(second[0], thought=f"{told} {second[0].thought}")
    return [*first, *second]
