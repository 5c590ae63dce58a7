"""Memory of a training device, of a rollout engine and of a judge, in bytes.

Symbols beside those of `models`: N devices that share states, T trained parameters, e bytes of a number (2 or 4),
t tokens that a device works on at once (rows times their width), s width of a row.

States, for each parameter:

| | weights | gradients | master | moments |
|---|---|---|---|---|
| all weights, one copy on each device | e | e | - | 2 e |
| FSDP2 with mixed precision, over N | 4, themselves the master | 4 | - | 8 |
| ZeRO-3 with bf16, over N | 2 | 2 | 4 | 8 |
| LoRA: frozen base | e (over N where sharded) | - | - | - |
| LoRA: adapter | 4 | 4 | - | 8 |

What a layer keeps for the backward pass, for each token, as transformers computes it with SDPA:

    A = 2 (4 + 2 e) h + 4 e f + 2 e (a + k) d + 4 a + 8
        + (4 + e) (a + k) d + 4 (a + k)        with norms of query and key
        + 2 e (a - k) d + e s                  where rows are padded: repeated keys and values, and a mask
        + e r (targets) - 2 e h                under LoRA: frozen norms keep less (those of query and key e (a + k) d),
                                               each adapter its inner result
        + 3 e h + e a d                        where adapters are in float32 and the rest is not: copies of their inputs

Checkpointing keeps e h for each token and layer, and A for the one layer that is computed anew. Padded rows also have
one mask of s bytes a token for all layers.

TRL pads the rows of a device's whole share of an update to their longest prompt and their longest rollout, with
whatever number of rows at once. Where they are not padded (rows of equal width, one at a time) attention needs no mask.
"""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field

from reagent_sdk.frozen import Frozen
from reagent_training.scale.models import Architecture
from reagent_training.train.config import Lora

Sharding = Literal["none", "fsdp2", "zero3"]
_TILE_TOKENS, _TILE_WORDS = 4_096, 32_768
"""TRL computes log-probabilities in tiles of so many tokens and entries of the vocabulary, and keeps no logits."""


class Training(Frozen):
    """How weights are trained.

    Attributes:
        devices: N.
        batch: rows that a device works on at once.
        longest: tokens of the widest row, prompt and rollout with padding, s.
        scored: tokens of the longest rollout: they go through the head.
        padded: whether attention needs a mask.
        reference: whether a frozen copy is kept (`objective.beta` above 0, all weights).
    """

    devices: int = Field(1, ge=1)
    sharding: Sharding = "fsdp2"
    lora: Lora | None = None
    number: Literal[2, 4] = 2
    checkpointing: bool = True
    batch: int = Field(1, ge=1)
    longest: int = Field(16_384, ge=1)
    scored: int = Field(16_384, ge=1)
    padded: bool = True
    reference: bool = False

    @property
    def shards(self) -> int:
        """Over how many devices states are divided."""
        return 1 if self.sharding == "none" else self.devices


class Memory(Frozen):
    """Bytes on one training device, by part. `working` is the most that comes and goes on top of what stays."""

    weights: float
    gradients: float
    master: float
    moments: float
    reference: float
    activations: float
    working: float

    @property
    def states(self) -> float:
        """What stays while rollouts are sampled."""
        return self.weights + self.master + self.moments + self.reference

    @property
    def total(self) -> float:
        """At the peak."""
        return self.states + self.gradients + self.activations + self.working


def training_memory(model: Architecture, how: Training) -> Memory:
    """What a device holds at the peak of an update."""
    trained = model.parameters if how.lora is None else model.adapter(how.lora)
    frozen = 0 if how.lora is None else model.parameters
    weights, gradients, master, moments = _bytes_of_states(how)
    e, tokens, n = how.number, how.batch * how.longest, how.shards
    layers = model.layers - (how.lora.first_layer if how.lora else 0)
    layer = layer_activations(model, how)
    kept = e * model.hidden if how.checkpointing else layer
    return Memory(
        weights=(weights * trained + e * frozen) / n,
        gradients=gradients * trained / n,
        master=master * trained / n,
        moments=moments * trained / n,
        reference=e * model.parameters / n if how.reference and how.lora is None else 0.0,
        activations=tokens * (layers * kept + how.longest * how.padded),
        working=max(_at_the_head(model, how), _in_a_layer(model, how, layer)),
    )


def layer_activations(model: Architecture, how: Training) -> float:
    """What one layer keeps for the backward pass, for each token, A."""
    e, h, f = how.number, model.hidden, model.intermediate
    kept = 2 * (4 + 2 * e) * h + 4 * e * f + 2 * e * (model.queries + model.keys) + 4 * model.heads + 8
    if model.qk_norm:
        kept += (4 + e) * (model.queries + model.keys) + 4 * (model.heads + model.kv_heads)
    if how.padded:
        kept += 2 * e * (model.queries - model.keys) + e * how.longest
    if how.lora is not None:
        norms = 2 * h + (model.queries + model.keys) * model.qk_norm
        kept += e * (how.lora.rank * len(how.lora.targets) - norms)
        kept += e * (3 * h + model.queries) if e == 2 and how.sharding != "zero3" else 0
    return float(kept)


def _bytes_of_states(how: Training) -> tuple[int, int, int, int]:
    """Weights, gradients, master copy and moments of a trained parameter."""
    if how.sharding == "zero3":
        return 2, 2, 4, 8
    number = how.number if how.sharding == "none" and how.lora is None else 4
    return number, number, 0, 2 * number


def _at_the_head(model: Architecture, how: Training) -> float:
    """While the head's gradient is computed: tiles, hidden states and their gradient, the weights and theirs."""
    e, scored = how.number, how.batch * how.scored
    tile = e * min(scored, _TILE_TOKENS) * min(model.vocabulary, _TILE_WORDS)
    hidden = (2 * e + 4) * model.hidden * scored
    gathered = e * model.head if how.sharding != "none" else 0
    gradient = 0 if how.lora else 4 * model.head + gathered
    return float(tile + hidden + gathered + gradient)


def _in_a_layer(model: Architecture, how: Training, layer: float) -> float:
    """While a layer is gone through backwards: it anew, gradients inside of it, two layers gathered."""
    e, tokens = how.number, how.batch * how.longest
    anew = layer * tokens if how.checkpointing else 0.0
    gathered = (2 if how.lora else 3) * e * model.layer if how.sharding != "none" else 0
    return anew + e * tokens * (3 * model.intermediate + 2 * model.hidden) + gathered


class Engine(Frozen):
    """An inference engine on some devices.

    Attributes:
        weights: bytes on each of its devices.
        room: bytes for the key-value cache on all of them; below 0 where the weights do not fit.
        cache: bytes a token.
    """

    weights: float
    room: float
    cache: int

    def sequences(self, tokens: float) -> int:
        """How many sequences of so many tokens the cache holds at once."""
        return max(0, math.floor(self.room / (self.cache * tokens)))


def engine(model: Architecture, *, devices: int, room: float, keeps: float) -> Engine:
    """An engine with tensor parallelism over its devices, in 16-bit numbers.

    Args:
        model: what it runs.
        devices: that share one copy.
        room: bytes it may take on each.
        keeps: bytes it keeps on each beside weights and cache.
    """
    weights = 2 * model.parameters / devices
    return Engine(weights=weights, room=devices * (room - weights - keeps), cache=model.cache())
