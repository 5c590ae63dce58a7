"""The forms of questions that need two lookups and a computation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from random import Random

from reagent_training.synth.families.atlas import Atlas
from reagent_training.synth.families.chains import Chain
from reagent_training.synth.families.problem import Mistake
from reagent_training.synth.record import Split


@dataclass(frozen=True, slots=True)
class MixedForm:
    """One form.

    Attributes:
        name: the template.
        asks: wordings with `{a}` and `{b}`, what is looked up, and `{s}`, the first chain's start.
        what: what is computed, as a noun phrase.
        chains: draws the two lookups.
        code: two expressions of `a` and `b` for the same.
        answer: the right value.
        mistake: a wrong expression.
    """

    name: str
    asks: tuple[str, str]
    what: str
    chains: Callable[[Random, Atlas], tuple[Chain, Chain]]
    code: tuple[str, str]
    answer: Callable[[Fraction, Fraction], Fraction]
    mistake: Mistake


def _two(first: tuple[str, str], second: tuple[str, str]) -> Callable[[Random, Atlas], tuple[Chain, Chain]]:
    """A lookup for each of two entities, given as kind and relation."""

    def draw(rng: Random, atlas: Atlas) -> tuple[Chain, Chain]:
        one = rng.choice(atlas.of(first[0]))
        others = [entity for entity in atlas.of(second[0]) if entity.name not in (one.name, one.twin)]
        return Chain(one.name, (first[1],)), Chain(rng.choice(others).name, (second[1],))

    return draw


def _same(kind: str, first: tuple[str, ...], second: tuple[str, ...]) -> Callable[[Random, Atlas], tuple[Chain, Chain]]:
    """Two lookups that start from one entity."""

    def draw(rng: Random, atlas: Atlas) -> tuple[Chain, Chain]:
        start = rng.choice(atlas.of(kind)).name
        return Chain(start, first), Chain(start, second)

    return draw


def _difference(a: Fraction, b: Fraction) -> Fraction:
    return a - b


_ADDS = Mistake(
    *("result", "a + b", "adds the two years in the code"),
    *("the question asks how many years lie between them", "subtract the earlier year from the later one"),
)

FORMS = {
    Split.TRAIN: (
        MixedForm(
            "years_between",
            ("How many years lie between {a} and {b}?", "By how many years do {a} and {b} differ?"),
            "the number of years between them",
            _two(("person", "born"), ("town", "founded")),
            ("abs(a - b)", "max(a, b) - min(a, b)"),
            lambda a, b: abs(a - b),
            _ADDS,
        ),
        MixedForm(
            "people_together",
            ("What do {a} and {b} add up to?", "What is the sum of {a} and {b}?"),
            "the sum of both populations",
            _two(("town", "population"), ("town", "population")),
            ("a + b", "sum([a, b])"),
            lambda a, b: a + b,
            Mistake(
                *("result", "abs(a - b)", "subtracts one population from the other in the code"),
                *("the question asks for the sum", "add the two populations"),
            ),
        ),
        MixedForm(
            "age_at_publication",
            (
                "How old did the author of {s} get in the year in which the book was published?",
                "Take {a} and {b}: what age did the author reach in the year of publication?",
            ),
            "the author's age",
            _same("book", ("published",), ("author", "born")),
            ("a - b", "-(b - a)"),
            _difference,
            Mistake(
                *("result", "b % 100 - a % 100", "drops the centuries in the code"),
                *("the years lie in different centuries", "subtract the whole years"),
            ),
        ),
    ),
    Split.TEST: (
        MixedForm(
            "percentage_of",
            (
                "What percentage of {b} is {a}? Round to two decimals.",
                "Express {a} in percent of {b}, rounded to two decimals.",
            ),
            "the percentage",
            _two(("town", "population"), ("town", "population")),
            ("round(a / b * 100, 2)", "round(100 * a / b, 2)"),
            lambda a, b: a / b * 100,
            Mistake(
                *("result", "round(b / a * 100, 2)", "divides the second number by the first in the code"),
                *("the percentage is reckoned of the second one", "divide by the number that is the whole"),
            ),
        ),
        MixedForm(
            "years_after_opening",
            (
                "How many years after its publisher was opened was {s} published?",
                "Between {b} and {a}, how many years went by?",
            ),
            "the number of years",
            _same("book", ("published",), ("press", "opened")),
            ("a - b", "-(b - a)"),
            _difference,
            _ADDS,
        ),
        MixedForm(
            "age_gap",
            (
                "How many years apart are the births of {s} and the mentor of {s}?",
                "By how many years do {a} and {b} differ?",
            ),
            "the difference in years",
            _same("person", ("born",), ("mentor", "born")),
            ("abs(a - b)", "max(a, b) - min(a, b)"),
            lambda a, b: abs(a - b),
            _ADDS,
        ),
    ),
}
