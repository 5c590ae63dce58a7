"""Word problems of the test half."""

from __future__ import annotations

from fractions import Fraction
from random import Random

from reagent_training.synth.families.problem import Line, Mistake, Problem
from reagent_training.synth.names import Lexicon


def recipe(rng: Random, names: Lexicon) -> Problem:
    """A recipe for more people, in another unit."""
    grams, few, many = rng.randrange(120, 900, 10), rng.randrange(2, 7), rng.randrange(8, 40)
    who = names.person(rng)
    return Problem(
        template="recipe",
        questions=(
            f"A soup for {few} people takes {grams} g of lentils. {who} cooks for {many}. How many kg of lentils are "
            "needed? Round to two decimals.",
            f"{who} has a recipe with {grams} g of lentils for {few} guests and expects {many}. Give the lentils in "
            "kg, rounded to two decimals.",
        ),
        lines=(
            Line("each", f"{grams} / {few}", "the grams for one person"),
            Line("kg", f"each * {many} / 1000", "the kilograms for all"),
        ),
        answer=Fraction(grams * many, few * 1000),
        what="the amount of lentils",
        unit="kg",
        mistakes=(
            Mistake(
                *("kg", f"each * {many} / 100", "turns grams into kilograms with a factor of 100"),
                *("the question asks for kg", "check the conversion from grams to kilograms"),
            ),
            Mistake(
                *("each", f"{grams} / {many}", f"divides the grams by the {many} guests"),
                *(f"the {grams} g are meant for {few}", f"divide by the {few} people that the recipe is for"),
            ),
        ),
    )


def commission(rng: Random, names: Lexicon) -> Problem:
    """Pay with a commission above a threshold."""
    base, rate = rng.randrange(800, 2400, 50), rng.randrange(3, 15)
    limit = rng.randrange(2000, 6000, 500)
    sold = limit + rng.randrange(500, 9000, 70)
    who = names.person(rng)
    return Problem(
        template="commission",
        questions=(
            f"{who} earns {base} marks a month and {rate}% of all sales above {limit} marks. In May the sales were "
            f"{sold} marks. What was the pay in marks?",
            f"The monthly pay of {who} is {base} marks plus a commission of {rate}% on the sales beyond {limit} marks. "
            f"How many marks is it for sales of {sold}?",
        ),
        lines=(
            Line("above", f"{sold} - {limit}", "the sales above the limit"),
            Line("bonus", f"above * {rate} / 100", "the commission"),
            Line("pay", f"{base} + bonus", "the pay"),
        ),
        answer=base + Fraction((sold - limit) * rate, 100),
        what="the pay",
        unit="marks",
        mistakes=(
            Mistake(
                *("above", f"{sold}", "pays commission on all sales"),
                *(f"it is paid above {limit} marks only", f"take the {limit} marks off the sales first"),
            ),
            Mistake(
                *("pay", "bonus", "leaves the fixed pay out"),
                *(f"{base} marks are paid in any case", "add the fixed pay to the commission"),
            ),
        ),
    )


def fence(rng: Random, names: Lexicon) -> Problem:
    """Posts around a field with a gate."""
    gap = rng.choice((2, 3, 4, 5))
    long, short = gap * rng.randrange(8, 40), gap * rng.randrange(4, 8)
    gate = gap * rng.randrange(1, 3)
    place = names.place(rng)
    return Problem(
        template="fence",
        questions=(
            f"A field near {place} is {long} m long and {short} m wide. A fence runs around it but for a gate of "
            f"{gate} m. Fence costs {gap + 7} marks a metre. What does it cost in marks?",
            f"Near {place}, a field of {long} m by {short} m is fenced except for a {gate} m gate, at {gap + 7} marks "
            "per metre. Give the cost in marks.",
        ),
        lines=(
            Line("around", f"2 * ({long} + {short})", "the way around the field"),
            Line("metres", f"around - {gate}", "the fence without the gate"),
            Line("cost", f"metres * {gap + 7}", "the cost"),
        ),
        answer=Fraction((2 * (long + short) - gate) * (gap + 7)),
        what="the cost of the fence",
        unit="marks",
        mistakes=(
            Mistake(
                *("around", f"{long} * {short}", "works with the area of the field"),
                *("a fence runs along the border", "work with the way around the field"),
            ),
            Mistake(
                *("around", f"{long} + {short}", "counts two of the four sides"),
                *("the fence runs around the whole field", "count all four sides"),
            ),
            Mistake(
                *("metres", "around", "fences the gate as well"),
                *(f"{gate} m are left open for the gate", "take the gate off the length"),
            ),
        ),
    )


def growth(rng: Random, names: Lexicon) -> Problem:
    """A change in percent over two years."""
    start, up, down = rng.randrange(400, 5000, 10), rng.randrange(10, 60), rng.randrange(5, 9)
    place = names.place(rng)
    return Problem(
        template="growth",
        questions=(
            f"The ferry of {place} carried {start} people in its first year, {up}% more in the second and {down}% "
            "fewer in the third than in the second. How many percent more were it in the third year than in the first? "
            "Round to two decimals.",
            f"Passengers at {place}: {start} in year one, a rise of {up}% in year two, a fall of {down}% in year "
            "three. By how many percent is year three above year one? Round to two decimals.",
        ),
        lines=(
            Line("second", f"{start} * (100 + {up}) / 100", "the second year"),
            Line("third", f"second * (100 - {down}) / 100", "the third year"),
            Line("percent", f"(third - {start}) / {start} * 100", "the change in percent"),
        ),
        answer=Fraction((100 + up) * (100 - down), 100) - 100,
        what="the change in percent",
        unit="percent",
        mistakes=(
            Mistake(
                *("percent", f"{up} - {down}", "subtracts one percentage from the other"),
                *("the fall is reckoned from the second year", "apply the two changes one after the other"),
            ),
            Mistake(
                *("percent", f"(third - {start}) / third * 100", "compares with the third year"),
                *("the question compares with the first year", "divide by the number of the first year"),
            ),
        ),
    )


TEMPLATES = (recipe, commission, fence, growth)
