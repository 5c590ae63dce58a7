"""Which kinds of work are made of a task.

Right and wrong work are drawn from recipes of three lengths, with the same weights: short (calls left out), plain, and
long (checks, repeated, failed and needless calls). So neither length nor the number of calls tells right from wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import TypeAlias

from reagent_training.synth import flaws
from reagent_training.synth.puzzle import Draft, Puzzle

Recipe: TypeAlias = Callable[[Puzzle, Random], Draft]

_LENGTHS = {"short": 25, "plain": 35, "long": 40}
_SOUND_LENGTHS = {"plain": 55, "long": 45}
_OTHER_LENGTHS = {"short": 50, "plain": 15, "long": 35}
"""Together with a sound one, which is never short, these make the lengths of right work those of wrong work."""

SOUND: Mapping[str, Mapping[str, Recipe]] = {
    "plain": {"sound": flaws.sound},
    "long": {"checked": flaws.checked},
}
RIGHT: Mapping[str, Mapping[str, Recipe]] = {
    "short": {
        "lucky_guess": lambda p, r: flaws.guessed(p, r, p.task.answer, lucky=True),
        "missing_right": lambda p, r: flaws.missing(p, r, p.task.answer),
    },
    "plain": {"sound": flaws.sound},
    "long": {
        "needless": lambda p, r: flaws.with_needless(flaws.sound(p, r), p, r),
        "mended": lambda p, r: flaws.with_mended(flaws.sound(p, r), p, r),
        "invented_mended": lambda p, r: flaws.invented(p, r, None),
        "checked_needless": lambda p, r: flaws.with_needless(flaws.checked(p, r), p, r),
    },
}
WRONG: Mapping[str, Mapping[str, Recipe]] = {
    "short": {
        "unverified_guess": lambda p, r: flaws.guessed(p, r, p.wrong(r), lucky=False),
        "missing_wrong": lambda p, r: flaws.missing(p, r, p.wrong(r)),
        "invented": lambda p, r: flaws.invented(p, r, p.wrong(r)),
    },
    "plain": {
        "wrong_argument": flaws.slipped,
        "ignored_result": flaws.ignored,
        "near_miss": flaws.near,
    },
    "long": {
        "wrong_argument_checked": lambda p, r: flaws.slipped(p, r, check=True),
        "wrong_argument_needless": lambda p, r: flaws.with_needless(flaws.slipped(p, r), p, r),
        "wrong_argument_mended": lambda p, r: flaws.with_mended(flaws.slipped(p, r), p, r),
        "ignored_checked": lambda p, r: flaws.ignored(p, r, check=True),
        "ignored_needless": lambda p, r: flaws.with_needless(flaws.ignored(p, r), p, r),
        "near_miss_checked": lambda p, r: flaws.near(p, r, check=True),
        "near_miss_mended": lambda p, r: flaws.with_mended(flaws.near(p, r), p, r),
        "near_miss_needless": lambda p, r: flaws.with_needless(flaws.near(p, r), p, r),
    },
}


_WEIGHTS = {
    **{"invented": 0.6, "invented_mended": 2.0, "mended": 2.0, "needless": 1.5, "checked_needless": 1.5},
    **{"wrong_argument_checked": 2.0, "ignored_checked": 2.0, "near_miss_checked": 2.0},
}
"""What differs from 1. Checks, failed calls and repeated calls then come about as often in right as in wrong work."""


def names_for(rng: Random, variants: int) -> list[tuple[str, Recipe, bool]]:
    """Names, recipes and whether each is meant to be right: sound work first, then wrong and right in turn.

    Args:
        rng: draws lengths and recipes.
        variants: how many; no recipe comes twice while there are others of its length.
    """
    chosen: list[tuple[str, Recipe, bool]] = []
    used: set[str] = set()
    for number in range(variants):
        right = number % 2 == 0
        weights = _SOUND_LENGTHS if number == 0 else _OTHER_LENGTHS if right else _LENGTHS
        table = SOUND if number == 0 else RIGHT if right else WRONG
        length = rng.choices(list(weights), list(weights.values()))[0]
        fresh = [name for name in table[length] if name not in used] or list(table[length])
        name = rng.choices(fresh, [_WEIGHTS.get(name, 1.0) for name in fresh])[0]
        used.add(name)
        chosen.append((name, table[length][name], right))
    return chosen
