"""Word problems of the training half."""

from __future__ import annotations

from fractions import Fraction
from random import Random

from reagent_training.synth.families.problem import Line, Mistake, Problem
from reagent_training.synth.families.words_training_more import boxes, journey, together
from reagent_training.synth.names import Lexicon


def discount(rng: Random, names: Lexicon) -> Problem:
    """A price after a discount and a tax."""
    item, p, d, t = rng.choice(names.goods), rng.randrange(40, 900, 5), rng.randrange(5, 45, 5), rng.randrange(4, 22)
    return Problem(
        template="discount",
        questions=(
            f"A {item} is listed at {p} crowns. The shop takes {d}% off and then adds {t}% sales tax. What does a "
            "buyer pay in crowns?",
            f"What is the final price, in crowns, of a {item} that costs {p} crowns before a {d}% discount and a "
            f"{t}% tax on the reduced price?",
        ),
        lines=(
            Line("reduced", f"{p} * (100 - {d}) / 100", "the reduced price"),
            Line("paid", f"reduced * (100 + {t}) / 100", "the price with tax"),
        ),
        answer=Fraction(p * (100 - d) * (100 + t), 10_000),
        what="the price to pay",
        unit="crowns",
        mistakes=(
            Mistake(
                *("reduced", f"{p} * {d} / 100", f"takes {d}% of the price as the reduced price"),
                *(f"the shop takes {d}% off", f"take the {d}% off the price before the tax is added"),
            ),
            Mistake(
                *("paid", f"reduced * {t} / 100", f"keeps only the {t}% tax and drops the price it is added to"),
                *("the question asks for the whole payment", "add the tax to the reduced price"),
            ),
            Mistake(
                *("reduced", f"{p} * (100 - {t}) / 100", f"uses the tax rate of {t}% as the discount"),
                *(f"the discount is {d}%", "check which percentage is the discount and which is the tax"),
            ),
        ),
    )


def tank(rng: Random, names: Lexicon) -> Problem:
    """A tank that fills and leaks."""
    volume, fill, leak = rng.randrange(2, 12), rng.randrange(24, 90, 2), rng.randrange(3, 20)
    place = names.place(rng)
    return Problem(
        template="tank",
        questions=(
            f"The cistern of {place} holds {volume} cubic metres and is empty. A pump brings {fill} litres a minute "
            f"while a leak loses {leak} litres a minute. After how many hours is it full? Round to two decimals.",
            f"In {place}, a pump fills an empty tank of {volume} cubic metres at {fill} litres per minute, but "
            f"{leak} litres per minute drain away. How many hours does it take? Round to two decimals.",
        ),
        lines=(
            Line("litres", f"{volume} * 1000", "the volume in litres"),
            Line("rate", f"{fill} - {leak}", "the net rate in litres a minute"),
            Line("hours", "litres / rate / 60", "the time in hours"),
        ),
        answer=Fraction(volume * 1000, (fill - leak) * 60),
        what="the time until it is full",
        unit="hours",
        mistakes=(
            Mistake(
                *("rate", f"{fill} + {leak}", "adds the leak to the pump's rate"),
                *(f"the leak loses {leak} litres a minute", "take the leak off the pump's rate"),
            ),
            Mistake(
                *("litres", f"{volume} * 100", "turns cubic metres into litres with a factor of 100"),
                *("the tank is given in cubic metres", "look the conversion to litres up again and redo the division"),
            ),
            Mistake(
                *("hours", "litres / rate", "leaves the time in minutes"),
                *("the question asks for hours", "convert the minutes to hours at the end"),
            ),
        ),
    )


def blend(rng: Random, names: Lexicon) -> Problem:
    """The price of a mixture."""
    a, b = rng.randrange(3, 30), rng.randrange(31, 60)
    p, q = rng.randrange(4, 20), rng.randrange(21, 40)
    who = names.person(rng)
    return Problem(
        template="blend",
        questions=(
            f"{who} mixes {a} kg of tea at {p} crowns per kg with {b} kg at {q} crowns per kg. What does one kg of "
            "the blend cost in crowns? Round to two decimals.",
            f"A blend is made of {a} kg of tea ({p} crowns a kg) and {b} kg of a better one ({q} crowns a kg) by "
            f"{who}. Give its price per kg in crowns, rounded to two decimals.",
        ),
        lines=(
            Line("cost", f"{a} * {p} + {b} * {q}", "the cost of all tea"),
            Line("weight", f"{a} + {b}", "the weight of the blend"),
            Line("per_kg", "cost / weight", "the price per kg"),
        ),
        answer=Fraction(a * p + b * q, a + b),
        what="the price per kg",
        unit="crowns",
        mistakes=(
            Mistake(
                *("per_kg", f"({p} + {q}) / 2", "averages the two prices as if the amounts were equal"),
                *(f"there are {a} kg of one tea and {b} kg of the other", "weigh each price by its amount"),
            ),
            Mistake(
                *("cost", f"{a} * {q} + {b} * {p}", "swaps the two prices"),
                *(f"the {a} kg cost {p} crowns per kg", "pair each amount with its own price"),
            ),
        ),
    )


def shares(rng: Random, names: Lexicon) -> Problem:
    """A sum shared in a ratio after a payment."""
    r, s, t = rng.sample(range(2, 10), 3)
    whole = rng.randrange(10, 60) * (r + s + t)
    fee = rng.randrange(5, 95, 5)
    who = [names.person(rng).split()[0] for _ in range(3)]
    if len(set(who)) < 3:
        who = list(names.first[:3])
    trio = f"{who[0]}, {who[1]} and {who[2]}"
    return Problem(
        template="shares",
        questions=(
            f"{trio} share {whole + fee} crowns in the ratio {r}:{s}:{t} after {fee} crowns were paid for the notary. "
            f"How many crowns does {who[1]} get?",
            f"From {whole + fee} crowns a notary first takes {fee}. The rest goes to {trio} in the ratio {r}:{s}:{t}. "
            f"What is the share of {who[1]} in crowns?",
        ),
        lines=(
            Line("rest", f"{whole + fee} - {fee}", "what is left after the notary"),
            Line("part", f"rest / ({r} + {s} + {t})", "one part"),
            Line("share", f"part * {s}", f"the share of {who[1]}"),
        ),
        answer=Fraction(whole * s, r + s + t),
        what=f"the share of {who[1]}",
        unit="crowns",
        mistakes=(
            Mistake(
                *("rest", f"{whole + fee}", "shares the whole sum"),
                *(f"{fee} crowns go to the notary first", "take the notary's fee off before sharing"),
            ),
            Mistake(
                *("share", f"part * {t}", f"takes the {t} parts of {who[2]}"),
                *(f"the question asks for {who[1]}", "read off which place in the ratio belongs to whom"),
            ),
            Mistake(
                *("part", "rest / 3", "splits the rest evenly"),
                *(f"the ratio is {r}:{s}:{t}", "divide by the sum of the ratio's parts"),
            ),
        ),
    )


TEMPLATES = (discount, tank, blend, shares, journey, boxes, together)
