"""A GGUF as a Hugging Face folder: the same numbers for training and for engines that read safetensors."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from reagent_sdk.errors import InvalidInput, MissingExtra
from reagent_sdk.models import registry, store
from reagent_sdk.models.find import find
from reagent_sdk.models.gguf import check_gguf
from reagent_sdk.models.gguf_base import Base
from reagent_sdk.models.pretokenizers import PRETOKENIZERS, WHOLE_WORDS

Dtype = Literal["float32", "bfloat16"]
_FOLDER_MODE, _FILE_MODE = 0o755, 0o644


def unpack(gguf: Path, folder: Path, *, dtype: Dtype = "float32") -> Path:
    """Writes config, safetensors, tokenizer and chat template of a GGUF of the llama architecture.

    The numbers are plain afterwards: the folder can be trained and saved, which transformers' own loader of GGUF files
    does not allow. It is several times the size of a packed file. An interrupted call leaves nothing under its name.

    Args:
        gguf: the weights, packed or not.
        folder: where to; must not exist yet, or be empty.
        dtype: of the numbers in the folder.

    Returns:
        The folder.

    Raises:
        InvalidInput: the folder holds something, or the GGUF is of another architecture.
        WeightsUnavailable: the file is not a GGUF, or is damaged.
        MissingExtra: torch, transformers or gguf is not installed.
    """
    if dtype not in ("float32", "bfloat16"):
        raise InvalidInput(f"weights are unpacked as float32 or bfloat16, not as {dtype}")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InvalidInput(f"{folder} is there already; name a folder that does not exist yet")
    check_gguf(gguf)
    if not all(find_spec(package) for package in ("torch", "transformers", "gguf")):
        raise MissingExtra("unpacking a GGUF", "hf,export")
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        _write(gguf, draft, dtype)
        for file in draft.iterdir():
            file.chmod(_FILE_MODE)
        draft.chmod(_FOLDER_MODE)
        os.replace(draft, folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return folder


def unpacked(name: str) -> Path:
    """The Hugging Face folder of a known model, made on first use and kept beside its GGUF.

    Of several processes that ask at once, one writes and the others wait. `remove` deletes it with the model.

    Raises:
        WeightsUnavailable: no such model, or it is not on this machine; nothing is downloaded.
        MissingExtra: torch, transformers or gguf is not installed.
    """
    model = registry.known(name)
    gguf = find(name)
    kept = store.folder_of(name) / f"hf-{model.sha256[:12]}" / name  # other weights under this name: another folder
    if kept.is_dir():
        return kept
    with store.locked(name, lambda: None) as home:
        if not kept.is_dir():
            with tempfile.TemporaryDirectory(prefix=store.TEMPORARY, dir=home) as temporary:
                draft = unpack(gguf, Path(temporary) / name)
                kept.parent.mkdir(exist_ok=True)
                os.replace(draft, kept)
    return kept


def _write(gguf: Path, folder: Path, dtype: Dtype) -> None:
    from transformers import AutoTokenizer

    from reagent_sdk.models.unpack_weights import network

    base = Base(gguf)
    pre = base.value("tokenizer.ggml.pre") if base.value("tokenizer.ggml.model") == "gpt2" else None
    if pre is not None and pre not in PRETOKENIZERS:
        raise InvalidInput(f"{gguf} cuts text in a way that is not known here ({pre}); use the Hugging Face weights")
    model = network(base, dtype)
    with _quiet():
        model.save_pretrained(folder)
        AutoTokenizer.from_pretrained(str(gguf.parent), gguf_file=gguf.name).save_pretrained(folder)
    if pre is not None:
        _cut_as(pre, folder / "tokenizer.json")


def _cut_as(pre: str, file: Path) -> None:
    """Puts right what transformers' loader passes over: without it, digits of SmolLM2 are not split off."""
    tokenizer = json.loads(file.read_text(encoding="utf-8"))
    tokenizer["pre_tokenizer"] = dict(PRETOKENIZERS[pre])
    tokenizer["model"]["ignore_merges"] = pre in WHOLE_WORDS
    file.write_text(json.dumps(tokenizer, ensure_ascii=False, indent=2), encoding="utf-8")


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps transformers' progress bars off stderr."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
