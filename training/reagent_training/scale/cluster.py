"""What there is to train with, and how it may be divided: the types, and what follows from them directly."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from reagent_sdk.frozen import Frozen
from reagent_training.scale.hardware import Assumptions, Device
from reagent_training.scale.memory import Engine, Training, engine
from reagent_training.scale.models import Architecture
from reagent_training.scale.throughput import Workload

Mode = Literal["server", "colocate"]


class Cluster(Frozen):
    """What there is, and what it is to do.

    Attributes:
        judge: the judge's shape; None where it is served from elsewhere.
        how: of training; its number of devices is set by the division.
    """

    model: Architecture
    judge: Architecture | None
    device: Device
    gpus: int = Field(ge=1)
    nodes: int = Field(1, ge=1)
    how: Training
    work: Workload
    guess: Assumptions = Assumptions()

    @property
    def usable(self) -> float:
        """Bytes of a device that may be planned with."""
        return self.device.memory * self.guess.usable


class Division(Frozen):
    """How many devices do what.

    Attributes:
        prompts: of an update, as near to what was wished for as goes round evenly.
        training: devices that train.
        rollouts: devices of the rollout server; with `colocate` those that share an engine on training devices.
        judging: devices of the judge, in engines of `judge_size`.
        share: of a training device's memory that its engine takes, with `colocate`.
    """

    mode: Mode
    prompts: int
    training: int
    rollouts: int
    judging: int = 0
    judge_size: int = 1
    share: float = 0.0

    @property
    def engines(self) -> int:
        """Rollout engines."""
        return 1 if self.mode == "server" else self.training // self.rollouts


def trained(cluster: Cluster, division: Division) -> Training:
    """How weights are trained under a division: rows as wide as they may get, and no shards of one device."""
    work = cluster.work
    fixed: dict[str, Any] = {
        "devices": division.training,
        "longest": work.width(),
        "scored": work.longest - work.prompt_tokens,
        "padded": work.padded,
    }
    if division.training == 1:
        fixed["sharding"] = "none"
    return cluster.how.model_copy(update=fixed)


def engine_of(cluster: Cluster, model: Architecture, devices: int) -> Engine:
    """An engine on devices of its own."""
    room = cluster.device.memory * cluster.guess.engine_share
    return engine(model, devices=devices, room=room, keeps=cluster.guess.engine_bytes)
