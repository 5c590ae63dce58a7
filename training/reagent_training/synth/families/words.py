"""Word problems, worked on with the python tool."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from fractions import Fraction
from random import Random

from reagent_training.synth.families import words_testing, words_training
from reagent_training.synth.families.problem import Line, Mistake, Problem
from reagent_training.synth.figures import is_tie, near_number, shown, wrong_number
from reagent_training.synth.names import lexicon
from reagent_training.synth.plan import OUT, Call, Flaw, Plan, Role, Step
from reagent_training.synth.puzzle import Slip
from reagent_training.synth.record import GradingRule, Split, SynthTask

FAMILY = "words"
ENDING = "Finish with a line 'Answer: ...'."
_OPENINGS = (
    "I need {what}. I will compute {lines} in Python.",
    "The question asks for {what}, so I work out {lines}.",
    "To get {what}: first {lines}. I use Python for it.",
    "Let me compute {what} step by step: {lines}.",
)
_CHECKS = (
    "Before I answer, I compute it a second way.",
    "I check this with a formula in one piece.",
    "Let me verify the result with another expression.",
)
_CLOSINGS = ("So {what} comes to that.", "That settles {what}.", "This gives {what}.", "With that, {what} is known.")


@dataclass(frozen=True, slots=True)
class WordPuzzle:
    """A word problem with ways to work on it."""

    task: SynthTask
    problem: Problem
    slips: tuple[Slip, ...]

    @property
    def goal(self) -> str:
        """What is asked for."""
        return self.problem.what

    def plan(self, rng: Random, slip: Slip | None = None, *, checked: bool = False) -> Plan:
        """One computation, and for a check the same in one expression."""
        problem, lines = self.problem, self.problem.lines
        if slip is not None:
            mistake = problem.mistakes[int(slip.key)]
            lines = tuple(replace(line, expr=mistake.expr) if line.name == mistake.line else line for line in lines)
        told = ", then ".join(line.says for line in lines)
        step = Step(
            thought=rng.choice(_OPENINGS).format(what=problem.what, lines=told),
            calls=(Call("python", {"code": _code(lines, problem.exact)}),),
            role=Role.COMPUTE,
            purpose=problem.what,
            claim=f"{problem.what} is {OUT} {problem.unit}",
            via=rng.choice(("The code shows that", "According to Python,", "So")),
            flaw=Flaw.WRONG_ARGUMENT if slip else None,
        )
        steps = (step, self._check(rng, lines)) if checked else (step,)
        closing = rng.choice(_CLOSINGS).format(what=problem.what)
        return Plan(steps, closing, OUT, problem.unit, (0, 1), step.claim)

    def _check(self, rng: Random, lines: tuple[Line, ...]) -> Step:
        call = Call("python", {"code": _code((_in_one(lines),), self.problem.exact)})
        return Step(rng.choice(_CHECKS), (call,), Role.CHECK, "a second look", f"it prints {OUT}", "The check agrees:")

    def detour(self, rng: Random) -> Step:
        """Something that nobody asked for."""
        codes = (
            ("import math\nprint(math.pi)", "the value of pi"),
            ("import sys\nprint(sys.version_info.major)", "the version of Python"),
            ("print(sum(range(1, 11)))", "a test of the interpreter"),
            ("import calendar\nprint(calendar.isleap(2024))", "a leap year"),
        )
        code, what = rng.choice(codes)
        thought = rng.choice(("Let me look at {what} too.", "I first try {what}.", "It may help to see {what}."))
        return Step(thought.format(what=what), (Call("python", {"code": code}),), Role.EXTRA, what)

    def invention(self, rng: Random) -> Step:
        """A file that nobody spoke of."""
        name = rng.choice(("data.csv", "numbers.txt", "problem.json", "values.csv", "prices.txt"))
        thought = rng.choice(("The numbers should be in {n}.", "I load {n}, which holds the inputs.", "I read {n}."))
        code = f"print(open('{name}').read())"
        return Step(thought.format(n=name), (Call("python", {"code": code}),), Role.EXTRA, f"the file {name}")

    def mended(self, rng: Random, step: Step) -> Step:
        """The code without one of its first lines, which raises a NameError."""
        lines = self.problem.lines
        broken = tuple(replace(line, expr=f"{line.expr} * unit") for line in lines[:1]) + lines[1:]
        return replace(step, calls=(Call("python", {"code": _code(broken, self.problem.exact)}),), claim="", via="")

    def wrong(self, rng: Random) -> str:
        """A number near the right one."""
        return wrong_number(rng, self.task.answer)

    def near(self, rng: Random) -> tuple[str, str]:
        """The right number, carried over badly."""
        return near_number(rng, self.task.answer)


def word_puzzle(rng: Random, split: Split, task_id: str) -> WordPuzzle:
    """A word problem of a split."""
    templates = words_training.TEMPLATES if split is Split.TRAIN else words_testing.TEMPLATES
    problem = rng.choice(templates)(rng, lexicon(split))
    while not problem.exact and is_tie(problem.answer):
        problem = rng.choice(templates)(rng, lexicon(split))
    tolerance = 0.0 if problem.exact else 0.0051
    task = SynthTask(
        id=task_id,
        family=FAMILY,
        template=problem.template,
        split=split,
        difficulty=len(problem.lines),
        question=f"{rng.choice(problem.questions)} {ENDING}",
        answer=shown(problem.answer if problem.exact else Fraction(round(problem.answer * 100), 100)),
        rule=GradingRule(kind="number", tolerance=tolerance),
        tools=("python",),
    )
    slips = tuple(_slip(place, mistake) for place, mistake in enumerate(problem.mistakes))
    return WordPuzzle(task, problem, slips)


def _slip(place: int, mistake: Mistake) -> Slip:
    return Slip(str(place), f"{mistake.did} (line `{mistake.line}`)", mistake.should, mistake.advice)


def _in_one(lines: tuple[Line, ...]) -> Line:
    """All lines as one expression."""
    known: dict[str, str] = {}
    for line in lines:
        known[line.name] = re.sub(
            r"[a-z_]\w*", lambda word: f"({known[word[0]]})" if word[0] in known else word[0], line.expr
        )
    return Line("check", known[lines[-1].name])


def _code(lines: tuple[Line, ...], exact: bool) -> str:
    head = ["from fractions import Fraction"] if exact else []
    last = lines[-1].name
    show = f"print({last})" if exact else f"print(round({last}, 2))"
    return "\n".join((*head, *(f"{line.name} = {line.expr}" for line in lines), show))
