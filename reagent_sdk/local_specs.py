"""Weights of this machine: what a `local` spec refers to, which client runs it, and how it judges."""

from __future__ import annotations

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


def local_reference(spec: str, default: str = DEFAULT_MODEL) -> str | None:
    """What a `local` spec refers to; None for specs of another form, `local_provider/model` among them."""
    if spec != "local" and not spec.startswith("local:"):
        return None
    reference = spec.removeprefix("local").removeprefix(":") or default
    name, question, options = reference.partition("?")
    if name not in models.SHIPPED:
        return reference
    shipped = models.SHIPPED[name]
    return f"{shipped.base}?lora={shipped.gguf}" + (f"&{options}" if question else "")


def weights_of(spec: str, reference: str | None) -> Path | None:
    """The weights that make the judge what it is, an adapter where there is one; None where they are not here."""
    if reference is not None:
        path, options = _split(reference)
        return Path(options.get("lora", path)).expanduser()
    folder = Path(spec.removeprefix("hf:")).expanduser()
    return folder if spec.startswith("hf:") and folder.is_dir() else None


def settings_of(weights: Path, reference: str) -> JudgeSettings:
    """Settings for weights of this machine, from the `reagent.json` beside them; those without one are untrained."""
    manifest = models.read_manifest(weights) if weights.exists() else None
    if manifest is None or manifest.role == "base":
        return _UNTRAINED
    if manifest.role != "judge":
        raise InvalidInput(f"{reference} is a model for the role {manifest.role!r} and not a judge")
    version = judge_prompt(manifest.prompt_version or CURRENT_PROMPT).version
    room = {"max_chars": manifest.max_chars} if manifest.max_chars else {}
    about = {"prompt_version": version, "gate": manifest.gate, "caveat": manifest.caveat}
    return _TRAINED.model_copy(update={**about, **room})


def local_client(reference: str) -> ChatClient:
    """The client of a local reference.

    Raises:
        InvalidInput: an unknown option, or one that cannot work.
        WeightsUnavailable: the weights are missing.
    """
    path, options = _split(reference)
    folder = Path(path).expanduser()
    if folder.is_dir() and not any(folder.glob("*.gguf")):
        from reagent_sdk.clients.transformers_client import Transformers

        return Transformers(str(folder))
    from reagent_sdk.clients.embedded import Embedded

    counts = {name: _count(name, value) for name, value in options.items() if name != "lora"}
    ours = next((one.gguf for one in models.SHIPPED.values() if one.base == path and one.gguf.is_file()), None)
    if "lora" not in options and ours is not None:  # one engine serves the bare model and the judge made of it
        return Embedded(path, lora=ours, **counts).bare()
    return Embedded(path, lora=options.get("lora"), **counts)


def _split(reference: str) -> tuple[str, dict[str, str]]:
    """Path or name of local weights, and the options after the question mark."""
    path, _, query = reference.partition("?")
    options = dict(part.partition("=")[::2] for part in query.split("&") if part)
    unknown = [name for name, value in options.items() if name not in _OPTIONS or not value]
    if unknown:
        raise InvalidInput(f"local:{reference}: {unknown[0]!r} is not an option with a value; there are {_OPTIONS}")
    return path, options


def _count(name: str, value: str) -> int:
    if not value.isdigit():
        raise InvalidInput(f"{name} of a local model must be a whole number, not {value!r}")
    return int(value)
