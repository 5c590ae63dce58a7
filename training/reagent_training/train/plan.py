"""What a run will take, told before it starts: tokens, updates, memory and time.

Per token, with P_low parameters below the first trained layer, P_up from there on and T of them trained:
forward 2 (P_low + P_up) floating-point operations, backward 2 P_up for the activations and 2 T for the weights. The
head counts for the target's tokens alone. Attention itself is left out: below 10% for rows of some thousand tokens. The
speed is that of a matrix product on the device the run would use, measured on the spot.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any

from reagent_sdk.frozen import Frozen
from reagent_training.train.config import RunConfig
from reagent_training.train.examples import IGNORED, Encoded
from reagent_training.train.running import world_size

_ADAM_BYTES = 12
"""For each trained parameter: gradient and two moments in float32."""
_ACTIVATION_BYTES = 34
"""For each token, layer and hidden unit: what a transformer block keeps for the backward pass, in 16-bit numbers."""
UTILISATION = 0.7
"""What a training step reaches of the measured matrix product; between 0.6 and 0.8 where it was compared."""
_CHECKPOINTED = 4 / 3
"""A second forward pass in place of kept activations."""


class Plan(Frozen):
    """What a run will take.

    Attributes:
        rows: that are trained on, for each epoch; `left_out` counts the others by reason.
        tokens: of prompt and target in one epoch; `target_tokens` of them carry loss.
        longest: tokens of the longest row.
        updates: of the optimiser, in all.
        parameters: of the model; `trained` of them change.
        memory_gb: estimate for one device.
        hours: estimate on `device`, processes counted in.
    """

    rows: int
    left_out: dict[str, int]
    tokens: int
    target_tokens: int
    longest: int
    updates: int
    parameters: int
    trained: int
    memory_gb: float
    hours: float
    device: str


def plan_for(config: RunConfig, examples: Sequence[Encoded], left_out: dict[str, int], model: Any) -> Plan:
    """The plan of a supervised run.

    Args:
        config: the run's.
        examples: the rows as the model sees them.
        left_out: rows that are not trained on, by reason.
        model: the base model; its weights are not used.
    """
    device, world = device_of(config), world_size()
    shape = Shape(config, model)
    lengths = [len(one.input_ids) for one in examples]
    targets = [sum(label != IGNORED for label in one.labels) for one in examples]
    how = config.optimiser
    per_epoch = math.ceil(len(examples) / (how.batch * how.accumulate * world))
    updates = how.max_steps or math.ceil(per_epoch * how.epochs)
    epochs = updates / per_epoch
    work = epochs * sum(map(shape.operations, lengths, targets))
    return Plan(
        rows=len(examples),
        left_out=left_out,
        tokens=sum(lengths),
        target_tokens=sum(targets),
        longest=max(lengths),
        updates=updates,
        parameters=shape.parameters,
        trained=shape.trained,
        memory_gb=round(shape.memory(max(lengths), max(targets)) / 1e9, 1),
        hours=round(work / (speed_of(device, config.dtype) * UTILISATION * world) / 3600, 2),
        device=device,
    )


def device_of(config: RunConfig) -> str:
    """The device that a run would use, as torch names it."""
    import torch

    return "cuda" if config.device == "auto" and torch.cuda.is_available() else "cpu"


def speed_of(device: str, dtype: str) -> float:
    """Floating-point operations a second of a matrix product of 1,024 rows: the best of some."""
    import torch

    size = 1024 if device == "cpu" else 8192
    left = torch.ones(size, size, dtype=getattr(torch, dtype), device=device)
    best = math.inf
    for _ in range(4):
        began = time.perf_counter()
        (left @ left).sum().item()  # waits for the device
        best = min(best, time.perf_counter() - began)
    return 2 * size**3 / best


class Shape:
    """Counts of a model that is trained in a certain way.

    Attributes:
        parameters: of the model; `trained` of them change.
    """

    def __init__(self, config: RunConfig, model: Any) -> None:
        text = model.config.get_text_config()
        self._config = config
        self._layers: int = text.num_hidden_layers
        self._hidden: int = text.hidden_size
        self._vocabulary: int = text.vocab_size
        self._head = self._vocabulary * self._hidden
        self.parameters = sum(p.numel() for p in model.parameters())
        tables = self._head if text.tie_word_embeddings else 2 * self._head
        self._body = self.parameters - tables
        self.trained = self.parameters if config.lora is None else self._adapter(model)

    def operations(self, tokens: int, target: int) -> float:
        """Of forward and backward pass over one row."""
        first = self._config.lora.first_layer if self._config.lora else 0
        upper = self._body * (1 - first / self._layers)
        forward = 2 * self._body * tokens * (_CHECKPOINTED if self._config.activation_checkpointing else 1.0)
        weights = 2 * (self.trained if self._config.lora else self._body) * tokens
        return float(forward + 2 * upper * tokens + weights + 4 * self._head * (target + 1))

    def memory(self, tokens: int, target: int) -> float:
        """Bytes on one device: weights, gradients, moments, kept activations, logits."""
        batch = self._config.optimiser.batch
        size = 4 if self._config.dtype == "float32" else 2
        layers = 2 if self._config.activation_checkpointing else self._layers
        activations = _ACTIVATION_BYTES * size / 2 * batch * tokens * layers * self._hidden
        logits = 3 * 4 * batch * (target + 1) * self._vocabulary
        return float(size * self.parameters + _ADAM_BYTES * self.trained + activations + logits)

    def _adapter(self, model: Any) -> int:
        lora = self._config.lora
        assert lora is not None  # noqa: S101 - asked by the caller
        count = 0
        for name, module in model.named_modules():
            parts = name.split(".")
            layer = next((int(part) for part in parts if part.isdigit()), -1)
            if parts[-1] in lora.targets and layer >= lora.first_layer:
                count += lora.rank * (module.in_features + module.out_features)
        return count
