"""What is known about the judge that is served, for those who only see its address."""

from __future__ import annotations

from pathlib import Path

from reagent_sdk.errors import InvalidInput
from reagent_sdk.frozen import Frozen
from reagent_sdk.local_specs import UNTRAINED
from reagent_sdk.models.manifest import read_manifest
from reagent_sdk.prompts import CURRENT_PROMPT, judge_prompt


class Card(Frozen):
    """The judge's card.

    Attributes:
        trained: whether it is known to be a trained judge; None when nothing is known.
        prompt_version: the judge prompt it was trained on; None when unknown.
        gate: accept threshold fitted for it.
        max_chars: room for the record that it was trained with; None when unknown.
        caveat: what a reader of its verdicts should know.
    """

    trained: bool | None = None
    prompt_version: str | None = None
    gate: float | None = None
    max_chars: int | None = None
    caveat: str = ""

    @property
    def told_to_clients(self) -> dict[str, object]:
        """What stands beside the model in `/v1/models`: how it wants to be asked. Empty where that is not known."""
        told = {"prompt_version": self.prompt_version, "max_chars": self.max_chars}
        return {name: value for name, value in told.items() if value is not None} if self.trained else {}


def card_of(weights: Path) -> Card:
    """The card of weights on this machine, from the `reagent.json` beside them.

    Args:
        weights: the file or folder that makes the judge: an adapter where there is one.

    Raises:
        InvalidInput: they are an agent's, or of a judge prompt that is not known here.
        WeightsUnavailable: the manifest cannot be read.
    """
    manifest = read_manifest(weights)
    if manifest is None or manifest.role == "base":
        return Card(trained=False, prompt_version=CURRENT_PROMPT, caveat=UNTRAINED.replace("embedded ", "served "))
    if manifest.role != "judge":
        raise InvalidInput(f"{weights} is a model for the role {manifest.role!r} and not a judge")
    version = judge_prompt(manifest.prompt_version or CURRENT_PROMPT).version
    return Card(trained=True, prompt_version=version, gate=manifest.gate, max_chars=manifest.max_chars)
