"""Runs the whole reproduction, or what is missing of it: each part leaves a folder or a file, and is not done twice."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from reagent_benchmarks.outcomes import ArmResult

from reagent_sdk.errors import InvalidInput
from reagent_training.agent_rl.config import Tasks
from reagent_training.mini import settings
from reagent_training.mini.config import MiniConfig
from reagent_training.mini.evaluate import evaluate
from reagent_training.mini.places import Places, checkpoints, finished

BASE, SFT = "base", "sft"
STEPS, TOKENS = "equal steps", "equal tokens"
Tell = Callable[[str], None]


def reproduce(config: MiniConfig, out: Path, tell: Tell) -> list[ArmResult]:
    """Everything in order: world, base, agent SFT, judge, arms, and all of it measured on the held-out tasks.

    Args:
        config: what to do.
        out: the folder of the run; the same one goes on.
        tell: hears what is being done.

    Returns:
        The measured rows; arms are named `base`, `sft`, `sft+C`, and `ARM, equal steps` or `ARM, equal tokens`.

    Raises:
        InvalidInput: `out` holds a run of other settings, or settings do not go together.
        WeightsUnavailable: the base is missing.
    """
    places = Places(out)
    _same_run(config, out)
    from reagent_training.mini.world import make_world

    tell("tasks, with work on them by the real tools")
    make_world(config, places)
    if config.base == settings.COMPACT:
        from reagent_training.mini.foundation import base_is_made, make_base

        if not base_is_made(config, places):
            tell("the compact base")
            make_base(config, places)
    _train_starts(config, places, tell)
    results = [*_measure(config, places, _base(config, places), BASE, 0), *_measure_start(config, places, tell)]
    for seed in config.seeds:
        for arm in sorted(config.arms, reverse=True):  # Reagent-U first: it says how many tokens the others may have
            results += _arm(config, places, arm, seed, tell)
    return results


def _train_starts(config: MiniConfig, places: Places, tell: Tell) -> None:
    from reagent_training.agent_rl import sft
    from reagent_training.train import rrm_sft

    if not finished(places.agent):
        tell("agent SFT")
        sft.run(settings.agent_sft(config, places), places.agent)
    if not finished(places.judge):
        tell("the judge")
        rrm_sft.run(settings.rrm_sft(config, places), places.judge)


def _arm(config: MiniConfig, places: Places, arm: str, seed: int, tell: Tell) -> list[ArmResult]:
    from reagent_training.agent_rl import recipe

    folder, told = places.arm(arm, seed), settings.rl(config, places, arm, seed)
    if not finished(folder):
        tell(f"{arm}, seed {seed}")
        recipe.run(told, folder)
    found = []
    for label, update in stops_of(config, places, arm, seed).items():
        tell(f"measuring {arm}, seed {seed}, after {update} updates")
        found += _measure(config, places, settings.weights_at(folder, update), label, seed)
    return found


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
    updates = sorted(checkpoints(folder))
    return next((update for update in updates if mine[update] >= wanted), updates[-1])


def generated(folder: Path) -> dict[int, float]:
    """Tokens that an arm had sampled after each update, all processes together."""
    log = json.loads((folder / "report.json").read_text(encoding="utf-8"))["log"]
    total, found = 0.0, {}
    for entry in log:
        if "agent/tokens" in entry:
            total += entry["agent/tokens"]
            found[int(entry["step"])] = total
    return found


def _base(config: MiniConfig, places: Places) -> Path:
    if config.base == settings.COMPACT:
        return places.base
    from reagent_training.train.weights import base_folder

    return Path(base_folder(config.base))


def _measure(config: MiniConfig, places: Places, weights: Path, arm: str, seed: int) -> list[ArmResult]:
    """An agent alone."""
    return _evaluated(config, places, weights, arm, seed, judged=False)


def _measure_start(config: MiniConfig, places: Places, tell: Tell) -> list[ArmResult]:
    """The agent after SFT, alone and with the judge, once for each seed."""
    found = []
    for seed in config.seeds:
        tell(f"measuring the agent after SFT, alone and with the judge, seed {seed}")
        found += _evaluated(config, places, places.agent, SFT, seed, judged=True)
    return found


def _evaluated(
    config: MiniConfig, places: Places, weights: Path, arm: str, seed: int, *, judged: bool
) -> list[ArmResult]:
    told = settings.rl(config, places, "reagent-r" if judged else "agent-grpo", seed)
    told = told.model_copy(update={"tasks": (Tasks(path=places.test),)})
    name = f"{arm}-{seed}".replace(", ", "-").replace(" ", "-")
    tokenizer = _base(config, places)
    return evaluate(weights, tokenizer, told, config.evaluation, places.results(name), arm=arm, seed=seed)


def _same_run(config: MiniConfig, out: Path) -> None:
    """Refuses to mix two runs in a folder."""
    file = out / "mini.json"
    mine: dict[str, Any] = config.model_dump(mode="json", exclude={"seeds", "arms"})
    if file.is_file():
        if json.loads(file.read_text(encoding="utf-8")) != mine:
            raise InvalidInput(f"{out} holds a reproduction with other settings; name another folder, or delete it")
        return
    out.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(mine, indent=1) + "\n", encoding="utf-8")
