"""Trained weights that come with this package: adapters on known models, small enough to travel along."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from reagent_sdk.frozen import Frozen


class Shipped(Frozen):
    """An adapter of this package.

    Attributes:
        name: what it is called in specs.
        base: the known model that it is made for.
        folder: PEFT adapter, GGUF adapter, `reagent.json`, calibration and model card.
        licence: of the adapter; its model card names those of the data.
        description: what it is, in a few words.
    """

    name: str
    base: str
    folder: Path
    licence: str
    description: str

    @property
    def gguf(self) -> Path:
        """The adapter for the embedded engine."""
        return self.folder / f"{self.name}.gguf"


_WEIGHTS = Path(__file__).parents[1] / "weights"

_TINY = Shipped(
    name="agent-rrm-tiny",
    base="smollm2-135m-instruct",
    folder=_WEIGHTS / "agent-rrm-tiny",
    licence="Apache-2.0",
    description="the judge of this package: a hint about right and wrong work",
)

SHIPPED: Mapping[str, Shipped] = MappingProxyType({one.name: one for one in (_TINY,)})
