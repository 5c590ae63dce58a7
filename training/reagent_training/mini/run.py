"""Runs the whole reproduction, or what is missing of it: each part leaves a folder or a file, and is not done twice."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from reagent_benchmarks.outcomes import ArmResult

from reagent_sdk.errors import InvalidInput
from reagent_training.mini import settings
from reagent_training.mini.config import MiniConfig
from reagent_training.mini.evaluate import read_results
from reagent_training.mini.parts import Part, do_all
from reagent_training.mini.places import Places, log_of
from reagent_training.mini.starts import take_starts
from reagent_training.train.running import whole_checkpoints

BASE, SFT = "base", "sft"
STEPS, TOKENS = "equal steps", "equal tokens"
Tell = Callable[[str], None]


def reproduce(
    config: MiniConfig, out: Path, tell: Tell, *, jobs: int = 1, starts_of: Path | None = None
) -> list[ArmResult]:
    """Everything in order: world, base, agent SFT, judge, arms, and all of it measured on the held-out tasks.

    Args:
        config: what to do.
        out: the folder of the run; the same one goes on.
        tell: hears what is being done.
        jobs: parts that are trained or measured at a time, each in a process of its own.
        starts_of: another run, whose tasks, base, agent after SFT and judge this one takes.

    Returns:
        The measured rows; arms are named `base`, `sft`, `sft+C`, and `ARM, equal steps` or `ARM, equal tokens`.

    Raises:
        InvalidInput: `out` holds a run of other settings, settings do not go together, or those of `starts_of` differ
            in more than what only the arms depend on.
        WeightsUnavailable: the base is missing.
    """
    places = Places(out)
    mine: dict[str, Any] = config.model_dump(mode="json", exclude={"seeds", "arms"})
    _same_run(mine, places)
    if starts_of is not None:
        take_starts(mine, places, starts_of)
    _keep(mine, places)
    from reagent_training.mini.world import make_world

    tell("tasks, with work on them by the real tools")
    make_world(config, places)
    if config.base == settings.COMPACT:
        from reagent_training.mini.foundation import base_is_made, make_base

        if not base_is_made(places):
            tell("the compact base")
            make_base(config, places)

    def done(parts: list[Part]) -> list[Part]:
        missing = [part for part in parts if not part.done(places)]
        for part in missing:
            tell(str(part))
        do_all(missing, config, out, jobs)
        return parts

    done([Part("agent"), Part("judge")])
    # Reagent-U first: it takes longest, and says how many tokens the others may have
    done([Part("arm", arm, seed) for arm in sorted(config.arms, reverse=True) for seed in config.seeds])
    measured = done([*_starts(config, places), *_arms(config, places)])
    return [row for part in measured for row in read_results(part.results(places))]


def _starts(config: MiniConfig, places: Places) -> list[Part]:
    """The base, and the agent after SFT, alone and with the judge, once for each seed."""
    base = Part("measure", BASE, config.seeds[0], settings.base_folder_of(config, places))
    return [base, *(Part("measure", SFT, seed, places.agent) for seed in config.seeds)]


def _arms(config: MiniConfig, places: Places) -> list[Part]:
    return [
        Part("measure", label, seed, settings.weights_at(places.arm(arm, seed), update))
        for arm in config.arms
        for seed in config.seeds
        for label, update in stops_of(config, places, arm, seed).items()
    ]


def stops_of(config: MiniConfig, places: Places, arm: str, seed: int) -> dict[str, int]:
    """The updates after which an arm is measured, by the name of the comparison."""
    steps = settings.steps_of(config)
    if arm == "reagent-u" or not config.equal_tokens or "reagent-u" not in config.arms:
        return {arm: steps}
    same = _same_tokens(places.arm(arm, seed), places.arm("reagent-u", seed), steps)
    return {f"{arm}, {STEPS}": steps, f"{arm}, {TOKENS}": same}


def _same_tokens(folder: Path, other: Path, steps: int) -> int:
    """The first checkpoint after which an arm has generated as many tokens as the other one in all its updates."""
    wanted = generated(other)[steps]
    mine = generated(folder)
    updates = list(whole_checkpoints(folder))
    return next((update for update in updates if mine[update] >= wanted), updates[-1])


def generated(folder: Path) -> dict[int, float]:
    """Tokens that an arm had sampled after each update, all processes together."""
    total, found = 0.0, {}
    for entry in log_of(folder):
        if "agent/tokens" in entry:
            total += entry["agent/tokens"]
            found[int(entry["step"])] = total
    return found


def _same_run(mine: dict[str, Any], places: Places) -> None:
    """Refuses to mix two runs in a folder."""
    if places.settings.is_file() and json.loads(places.settings.read_text(encoding="utf-8")) != mine:
        raise InvalidInput(f"{places.out} holds a reproduction with other settings; name another folder, or delete it")


def _keep(mine: dict[str, Any], places: Places) -> None:
    places.out.mkdir(parents=True, exist_ok=True)
    if not places.settings.is_file():
        places.settings.write_text(json.dumps(mine, indent=1) + "\n", encoding="utf-8")
