"""Base weights for training: loaded, wrapped in an adapter, and written with what the SDK needs to load them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from reagent_sdk import models
from reagent_sdk.errors import InvalidInput, WeightsUnavailable
from reagent_training.train.config import Lora, RunConfig


def base_folder(base: str) -> str:
    """What transformers should load: the unpacked folder of a known model, a folder, or a hub id as it is.

    Raises:
        WeightsUnavailable: a known model that is not on this machine, or a path that is no folder of weights.
    """
    if base in models.KNOWN:
        return str(models.unpacked(base))
    path = Path(base).expanduser()
    if path.is_dir():
        if not (path / "config.json").is_file():
            raise WeightsUnavailable(f"{path} holds no Hugging Face weights: config.json is missing")
        return str(path)
    if base.startswith((".", "/", "~")) or base.count("/") != 1:
        known = ", ".join(sorted(models.KNOWN))
        raise WeightsUnavailable(f"the base {base!r} is neither a folder, nor ORG/NAME on the hub, nor one of {known}")
    return base


def load_base(config: RunConfig) -> tuple[Any, Any]:
    """The base model and its tokenizer.

    Raises:
        WeightsUnavailable: the weights cannot be had, are not safetensors, or have no chat template.
    """
    import torch
    from transformers import AutoModelForCausalLM

    source, tokenizer = base_folder(config.base), load_tokenizer(config.base)
    try:
        model = AutoModelForCausalLM.from_pretrained(
            source, trust_remote_code=False, use_safetensors=True, dtype=getattr(torch, config.dtype)
        )
    except (OSError, ValueError) as error:
        raise WeightsUnavailable(f"cannot load the base {config.base}: {' '.join(str(error).split())}") from error
    return model, tokenizer


def load_tokenizer(base: str) -> Any:
    """The tokenizer of a base, with a token to pad with.

    Raises:
        WeightsUnavailable: it cannot be had, or has no chat template.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(base_folder(base), trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise WeightsUnavailable(f"cannot load the base {base}: {' '.join(str(error).split())}") from error
    if not tokenizer.chat_template:
        raise WeightsUnavailable(f"the base {base} has no chat template; use its instruct variant")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def window_of(base: str) -> int | None:
    """Tokens that a base was made for; None where its settings do not say.

    Raises:
        WeightsUnavailable: its settings cannot be had.
    """
    from transformers import AutoConfig

    try:
        settings = AutoConfig.from_pretrained(base_folder(base), trust_remote_code=False).get_text_config()
    except (OSError, ValueError) as error:
        raise WeightsUnavailable(f"cannot load the base {base}: {' '.join(str(error).split())}") from error
    window: int | None = getattr(settings, "max_position_embeddings", None)
    return window


def adapter_settings(lora: Lora, layers: int) -> Any:
    """The adapter as PEFT takes it.

    Raises:
        InvalidInput: `first_layer` leaves no layer to train.
    """
    from peft import LoraConfig

    if lora.first_layer >= layers:
        raise InvalidInput(f"lora.first_layer is {lora.first_layer}, and the base has the layers 0 to {layers - 1}")
    chosen = list(range(lora.first_layer, layers)) if lora.first_layer else None
    return LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=0.0,
        target_modules=list(lora.targets),
        layers_to_transform=chosen,
        task_type="CAUSAL_LM",
    )
