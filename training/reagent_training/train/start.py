"""Where training on rewards starts: what SFT made, or, with a warning, a base that was never shown the format."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from reagent_sdk.errors import InvalidInput
from reagent_sdk.models.manifest import FILE_NAME, Manifest, read_manifest
from reagent_training.train.config import RunConfig
from reagent_training.train.grpo_config import GrpoConfig, RewardedConfig
from reagent_training.train.weights import adapter_settings, base_folder, load_base

_ADAPTER = "adapter_config.json"
_A = {"judge": "a judge", "agent": "an agent"}


class Start(NamedTuple):
    """What a trainer begins with.

    Attributes:
        model: the weights, with the adapter to be trained further where there is one.
        tokenizer: of the base.
        new_adapter: settings of an adapter that is still to be made; None otherwise.
    """

    model: Any
    tokenizer: Any
    new_adapter: Any


def check_start(config: RewardedConfig) -> str:
    """Looks at `init` before anything is loaded: a judge for a judge's recipe, an agent for an agent's.

    Returns:
        A warning in one line, empty when there is nothing to warn of.

    Raises:
        InvalidInput: `init` is not what the recipe trains further: another role, prompt version or base.
        WeightsUnavailable: its manifest is damaged, or there is no such base.
    """
    role, maker = ("judge", "rrm-sft") if isinstance(config, GrpoConfig) else ("agent", "agent-sft")
    source = config.init.expanduser() if config.init else Path(base_folder(config.base))
    manifest = read_manifest(source) if source.is_dir() else None
    if config.init is None:
        fits = manifest is not None and manifest.role == role and _other_prompt(config, manifest) is None
        return "" if fits else _untrained(config, role, maker)
    if not any((source / name).is_file() for name in (_ADAPTER, "config.json")):
        raise InvalidInput(f"init {source} holds no weights; name a folder that `reagent train {maker}` wrote")
    if manifest is None:
        raise InvalidInput(f"init {source} has no {FILE_NAME}; name a folder that `reagent train {maker}` wrote")
    if manifest.role != role:
        raise InvalidInput(f"init {source} holds a model for the role {manifest.role!r}, not {_A[role]}")
    if (version := _other_prompt(config, manifest)) is not None:
        raise InvalidInput(
            f"init {source} was trained on the prompt {manifest.prompt_version}, and this run is for "
            f"{version}; set prompt_version: {manifest.prompt_version}"
        )
    if manifest.base_model is not None and not _same_base(manifest.base_model, config.base):
        raise InvalidInput(f"init {source} was made of {manifest.base_model}; set base: {manifest.base_model}")
    if not (source / _ADAPTER).is_file() and config.lora is not None:
        raise InvalidInput(f"init {source} holds full weights, which are trained as they are; set lora: null")
    return ""


def _other_prompt(config: RewardedConfig, manifest: Manifest) -> str | None:
    """The prompt of a judge's recipe where the weights were trained on another one."""
    version = config.prompt_version if isinstance(config, GrpoConfig) else manifest.prompt_version
    return None if version == manifest.prompt_version else version


def _same_base(one: str, other: str) -> bool:
    """Whether two bases are one: by name, or because both lead to the same folder."""
    folders = Path(one).expanduser(), Path(other).expanduser()
    return one == other or (all(folder.is_dir() for folder in folders) and folders[0].samefile(folders[1]))


def _untrained(config: RewardedConfig, role: str, maker: str) -> str:
    if isinstance(config, GrpoConfig):
        why = (
            f"no judge of the prompt {config.prompt_version}: an untrained judge hardly ever meets the verdict format, "
            "and then all rewards are 0"
        )
    else:
        why = "no trained agent: one that never saw a tool call hardly ever makes one, and then all rewards are alike"
    return f"init is not set, and {config.base} is {why}; run `reagent train {maker}` first"


def weights_of(config: RewardedConfig) -> str:
    """Where tokenizer and settings of the start lie: full weights have their own, an adapter those of its base."""
    folder = config.init.expanduser() if config.init else None
    return config.base if folder is None or (folder / _ADAPTER).is_file() else str(folder)


def load_fresh(config: RunConfig) -> Start:
    """Loads the base itself, with settings of a new adapter where one is asked for.

    Raises:
        InvalidInput: the adapter would train no layer.
        WeightsUnavailable: the weights cannot be loaded.
    """
    model, tokenizer = load_base(config)
    layers = model.config.get_text_config().num_hidden_layers
    return Start(model, tokenizer, adapter_settings(config.lora, layers) if config.lora else None)


def load_start(config: RewardedConfig) -> Start:
    """Loads what :func:`check_start` looked at.

    Raises:
        WeightsUnavailable: the weights cannot be loaded.
    """
    if config.init is None:
        return load_fresh(config)
    folder = config.init.expanduser()
    if not (folder / _ADAPTER).is_file():
        return Start(*load_base(config.model_copy(update={"base": weights_of(config)})), None)
    from peft import PeftModel

    model, tokenizer = load_base(config)
    return Start(PeftModel.from_pretrained(model, str(folder), is_trainable=True), tokenizer, None)
