"""What a recipe's file says about the size of its run. The file itself is checked by the recipe, when it starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from reagent_sdk.errors import InvalidInput
from reagent_sdk.frozen import Frozen, first_problem
from reagent_training.train.config import Lora


class Told(Frozen):
    """Settings of an agent's recipe that a plan goes by; None where the file says nothing."""

    recipe: Literal["reagent-u", "reagent-r", "agent-grpo"]
    base: str | None = None
    max_tokens: int | None = Field(None, ge=64)
    lora: Lora | None = None
    group: int | None = Field(None, ge=2)
    steps: int | None = Field(None, ge=1)
    batch: int | None = Field(None, ge=1)
    updates: int | None = Field(None, ge=1)


def told_by(file: Path) -> Told:
    """Reads what a plan goes by.

    Raises:
        InvalidInput: neither a recipe's name nor its file, or a setting that cannot be.
    """
    import yaml

    try:
        read = yaml.safe_load(file.expanduser().read_text(encoding="utf-8"))
    except OSError:
        raise InvalidInput(
            f"--recipe takes reagent-u, reagent-r, agent-grpo or the file of one, and there is no {file}"
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{file} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(read, dict) or read.get("recipe") is None:
        raise InvalidInput(f"{file} names no recipe: plans are for `recipe: reagent-u`, reagent-r or agent-grpo")
    rollout, optimiser = _part(read, "rollout"), _part(read, "optimiser")
    base = read.get("base")
    try:
        return Told(
            recipe=read["recipe"],
            base={"smollm2-135m-instruct": "135m"}.get(str(base), base),
            max_tokens=read.get("max_tokens"),
            lora=Lora() if "lora" not in read else read["lora"],
            group=rollout.get("group"),
            steps=rollout.get("steps"),
            batch=optimiser.get("batch"),
            updates=optimiser.get("max_steps"),
        )
    except ValidationError as error:
        raise InvalidInput(f"{file}, {first_problem(error)}") from None


def _part(read: dict[str, Any], name: str) -> dict[str, Any]:
    found = read.get(name)
    return found if isinstance(found, dict) else {}
