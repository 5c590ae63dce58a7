"""Loading Hugging Face weights and generating with them, blocking. Imports torch: import this module on first use."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jinja2
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from reagent_sdk import models
from reagent_sdk.clients.base import Sampling
from reagent_sdk.clients.hf_streaming import Recorder, Stopper, Streamer
from reagent_sdk.clients.streamed import Chunk
from reagent_sdk.errors import ContextOverflow, MissingExtra, ModelRejected, ModelUnavailable, WeightsUnavailable
from reagent_sdk.messages import Message
from reagent_sdk.models import store

_SEEDS = 2**63


def load(model: str, device: str | None, dtype: str | None) -> HFModel:
    """Loads a model, or an adapter on its base model.

    Raises:
        WeightsUnavailable: missing, not safetensors, in need of code of its own, or without a chat template.
        MissingExtra: an adapter, and peft is not installed.
    """
    path = Path(model).expanduser()
    local = path.is_dir()
    source = str(path) if local else model
    options: dict[str, Any] = {"trust_remote_code": False, "local_files_only": local}
    weights = {**options, "use_safetensors": True, "dtype": dtype or "auto"}
    try:
        if local and (path / "adapter_config.json").is_file():
            base = _base_of(path)
            own = path if (path / "tokenizer_config.json").is_file() else base
            tokenizer = AutoTokenizer.from_pretrained(own, **{**options, "local_files_only": Path(own).is_dir()})
            network = _with_adapter(path, base, weights)
        else:
            tokenizer = AutoTokenizer.from_pretrained(source, **options)
            network = AutoModelForCausalLM.from_pretrained(source, **weights)
    except (OSError, ValueError, KeyError) as error:
        raise WeightsUnavailable(f"cannot load Hugging Face weights from {model}: {error}") from error
    if not tokenizer.chat_template:
        raise WeightsUnavailable(f"{model} has no chat template, so it is not a chat model; use its instruct variant")
    network.to(device or ("cuda" if torch.cuda.is_available() else "cpu")).eval()
    return HFModel(model, network, tokenizer)


def _base_of(path: Path) -> str:
    """What an adapter is made for: a folder, or a hub id."""
    base: str = json.loads((path / "adapter_config.json").read_text(encoding="utf-8"))["base_model_name_or_path"]
    known = models.known_base(base)
    if known is not None and store.verified(known) is not None:
        return str(models.unpacked(known.name))  # the very numbers that the embedded engine runs
    return base


def _with_adapter(path: Path, base: str, options: dict[str, Any]) -> Any:
    if find_spec("peft") is None:
        raise MissingExtra("running a PEFT adapter", "hf")
    if not (path / "adapter_model.safetensors").is_file():
        raise WeightsUnavailable(f"the adapter in {path} is not saved as safetensors")
    local = Path(base).is_dir()
    network = AutoModelForCausalLM.from_pretrained(base, **{**options, "local_files_only": local})
    return import_module("peft").PeftModel.from_pretrained(network, str(path))


@dataclass(frozen=True)
class HFModel:
    """A loaded model and its tokenizer. Not for two threads at once."""

    name: str
    network: Any
    tokenizer: Any

    def generate(self, messages: Sequence[Message], sampling: Sampling, on_chunk: Callable[[Chunk], bool]) -> None:
        """Generates one reply, chunk by chunk, until it ends or `on_chunk` returns True.

        Raises:
            ContextOverflow: prompt and `max_tokens` do not fit.
            ModelRejected: the messages or a request field are not accepted.
            ModelUnavailable: torch failed.
        """
        inputs = self._encode(messages)
        prompt, room = inputs["input_ids"].shape[1], self._room(inputs["input_ids"].shape[1], sampling.max_tokens)
        if on_chunk({"prompt_progress": {"total": prompt, "processed": 0}}):
            return
        recorder = Recorder(self.tokenizer, sampling.top_logprobs) if sampling.top_logprobs else None
        streamer = Streamer(self.tokenizer, prompt, sampling.stop, on_chunk, recorder)
        try:
            with torch.inference_mode(), torch.random.fork_rng(enabled=sampling.seed is not None):
                if sampling.seed is not None:
                    torch.manual_seed(sampling.seed % _SEEDS)
                output = self.network.generate(
                    **inputs,
                    **_options(sampling),
                    max_new_tokens=room,
                    pad_token_id=self._pad(),
                    streamer=streamer,
                    stopping_criteria=[Stopper(streamer)],
                    logits_processor=[recorder] if recorder else [],
                )
        except (ValueError, TypeError) as error:
            raise ModelRejected(str(error), model=self.name) from error
        except RuntimeError as error:
            raise ModelUnavailable(f"generation failed: {error}", model=self.name) from error
        ended = streamer.stopped or int(output[0, -1]) in self._ends()
        streamer.finish("stop" if ended else "length", self.name)

    def _encode(self, messages: Sequence[Message]) -> Any:
        try:
            encoded = self.tokenizer.apply_chat_template(
                [_plain(message) for message in messages],
                add_generation_prompt=True,
                return_dict=True,
                return_tensors="pt",
            )
        except (jinja2.TemplateError, ValueError, TypeError, IndexError) as error:
            raise ModelRejected(f"the chat template does not accept the messages: {error}", model=self.name) from error
        return encoded.to(self.network.device)

    def _room(self, prompt: int, wanted: int | None) -> int:
        limit = getattr(self.network.config.get_text_config(), "max_position_embeddings", None)
        if limit is None:
            return wanted or 2048
        if prompt + (wanted or 1) > limit:
            raise ContextOverflow(
                f"{prompt} prompt tokens and {wanted or 1} new ones do not fit the model's {limit}", model=self.name
            )
        return wanted or limit - prompt

    def _ends(self) -> set[int]:
        ends = self.network.generation_config.eos_token_id
        known = ends if isinstance(ends, list) else [ends]
        return {int(end) for end in (*known, self.tokenizer.eos_token_id) if end is not None}

    def _pad(self) -> int | None:
        pad: int | None = self.tokenizer.pad_token_id
        return self.tokenizer.eos_token_id if pad is None else pad


def _options(sampling: Sampling) -> dict[str, Any]:
    options = dict(sampling.extra)
    if sampling.temperature == 0:
        return {**options, "do_sample": False, "temperature": None, "top_p": None, "top_k": None}
    if sampling.temperature is not None or sampling.top_p is not None:
        options["do_sample"] = True
    if sampling.temperature is not None:
        options["temperature"] = sampling.temperature
    if sampling.top_p is not None:
        options["top_p"] = sampling.top_p
    return options


def _plain(message: Message) -> dict[str, Any]:
    """The message as chat templates of text models expect it: one text."""
    return {**message.to_openai(), "content": message.text}
