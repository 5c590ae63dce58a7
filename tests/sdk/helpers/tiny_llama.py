"""A random model of the Llama family with a small real tokenizer, and adapters for it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from reagent_benchmarks.engine_probes import LlamaCppProbe
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from reagent_sdk.clients.base import Sampling
from reagent_sdk.clients.embedded import Embedded
from reagent_sdk.messages import user

LINES = ["The lift stops at floor 12, then at 3.", "Ещё один пример", "déjà vu: don't panic, it's 42!", "a  b\n\n c  4"]
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
PROMPTS = ["Which floor is 12?", "don't  stop\n\n at  3: déjà vu", "Ещё", "x" * 60]
ENDS = [0, 2]
SEVEN = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
DIGITS = pre_tokenizers.Sequence([pre_tokenizers.Digits(True), pre_tokenizers.ByteLevel(add_prefix_space=False)])


def tokenizer(cut: Any = None) -> PreTrainedTokenizerFast:
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = cut or pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    trainer = trainers.BpeTrainer(vocab_size=320, special_tokens=special, initial_alphabet=alphabet)
    made.train_from_iterator(LINES * 3, trainer)
    told = {"bos_token": "<|im_start|>", "eos_token": "<|im_end|>", "pad_token": "<|im_end|>"}
    return PreTrainedTokenizerFast(tokenizer_object=made, chat_template=TEMPLATE, **told)


def write_tiny(folder: Path, *, cut: Any = None, **changes: Any) -> Path:
    """Weights that are large enough for small mistakes to show."""
    made = tokenizer(cut)
    shape = {
        "vocab_size": len(made),
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 512,
        "rms_norm_eps": 1e-5,
        "initializer_range": 0.3,
        "tie_word_embeddings": False,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(**(shape | changes)))
    for name, parameter in model.named_parameters():
        if name.endswith("bias") or "norm" in name:  # they begin as constants, which would hide an exchange
            torch.nn.init.uniform_(parameter, 0.5, 1.5)
    model.save_pretrained(folder)
    made.save_pretrained(folder)
    return folder


def write_adapter(base: Path, folder: Path, *, strength: float = 0.1, **changes: Any) -> Path:
    """A LoRA whose second matrices are random, which they are not at the beginning of a training."""
    config = {"r": 4, "lora_alpha": 6, "target_modules": SEVEN, "task_type": "CAUSAL_LM"}
    torch.manual_seed(1)
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(base), LoraConfig(**(config | changes)))
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=strength)
    model.save_pretrained(folder)
    return folder


class Reference:
    """What transformers and peft say."""

    def __init__(self, folder: Path, adapter: Path | None = None) -> None:
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        self.model = (PeftModel.from_pretrained(model, adapter) if adapter else model).eval()

    def prompt(self, text: str) -> list[int]:
        chat = [{"role": "user", "content": text}]
        return list(self.tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=True)["input_ids"])

    def next(self, ids: Sequence[int]) -> torch.Tensor:
        """Log-probabilities of the next token, (vocabulary,)."""
        with torch.inference_mode():
            found: torch.Tensor = self.model(torch.tensor([list(ids)])).logits[0, -1].double().log_softmax(-1)
        return found

    def regret(self, ids: Sequence[int], chosen: Sequence[int]) -> float:
        """By how much, at most, the tokens that were chosen are less likely than the likeliest ones, in nats."""
        with torch.inference_mode():
            logits = self.model(torch.tensor([[*ids, *chosen]])).logits[0, len(ids) - 1 : -1].double()
            taken = logits.gather(1, torch.tensor([list(chosen)]).T)[:, 0]
            logits[:, ENDS] = -torch.inf  # the engine was told to go on
            return float((logits.max(-1).values - taken).max())


class Probe(LlamaCppProbe):
    async def next(self, tokens: Sequence[int]) -> dict[int, float]:
        """All tokens. One that can be shown is made to come, because probabilities are told only beside a text."""
        shown = await self.post("/tokenize", {"content": "a"})
        wish = {"n_predict": 1, "n_probs": 1000, "temperature": 0, "logit_bias": [[shown["tokens"][0], 1000.0]]}
        reply = await self.post("/completion", {"prompt": list(tokens), **wish})
        return {top["id"]: top["logprob"] for top in reply["completion_probabilities"][0]["top_logprobs"]}

    async def greedy(self, tokens: Sequence[int]) -> list[int]:
        wish = {"n_predict": 16, "temperature": 0, "return_tokens": True, "ignore_eos": True}
        return list((await self.post("/completion", {"prompt": list(tokens), **wish}))["tokens"])


class Engine:
    """What the embedded engine says."""

    def __init__(self, gguf: Path, adapter: Path | None = None) -> None:
        self._client = Embedded(gguf, lora=adapter, context=512, slots=1, threads=1)

    def prompt(self, text: str) -> list[int]:
        return asyncio.run(self._probed("prompt", [user(text)]))

    def next(self, ids: Sequence[int]) -> dict[int, float]:
        return asyncio.run(self._probed("next", ids))

    def greedy(self, ids: Sequence[int]) -> list[int]:
        return asyncio.run(self._probed("greedy", ids))

    def reply(self, text: str) -> str:
        return asyncio.run(self._client.complete([user(text)], Sampling(temperature=0, max_tokens=24))).text

    async def _probed(self, what: str, given: Any) -> Any:
        engine = self._client.engine
        probe = Probe(engine.base_url, engine.api_key)
        try:
            return await getattr(probe, what)(given)
        finally:
            await probe.aclose()


def differences(engine: Engine, reference: Reference, prompts: Sequence[str] = PROMPTS) -> list[float]:
    """In nats, after each prompt, which has to be read alike: over its likeliest tokens, and of a greedy reply."""
    found = []
    for text in prompts:
        ids = reference.prompt(text)
        assert engine.prompt(text) == ids
        expected, told = reference.next(ids), engine.next(ids)
        gaps = [abs(float(expected[one]) - told[one]) for one in expected.topk(50).indices.tolist()]
        found += [max(gaps), reference.regret(ids, engine.greedy(ids))]
    return found
