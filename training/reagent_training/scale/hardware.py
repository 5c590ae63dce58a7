"""What devices are said to do, and which part of it a run is assumed to reach.

Figures of GPUs are their makers': dense 16-bit matrix products without sparsity. None of the GPUs was measured here.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from pydantic import Field

from reagent_sdk.errors import InvalidInput
from reagent_sdk.frozen import Frozen
from reagent_training.train.config import Positive


class Device(Frozen):
    """A GPU, or a core of a CPU.

    Attributes:
        memory: bytes.
        flops: floating-point operations a second, F.
        bandwidth: bytes a second between memory and arithmetic, M.
        link: bytes a second to each other device of the same machine, in one direction.
    """

    name: str
    memory: float
    flops: float
    bandwidth: float
    link: float


DEVICES: Mapping[str, Device] = MappingProxyType(
    {
        "h100": Device(name="H100 SXM", memory=80e9, flops=989e12, bandwidth=3.35e12, link=450e9),
        "h200": Device(name="H200 SXM", memory=141e9, flops=989e12, bandwidth=4.8e12, link=450e9),
        "a100": Device(name="A100 SXM 80 GB", memory=80e9, flops=312e12, bandwidth=2.04e12, link=300e9),
        "l40s": Device(name="L40S", memory=48e9, flops=362e12, bandwidth=0.864e12, link=32e9),
        "cpu": Device(name="CPU core", memory=8e9, flops=0.1e12, bandwidth=10e9, link=10e9),
    }
)


def device_named(name: str, *, memory_gb: float | None = None) -> Device:
    """A device of the table.

    Args:
        name: its key, such as h100.
        memory_gb: another size of memory, for a variant.

    Raises:
        InvalidInput: no such device.
    """
    known = DEVICES.get(name.lower())
    if known is None:
        raise InvalidInput(f"unknown device {name!r}: there are {', '.join(DEVICES)}; --gpu-memory gives another size")
    return known if memory_gb is None else known.model_copy(update={"memory": memory_gb * 1e9})


class Assumptions(Frozen):
    """What nobody can know before a run; each is an option of the command and is told with the plan."""

    mfu: Positive = Field(0.35, le=1, description="share of a device's peak that training reaches")
    prefill: Positive = Field(0.5, le=1, description="share of the peak that reading prompts reaches")
    bandwidth_use: Positive = Field(0.6, le=1, description="share of the memory's bandwidth that sampling reaches")
    step_overhead: float = Field(0.004, ge=0, description="seconds that an engine takes for a token beside its work")
    imbalance: float = Field(1.3, ge=1, description="of sampling: the batch waits for its longest rollouts")
    stretch: float = Field(2.0, ge=1, description="the longest rollout of a device's share, over the mean")
    hop: float = Field(10e-6, ge=0, description="seconds that devices of one engine take to agree, twice a layer")
    tool_seconds: float = Field(1.0, ge=0, description="until the slowest tool call of a turn is back")
    generated: Positive = Field(
        0.5, le=1, description="share of a rollout that the agent writes; tools return the rest"
    )
    usable: Positive = Field(0.92, le=1, description="share of a device's memory; contexts and gaps take the rest")
    engine_share: Positive = Field(0.9, le=1, description="share of a device that an engine of its own takes")
    engine_bytes: float = Field(3e9, ge=0, description="what an engine keeps on a device beside weights and cache")
    network: Positive = Field(50e9, description="bytes a second between machines, for each device")
