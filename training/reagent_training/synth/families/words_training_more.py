"""More word problems of the training half."""

from __future__ import annotations

from fractions import Fraction
from random import Random

from reagent_training.synth.families.problem import Line, Mistake, Problem
from reagent_training.synth.names import Lexicon


def journey(rng: Random, names: Lexicon) -> Problem:
    """The mean speed over two legs."""
    a, b = rng.randrange(30, 200, 10), rng.randrange(210, 400, 10)
    v, w = rng.randrange(20, 60, 5), rng.randrange(65, 120, 5)
    towns = f"{names.place(rng)} to {names.place(rng)}"
    return Problem(
        template="journey",
        questions=(
            f"A coach from {towns} covers {a} km at {v} km/h and another {b} km at {w} km/h. What is its mean speed "
            "over the whole way in km/h? Round to two decimals.",
            f"Going from {towns}, a train runs {a} km at {v} km/h, then {b} km at {w} km/h. Give the average speed of "
            "the trip in km/h, rounded to two decimals.",
        ),
        lines=(
            Line("hours", f"{a} / {v} + {b} / {w}", "the time of both legs"),
            Line("speed", f"({a} + {b}) / hours", "the mean speed"),
        ),
        answer=(a + b) / (Fraction(a, v) + Fraction(b, w)),
        what="the mean speed",
        unit="km/h",
        mistakes=(
            Mistake(
                *("speed", f"({v} + {w}) / 2", "averages the two speeds"),
                *("the legs take different times", "divide the whole distance by the whole time"),
            ),
            Mistake(
                *("hours", f"{a} / {w} + {b} / {v}", "pairs each leg with the other leg's speed"),
                *(f"the {a} km are driven at {v} km/h", "give each leg its own speed"),
            ),
        ),
    )


def boxes(rng: Random, names: Lexicon) -> Problem:
    """Boxes for what is left after breakage."""
    made, broken, size = rng.randrange(200, 2000), rng.randrange(5, 90), rng.choice((12, 16, 18, 24, 36))
    item = rng.choice(names.goods)
    return Problem(
        template="boxes",
        questions=(
            f"A workshop makes {made} {item}s, of which {broken} break. The others are packed {size} to a box. How "
            "many boxes are needed so that all are packed?",
            f"Of {made} {item}s, {broken} are broken and thrown away; a box holds {size}. How many boxes does it take "
            "to pack the rest?",
        ),
        lines=(
            Line("good", f"{made} - {broken}", "what can be packed"),
            Line("boxes", f"-(-good // {size})", "the boxes, rounded up"),
        ),
        answer=Fraction(-(-(made - broken) // size)),
        what="the number of boxes",
        unit="boxes",
        mistakes=(
            Mistake(
                *("boxes", f"good // {size} - 1", "counts full boxes only and leaves out another one"),
                *(f"all {item}s must be packed", "round the number of boxes up"),
            ),
            Mistake(
                *("good", f"{made} + {broken} + {size}", f"counts the {broken} broken ones as good and adds a box"),
                *(f"{broken} of the {made} break", "take the broken ones off before packing"),
            ),
        ),
    )


def together(rng: Random, names: Lexicon) -> Problem:
    """Two people work at once; the answer is a fraction."""
    a, b = rng.sample(range(3, 15), 2)
    one, two = (names.person(rng) for _ in range(2))
    return Problem(
        template="together",
        questions=(
            f"{one} paints a fence in {a} hours, {two} in {b} hours. How many hours do they need together? Give a "
            "fraction in lowest terms.",
            f"Alone, {one} needs {a} hours for a fence and {two} needs {b}. In how many hours is it painted if both "
            "work? Answer with a fraction in lowest terms.",
        ),
        lines=(
            Line("rate", f"Fraction(1, {a}) + Fraction(1, {b})", "the part that is done in an hour"),
            Line("hours", "1 / rate", "the time for the whole"),
        ),
        answer=Fraction(a * b, a + b),
        what="the time together",
        unit="hours",
        mistakes=(
            Mistake(
                *("hours", f"Fraction({a} + {b}, 2)", "averages the two times"),
                *("both work at once, which is faster than either", "add their rates and not their times"),
            ),
            Mistake(
                *("hours", "rate", "stops at the part done in an hour"),
                *("the question asks for the time", "turn the rate into the time for the whole fence"),
            ),
        ),
        exact=True,
    )
