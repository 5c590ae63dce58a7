"""Hugging Face weights of the Llama family, whole or a PEFT LoRA adapter, as a GGUF for the embedded engine."""

from __future__ import annotations

from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from reagent_sdk.errors import InvalidInput, MissingExtra
from reagent_sdk.frozen import Frozen
from reagent_sdk.models import gguf_adapter, manifest
from reagent_sdk.models.find import find
from reagent_sdk.models.gguf_adapter import adapter_tensors, read_adapter_config
from reagent_sdk.models.gguf_base import Base
from reagent_sdk.models.gguf_llama import (
    ARCHITECTURE,
    ROPE_FACTORS,
    add_shape,
    expected_tensors,
    permuted,
    rope_factors,
)
from reagent_sdk.models.gguf_tokenizer import add_tokenizer, read_tokenizer
from reagent_sdk.models.gguf_write import TYPES, NumberType, Planned, Progress, write_tensors
from reagent_sdk.models.llama import LlamaConfig, LlamaShape, read_config
from reagent_sdk.models.safetensors_read import Stored, stored_tensors
from reagent_sdk.replacing import replacing

_BUFFER = ".rotary_emb.inv_freq"  # older transformers saved it; it follows from the config


class Exported(Frozen):
    """A GGUF that was written."""

    path: Path
    kind: Literal["model", "adapter"]
    name: str
    type: NumberType
    tensors: int
    bytes: int


def _silent(done: int, total: int) -> None:
    """Tells nobody."""


def export(
    folder: str | Path,
    target: str | Path,
    *,
    numbers: NumberType = "f16",
    base: str | Path | None = None,
    progress: Progress = _silent,
) -> Exported:
    """Writes a GGUF; a reagent.json beside the weights goes along. Whole or not at all.

    Args:
        folder: config.json, safetensors and tokenizer; or adapter_config.json and adapter_model.safetensors.
        target: the file to write, replaced if it is there; ends with `.gguf`.
        numbers: how matrices are stored. Vectors are always float32.
        base: the GGUF that the weights were trained from, a name or a path. Its metadata and tokenizer are taken over.
            An adapter needs it unless its config names the folder of its base.
        progress: told how many numbers are written, and of how many.

    Raises:
        InvalidInput: weights that cannot be written as a GGUF, or do not fit the base; the message says why.
        WeightsUnavailable: a file is missing, cut off or damaged.
        MissingExtra: gguf, numpy or safetensors is not installed.
    """
    source, path = Path(folder).expanduser(), Path(target).expanduser()
    if numbers not in TYPES:
        raise InvalidInput(f"numbers are stored as {', '.join(TYPES)}, not as {numbers}")
    if not source.is_dir():
        raise InvalidInput(f"{folder} is not a folder")
    if path.suffix != ".gguf" or path.is_dir():
        raise InvalidInput(f"{target} has to be the name of a file that ends with .gguf")
    if not all(find_spec(package) for package in ("gguf", "numpy", "safetensors")):
        raise MissingExtra("exporting weights", "export")
    from gguf import GGUFWriter

    writer = GGUFWriter(None, ARCHITECTURE)
    card = manifest.for_export(source, path)
    name = card.name if card else source.resolve().name
    writer.add_name(name)
    is_adapter = (source / gguf_adapter.FILE_NAME).is_file()
    plan = _adapter(writer, source, base) if is_adapter else _model(writer, source, base)
    with ExitStack() as stack:
        if card is not None:
            place = path.with_name(manifest.FILE_NAME)
            stack.enter_context(replacing(place)).write(f"{card.model_dump_json(indent=2)}\n".encode())
        draft = stack.enter_context(replacing(path))
        write_tensors(writer, Path(draft.name), plan, numbers, progress)
    kind: Literal["model", "adapter"] = "adapter" if is_adapter else "model"
    return Exported(path=path, kind=kind, name=name, type=numbers, tensors=len(plan), bytes=path.stat().st_size)


def _model(writer: Any, source: Path, base: str | Path | None) -> list[Planned]:
    config = read_config(source)
    plan = _planned(config, stored_tensors(source, "model"), source)
    if base is None:
        writer.add_type("model")
        add_shape(writer, config.shape)
        add_tokenizer(writer, source, config)
        return plan
    original = Base(find(base))
    _must_agree(source, config, original)
    original.carry_over(writer)
    return plan


def _planned(config: LlamaConfig, stored: dict[str, Stored], source: Path) -> list[Planned]:
    expected = expected_tensors(config)
    left = {name for name in stored if not name.endswith(_BUFFER)} - expected.keys()
    if config.tied:
        left.discard("lm_head.weight")  # saved by some tools, and the embedding all the same
    if left:
        raise InvalidInput(f"{source} holds {min(left)}, which a model of its config.json does not have")
    plan = []
    for name, wanted in expected.items():
        found = stored.get(name)
        if found is None:
            raise InvalidInput(f"{source} is incomplete: {name} is missing")
        if found.shape != wanted.shape:
            raise InvalidInput(f"{name} in {source} is of shape {found.shape}; config.json says {wanted.shape}")
        plan.append(Planned(wanted.name, wanted.shape, _reader(found, wanted.heads), name))
    if config.scaling is not None:
        factors = rope_factors(config.scaling, config.shape)
        plan.append(Planned(ROPE_FACTORS, factors.shape, lambda: factors, ROPE_FACTORS))
    return plan


def _reader(stored: Stored, heads: int) -> Any:
    return lambda: permuted(stored.read(), heads)


def _adapter(writer: Any, source: Path, base: str | Path | None) -> list[Planned]:
    config = read_adapter_config(source)
    stored = stored_tensors(source, "adapter_model")
    adapter = adapter_tensors(config, stored, _base_shape(config.base_model_name_or_path, base))
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", adapter.alpha)
    return adapter.tensors


def _base_shape(named: str | None, base: str | Path | None) -> LlamaShape:
    if base is not None:
        return Base(find(base)).shape
    if named and Path(named).expanduser().is_dir():
        return read_config(Path(named).expanduser()).shape
    raise InvalidInput(f"the adapter's base {named!r} is not on this machine; name its GGUF with --from")


def _must_agree(source: Path, config: LlamaConfig, original: Base) -> None:
    """Refuses weights that another model was trained to, or the same one with other ids for the same text."""
    difference = config.shape.difference(original.shape)
    if not difference and original.scaled != (config.scaling is not None):
        difference = "only one of them scales its rotary frequencies"
    tokens = original.tokens
    if not difference and len(tokens) != original.shape.vocab:
        difference = f"that has {len(tokens)} tokens for {original.shape.vocab} embeddings"
    vocab = ((read_tokenizer(source) or {}).get("model") or {}).get("vocab")
    if not difference and isinstance(vocab, dict):
        known = dict(enumerate(tokens))
        other = next((token for token, number in vocab.items() if known.get(number) != token), None)
        difference = None if other is None else f"the token {other!r} has another id"
    if difference:
        raise InvalidInput(f"{source} is no fine-tune of {original.path}: {difference}")
