"""What a recipe is told: one small YAML file, read into frozen models. Unknown keys are errors."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import Field, ValidationError, model_validator

from reagent_sdk.errors import InvalidInput
from reagent_sdk.frozen import Frozen, first_problem
from reagent_sdk.prompts import judge_prompt

ALL_PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
Positive = Annotated[float, Field(gt=0)]
Config = TypeVar("Config", bound=Frozen)


class Source(Frozen):
    """A file of labelled trajectories, or a part of it."""

    path: Path = Field(description="a set as `reagent data` writes it; relative to the folder the command runs in")
    rows: int | None = Field(None, ge=1, description="so many rows, whole questions, right and wrong in turn")
    only: str | None = Field(None, description="rows of this `source` alone")


class Lora(Frozen):
    """A low-rank adapter; the base model stays as it is."""

    rank: int = Field(16, ge=1)
    alpha: int = Field(32, ge=1)
    first_layer: int = Field(0, ge=0, description="layers below it stay as they are, and cost no backward pass")
    targets: tuple[str, ...] = ALL_PROJECTIONS


class Optimiser(Frozen):
    """How weights are moved."""

    learning_rate: Positive = 1e-5
    epochs: Positive = 1.0
    max_steps: int | None = Field(None, ge=1, description="updates; instead of epochs")
    batch: int = Field(1, ge=1, description="rows a device works on at once")
    accumulate: int = Field(8, ge=1, description="batches of each device that make an update")
    warmup: float = Field(0.03, ge=0, lt=1, description="share of the updates over which the rate rises")
    schedule: Literal["linear", "cosine", "constant_with_warmup"] = "cosine"
    weight_decay: float = Field(0.0, ge=0)
    clip: Positive = 1.0


class RunConfig(Frozen):
    """What all recipes are told."""

    recipe: str
    base: str = Field(description="the weights that are trained further: a known model, a folder or a hub id")
    name: str = Field(description="of the model that comes out")
    max_tokens: int = Field(4_096, ge=64, description="rows whose prompt and target take more are left out and counted")
    lora: Lora | None = Field(default_factory=Lora, description="null trains all weights")
    optimiser: Optimiser = Optimiser()
    dtype: Literal["float32", "bfloat16"] = "float32"
    device: Literal["auto", "cpu"] = "auto"
    seed: int = Field(0, ge=0)
    log_every: int = Field(1, ge=1, description="updates")
    save_every: int = Field(20, ge=1, description="updates between checkpoints")
    keep_checkpoints: int = Field(2, ge=1)
    trackers: tuple[Literal["tensorboard", "trackio", "wandb"], ...] = ("tensorboard",)
    activation_checkpointing: bool = Field(False, description="saves memory at a third more time")


class JudgeConfig(RunConfig):
    """What the recipes for judges are told."""

    prompt_version: str = "rrm-2"
    max_chars: int = Field(16_000, ge=1_000, description="room for the record in the judge's prompt, in characters")
    train: tuple[Source, ...] = Field(min_length=1)
    validation: tuple[Source, ...] = ()

    @model_validator(mode="after")
    def _known_prompt(self) -> JudgeConfig:
        try:
            judge_prompt(self.prompt_version)
        except InvalidInput as error:
            raise ValueError(str(error)) from None
        return self


class SftConfig(JudgeConfig):
    """`reagent train rrm-sft`."""

    recipe: Literal["rrm-sft"] = "rrm-sft"
    grade_weight: float = Field(1.0, ge=0, description="of the grade's loss beside the mean loss of a text token")
    preferred: tuple[float, float] | None = Field(
        (0.85, 0.15), description="scores of the better and the worse side of a preference pair; null leaves pairs out"
    )
    validate_every: int | None = Field(None, ge=1, description="updates between passes over the validation rows")


def load_config(path: str | Path, model: type[Config], changes: dict[str, Any] | None = None) -> Config:
    """Reads a configuration.

    Args:
        path: a YAML file.
        model: which one's.
        changes: settings that win over the file's, by dotted name, such as {"optimiser.max_steps": 3}.

    Raises:
        InvalidInput: no such file, not YAML, or a setting is unknown or out of range; one line that names it.
    """
    file = Path(path).expanduser()
    try:
        read = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidInput(f"cannot read the configuration {file}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{file} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(read, dict):
        raise InvalidInput(f"{file} holds no settings: write lines like `base: smollm2-135m-instruct`")
    for name, value in (changes or {}).items():
        _set(read, name.split("."), value)
    try:
        return model.model_validate(read)
    except ValidationError as error:
        raise InvalidInput(f"{file}, {first_problem(error, 'configuration')}") from None


def _set(settings: dict[str, Any], path: list[str], value: Any) -> None:
    for part in path[:-1]:
        inner = settings.setdefault(part, {})
        if not isinstance(inner, dict):
            raise InvalidInput(f"{'.'.join(path)}: {part} is a value and holds no further settings")
        settings = inner
    settings[path[-1]] = value
