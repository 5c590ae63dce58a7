"""Numbers as text, and numbers that are wrong in plausible ways."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from random import Random


def shown(value: Fraction) -> str:
    """A value as text: whole numbers and decimals of up to two places plainly, others as a fraction."""
    if value.denominator == 1:
        return str(value.numerator)
    hundredths = value * 100
    if hundredths.denominator == 1:
        return f"{float(value):.2f}".rstrip("0")
    return f"{value.numerator}/{value.denominator}"


def is_tie(value: Fraction) -> bool:
    """Whether rounding to two decimals could go either way: floats and fractions then differ in the last digit."""
    return (value * 1000) % 10 == 5


def wrong_number(rng: Random, answer: str) -> str:
    """Another number of the same kind and size."""
    value = Fraction(answer)
    if "/" in answer:
        return shown_fraction(value.numerator + rng.choice((-2, -1, 1, 2, 3)), value.denominator + rng.choice((-1, 1)))
    factor = Fraction(rng.choice((62, 70, 78, 85, 90, 94, 106, 110, 117, 124, 135, 150)), 100)
    moved = value * factor
    if value.denominator == 1:
        whole = round(moved)
        return str(whole if whole != value else whole + rng.choice((-2, -1, 1, 2)))
    return shown(Fraction(round(moved * 100), 100))


def shown_fraction(top: int, bottom: int) -> str:
    """A fraction in lowest terms, as text; never a division by zero."""
    return shown_exact(Fraction(max(1, top), max(2, bottom)))


def shown_exact(value: Fraction) -> str:
    """A fraction as Python prints it."""
    return str(value)


def near_number(rng: Random, answer: str) -> tuple[str, str]:
    """The answer after a last slip, and that slip as a clause."""
    value = Fraction(answer)
    if "/" in answer:
        return shown_exact(1 / value), "turns the fraction upside down when it writes the answer"
    digits = answer.replace(".", "").replace("-", "")
    ways = [(_swapped(answer), "swaps two digits when it copies the result")] if len(set(digits)) > 1 else []
    if value.denominator != 1:
        ways.append((str(round(value)), "rounds the result to a whole number, which nobody asked for"))
    ways.append((shown(value * 10), "shifts the decimal point when it copies the result"))
    return rng.choice([way for way in ways if Fraction(way[0]) != value])


def _swapped(answer: str) -> str:
    """Two neighbouring digits exchanged, the last pair that differs."""
    chars = list(answer)
    places = [place for place, char in enumerate(chars) if char.isdigit()]
    for left, right in reversed(list(pairwise(places))):
        if chars[left] != chars[right]:
            chars[left], chars[right] = chars[right], chars[left]
            break
    return "".join(chars)
