"""What hostile code tries against the python tool, and what stops it; run by `python -m reagent_benchmarks.attacks`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from reagent_benchmarks.python_attacks import bombs, escapes
from reagent_benchmarks.python_attacks.arena import Arena, Level, Outcome

__all__ = ["ATTACKS", "Arena", "Level", "Outcome", "run_attacks"]

ATTACKS: Final[dict[str, Callable[[Arena], Awaitable[Outcome]]]] = {
    "fork bomb": bombs.fork_bomb,
    "memory bomb": bombs.memory_bomb,
    "memory bomb in many processes": bombs.many_small_bombs,
    "endless loop": bombs.endless_loop,
    "endless loop in C": bombs.endless_c_loop,
    "endless loop that ignores interrupts": bombs.deaf_loop,
    "endless output": bombs.endless_output,
    "os._exit": bombs.sudden_exit,
    "segmentation fault": bombs.crash,
    "reading the parent's environment": escapes.read_secrets,
    "writing outside the folder": escapes.write_outside,
    "using the network": escapes.use_network,
    "a process that stays behind": escapes.stay_behind,
    "killing the parent's processes": escapes.kill_neighbour,
    "misleading the clean-up": escapes.mislead_cleanup,
    "raising the limits": bombs.raise_limits,
    "becoming root": escapes.become_root,
    "filling the disk": bombs.fill_disk,
}


async def run_attacks(level: Level = "auto") -> list[tuple[str, str, bool]]:
    """Tries every attack. For each: its name, what stopped it or why it was not run, and whether it was stopped."""
    arena = Arena(level)
    outcomes = []
    for name, attack in ATTACKS.items():
        stopped, by = await attack(arena)
        outcomes.append((name, by, stopped))
    return outcomes
