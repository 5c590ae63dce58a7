"""The configuration of each recipe that a reproduction runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from reagent_training.agent_rl.config import AgentConfig
from reagent_training.agent_rl.sft_config import AgentSftConfig
from reagent_training.mini.config import MiniConfig
from reagent_training.mini.places import Places
from reagent_training.synth.generate import ROWS
from reagent_training.train.config import SftConfig
from reagent_training.train.running import whole_checkpoints

COMPACT = "compact"


def base_of(config: MiniConfig, places: Places) -> str:
    """What recipes are told to start from."""
    return str(places.base) if config.base == COMPACT else config.base


def base_folder_of(config: MiniConfig, places: Places) -> Path:
    """Where the base's weights and tokenizer lie.

    Raises:
        WeightsUnavailable: they are missing.
    """
    if config.base == COMPACT:
        return places.base
    from reagent_training.train.weights import base_folder

    return Path(base_folder(config.base))


def agent_sft(config: MiniConfig, places: Places, **changes: Any) -> AgentSftConfig:
    """The cold start of the agent."""
    told = {"base": base_of(config, places), "name": f"{config.name}-sft", "train": [{"path": places.train / ROWS}]}
    return AgentSftConfig.model_validate({**told, **config.agent_sft, **changes})


def rrm_sft(config: MiniConfig, places: Places, **changes: Any) -> SftConfig:
    """The judge's training."""
    told = {"base": base_of(config, places), "name": f"{config.name}-judge", "train": [{"path": places.train / ROWS}]}
    return SftConfig.model_validate({**told, **config.rrm_sft, **changes})


def rl(config: MiniConfig, places: Places, arm: str, seed: int) -> AgentConfig:
    """One arm with one seed. Updates hold the same tasks for each; under Reagent-U twice the rollouts."""
    told: dict[str, Any] = {
        "recipe": arm,
        "base": base_of(config, places),
        "init": places.agent,
        "name": f"{config.name}-{arm}-{seed}",
        "tasks": [{"path": places.train}],
        "seed": seed,
    }
    if arm != "agent-grpo":
        told["judge"] = {"spec": f"hf:{places.judge}", **config.judge}
    settings = {**told, **config.rl}
    optimiser = dict(settings.get("optimiser", {}))
    if arm == "reagent-u":
        optimiser["accumulate"] = 2 * int(optimiser.get("accumulate", 1))
    elif config.equal_tokens:
        optimiser["max_steps"] = 2 * int(optimiser["max_steps"])
    return AgentConfig.model_validate({**settings, "optimiser": optimiser})


def steps_of(config: MiniConfig) -> int:
    """Updates after which arms are compared at equal steps."""
    return int(config.rl["optimiser"]["max_steps"])


def weights_at(folder: Path, update: int) -> Path:
    """The weights after an update: its checkpoint.

    Raises:
        FileNotFoundError: there is no checkpoint of that update.
    """
    found = whole_checkpoints(folder).get(update)
    if found is None:
        raise FileNotFoundError(f"{folder} has no checkpoint of update {update}")
    return found
