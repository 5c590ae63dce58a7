"""A PEFT LoRA adapter as tensors of a GGUF adapter."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pydantic import ConfigDict, PositiveFloat, ValidationError, model_validator

from reagent_sdk.errors import InvalidInput
from reagent_sdk.frozen import Frozen, first_problem
from reagent_sdk.models.gguf_llama import Expected, permuted, projection
from reagent_sdk.models.gguf_write import Planned
from reagent_sdk.models.llama import LlamaShape
from reagent_sdk.models.safetensors_read import Stored

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FILE_NAME = "adapter_config.json"
_TENSOR = re.compile(r"base_model\.model\.(?P<module>[\w.]+)\.lora_(?P<side>[AB])\.weight")
_SAME_BASE = (None, True, False, "gaussian", "eva", "orthogonal")
_REFUSED = {
    "use_dora": "DoRA",
    "modules_to_save": "whole modules (modules_to_save)",
    "trainable_token_indices": "single trained tokens",
    "target_parameters": "parameters outside of modules (target_parameters)",
    "layer_replication": "replicated layers",
    "lora_bias": "biases (lora_bias)",
    "fan_in_fan_out": "transposed weights (fan_in_fan_out)",
    "alora_invocation_tokens": "invocation tokens (aLoRA)",
    "use_qalora": "QALoRA",
    "use_bdlora": "block-diagonal LoRA",
    "arrow_config": "a mix of adapters (arrow)",
    "kasa_config": "KaSA",
    "monteclora_config": "MonteCLoRA",
    "velora_config": "VeLoRA",
}


class AdapterConfig(Frozen):
    """The part of adapter_config.json that says what the numbers mean."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    peft_type: Literal["LORA"]
    base_model_name_or_path: str | None = None
    lora_alpha: PositiveFloat
    use_rslora: bool = False
    alpha_pattern: dict[str, PositiveFloat] | None = None

    @model_validator(mode="before")
    @classmethod
    def _can_be_said_in_gguf(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        for key, what in _REFUSED.items():
            if given.get(key):
                raise ValueError(f"a GGUF adapter cannot hold {what}; merge the adapter and export the whole model")
        if given.get("bias") not in (None, "none"):
            raise ValueError("a GGUF adapter cannot hold biases; merge the adapter and export the whole model")
        if given.get("init_lora_weights") not in _SAME_BASE:
            raise ValueError(
                f"an adapter that began as {given['init_lora_weights']} has changed its base; convert it to plain LoRA"
            )
        return given

    def scaling(self, module: str, rank: int) -> float:
        """What PEFT multiplies the product of the two matrices with."""
        patterns = (self.alpha_pattern or {}).items()
        alpha = next((one for key, one in patterns if re.match(rf"(.*\.)?({key})$", module)), self.lora_alpha)
        return alpha / (math.sqrt(rank) if self.use_rslora else rank)


class Adapter(NamedTuple):
    """A PEFT adapter on its way into a GGUF.

    Attributes:
        alpha: llama.cpp multiplies each product of two matrices with this over its rank.
        tensors: what to write.
    """

    alpha: float
    tensors: list[Planned]


class _Pair(NamedTuple):
    module: str
    target: Expected
    down: Stored
    up: Stored

    @property
    def rank(self) -> int:
        return self.down.shape[0]

    def planned(self, factor: float) -> list[Planned]:
        name = self.target.name
        return [
            Planned(f"{name}.lora_a", self.down.shape, self.down.read, f"{self.module}.lora_A"),
            Planned(f"{name}.lora_b", self.up.shape, lambda: self._up(factor), f"{self.module}.lora_B"),
        ]

    def _up(self, factor: float) -> NDArray[np.float32]:
        import numpy as np

        values = permuted(self.up.read(), self.target.heads)
        return values if factor == 1 else values * np.float32(factor)


def read_adapter_config(folder: Path) -> AdapterConfig:
    """Reads adapter_config.json.

    Raises:
        InvalidInput: it is not of a LoRA adapter, or of one that a GGUF cannot hold.
    """
    path = folder / FILE_NAME
    try:
        return AdapterConfig.model_validate(json.loads(path.read_bytes()))
    except ValidationError as error:
        raise InvalidInput(f"{path} cannot be exported: {first_problem(error)}") from None
    except ValueError as error:
        raise InvalidInput(f"{path} is not JSON: {error}") from None


def adapter_tensors(config: AdapterConfig, stored: dict[str, Stored], shape: LlamaShape) -> Adapter:
    """Names, orders and scales the tensors of an adapter for a base of the given shape.

    Raises:
        InvalidInput: a tensor is none of a LoRA on the seven projections, lacks its other half, or does not fit.
    """
    pairs = _pairs(stored, shape)
    try:
        scaled = [config.scaling(pair.module, pair.rank) * pair.rank for pair in pairs]
    except re.error as error:
        raise InvalidInput(f"alpha_pattern in {FILE_NAME} is not a regular expression: {error}") from None
    # One number for all modules; where PEFT's differs for a module, the difference goes into the module's own numbers.
    alpha = scaled[0]
    return Adapter(alpha, [one for pair, own in zip(pairs, scaled, strict=True) for one in pair.planned(own / alpha)])


def _pairs(stored: dict[str, Stored], shape: LlamaShape) -> list[_Pair]:
    halves: dict[str, dict[str, Stored]] = {}
    for name, tensor in stored.items():
        found = _TENSOR.fullmatch(name)
        if found is None or projection(found["module"], shape) is None:
            raise InvalidInput(
                f"the adapter holds {name}; only LoRA on the seven projections of the base's layers can be exported"
            )
        halves.setdefault(found["module"], {})[found["side"]] = tensor
    if not halves:
        raise InvalidInput("the adapter holds no tensors")
    return [_pair(module, halves[module], shape) for module in halves]


def _pair(module: str, half: dict[str, Stored], shape: LlamaShape) -> _Pair:
    target, down, up = projection(module, shape), half.get("A"), half.get("B")
    if target is None or down is None or up is None:
        raise InvalidInput(f"the adapter holds only one of the two matrices of {module}")
    rows, columns = target.shape
    if len(down.shape) != 2 or down.shape[1] != columns or up.shape != (rows, down.shape[0]) or not down.shape[0]:
        raise InvalidInput(
            f"the adapter's matrices of {module}, {up.shape} and {down.shape}, do not fit the base's {target.shape}: "
            "it was trained on another model"
        )
    return _Pair(module, target, down, up)
