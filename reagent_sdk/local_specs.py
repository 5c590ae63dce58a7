"""Weights of this machine: what a `local` spec refers to, which client runs it, and how it judges."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from reagent_sdk import models
from reagent_sdk.clients.base import ChatClient, Sampling
from reagent_sdk.errors import InvalidInput
from reagent_sdk.judges.model import JudgeSettings
from reagent_sdk.prompts import CURRENT_PROMPT, VERDICT_GRAMMAR, judge_prompt

DEFAULT_MODEL = "smollm2-135m-instruct"
DEFAULT_JUDGE = "agent-rrm-tiny"
_OPTIONS = ("lora", "slots", "context", "threads")

UNTRAINED = (
    "the embedded judge is an untrained base model under the judge prompt: "
    "its verdicts have the right form, but its scores carry next to no information"
)
_UNTRAINED = JudgeSettings(
    sampling=Sampling(temperature=0.0, max_tokens=640, grammar=VERDICT_GRAMMAR, extra={"repeat_penalty": 1.1}),
    max_chars=16_000,
    caveat=UNTRAINED,
)
_TRAINED = JudgeSettings(sampling=Sampling(temperature=0.0, max_tokens=640, grammar=VERDICT_GRAMMAR), max_chars=16_000)


@dataclass(frozen=True)
class LocalReference:
    """What a `local` spec refers to.

    Attributes:
        path: a known model, a GGUF file or a folder of weights.
        lora: an adapter for it, where there is one.
        counts: slots, context and threads, where they are given.
    """

    path: str
    lora: str | None = None
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def weights(self) -> Path:
        """The weights that make the model what it is: the adapter, where there is one."""
        return Path(self.lora or self.path).expanduser()


def local_reference(spec: str, default: str = DEFAULT_MODEL) -> LocalReference | None:
    """Reads a `local` spec; None for specs of another form, `local_provider/model` among them.

    Args:
        spec: as the user wrote it.
        default: what `local` alone means.

    Raises:
        InvalidInput: an option that there is not, or one without a value that can work.
    """
    if spec != "local" and not spec.startswith("local:"):
        return None
    path, _, query = (spec.removeprefix("local").removeprefix(":") or default).partition("?")
    options = dict(part.partition("=")[::2] for part in query.split("&") if part)
    unknown = [name for name, value in options.items() if name not in _OPTIONS or not value]
    if unknown:
        raise InvalidInput(f"{spec}: {unknown[0]!r} is not an option with a value; there are {_OPTIONS}")
    lora = options.pop("lora", None)
    if (shipped := models.SHIPPED.get(path)) is not None:
        path, lora = shipped.base, lora or str(shipped.gguf)
    return LocalReference(path, lora, {name: _count(name, value) for name, value in options.items()})


def settings_of(weights: Path, spec: str) -> JudgeSettings:
    """Settings for weights of this machine, from the `reagent.json` beside them; those without one are untrained."""
    manifest = models.read_manifest(weights) if weights.exists() else None
    if manifest is None or manifest.role == "base":
        return _UNTRAINED
    if manifest.role != "judge":
        raise InvalidInput(f"{spec.removeprefix('local:')} is a model for the role {manifest.role!r} and not a judge")
    version = judge_prompt(manifest.prompt_version or CURRENT_PROMPT).version
    room = {"max_chars": manifest.max_chars} if manifest.max_chars else {}
    about = {"prompt_version": version, "gate": manifest.gate, "caveat": manifest.caveat}
    return _TRAINED.model_copy(update={**about, **room})


def local_client(reference: LocalReference) -> ChatClient:
    """The client of a local reference.

    Raises:
        InvalidInput: a number that cannot work.
        WeightsUnavailable: the weights are missing.
    """
    folder = Path(reference.path).expanduser()
    if folder.is_dir() and not any(folder.glob("*.gguf")):
        from reagent_sdk.clients.transformers_client import Transformers

        return Transformers(str(folder))
    from reagent_sdk.clients.embedded import Embedded

    ours = next((one.gguf for one in models.SHIPPED.values() if one.base == reference.path), None)
    if reference.lora is None and ours is not None and ours.is_file():
        # one engine serves the bare model and the judge made of it
        return Embedded(reference.path, lora=ours, **reference.counts).bare()
    return Embedded(reference.path, lora=reference.lora, **reference.counts)


def _count(name: str, value: str) -> int:
    if not value.isdigit():
        raise InvalidInput(f"{name} of a local model must be a whole number, not {value!r}")
    return int(value)
