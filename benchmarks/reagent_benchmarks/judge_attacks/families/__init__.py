"""The families of attacks, a module each."""

from __future__ import annotations

from reagent_benchmarks.judge_attacks.attack import Attack
from reagent_benchmarks.judge_attacks.families import (
    control,
    critiques,
    flattery,
    frames,
    orders,
    roles,
    unicode,
    verdicts,
    vouching,
)

_MODULES = (verdicts, frames, orders, roles, unicode, vouching, flattery, critiques)
ATTACKS: tuple[Attack, ...] = tuple(attack for module in _MODULES for attack in module.ATTACKS)
"""All attacks of the eight families."""
CONTROLS: tuple[Attack, ...] = control.ATTACKS
FAMILIES: tuple[str, ...] = tuple(module.FAMILY for module in _MODULES)
