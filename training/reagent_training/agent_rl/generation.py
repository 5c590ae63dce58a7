"""Batches of prompts, answered by transformers or by TRL's trainer. Imports torch: import this module on first use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from transformers import LogitsProcessor

from reagent_sdk.grading import Alternatives


@dataclass(frozen=True)
class Generated:
    """A reply as it was sampled.

    Attributes:
        ids: its tokens, the end token included where there is one.
        ended: whether it ends with the end token; otherwise a limit cut it off.
        logprobs: natural log-probabilities of the tokens under the sampler, where it is another engine than the
            trainer; None otherwise.
        alternatives: the likeliest tokens at each place, where they were asked for.
    """

    ids: list[int]
    ended: bool
    logprobs: list[float] | None = None
    alternatives: tuple[Alternatives, ...] = ()


class Generator(Protocol):
    """Answers a batch of prompts, given as token ids."""

    def __call__(self, prompts: Sequence[Sequence[int]]) -> list[Generated]:
        """One reply for each prompt, in order."""


class TrlGenerator:
    """Samples with the model that a TRL trainer trains: in its own process, or through vLLM where it is set up so.

    Where processes share one sampler (a server, or weights in pieces), all of them must take part in every batch, and
    their conversations have different numbers of turns: see :meth:`finish`.

    Args:
        trainer: a `GRPOTrainer`; limit and temperature are those of its settings.
        end: the end token.
    """

    def __init__(self, trainer: Any, end: int) -> None:
        self._trainer = trainer
        self._end = end
        self._ends = {end, *trainer.eos_token_ids}
        self._shared = _shares_sampler(trainer)

    def __call__(self, prompts: Sequence[Sequence[int]]) -> list[Generated]:
        """One reply for each prompt, in order."""
        if self._shared:
            _any_asks(True)
        return self._sampled([list(prompt) for prompt in prompts])

    def finish(self) -> None:
        """To be called when this process has nothing to ask any more: takes part until no other one has."""
        while self._shared and _any_asks(False):
            self._sampled([[self._end]])

    def _sampled(self, prompts: list[list[int]]) -> list[Generated]:
        # all prompts count as different: vLLM's server mode would drop what it takes for copies otherwise
        ids, logprobs = self._trainer._generate_single_turn(prompts, None, {}, 1)
        scored = logprobs if logprobs is not None else [None] * len(ids)
        return [
            Generated(list(reply), bool(reply) and reply[-1] in self._ends, None if lp is None else list(lp))
            for reply, lp in zip(ids, scored, strict=True)
        ]


def _any_asks(asking: bool) -> bool:
    """Whether any process has something to ask; all of them must call it."""
    from accelerate.utils import gather_object

    return any(gather_object([asking]))


def _shares_sampler(trainer: Any) -> bool:
    """Whether sampling a batch needs all processes."""
    if trainer.accelerator.num_processes == 1:
        return False
    if trainer.use_vllm:
        return bool(trainer.vllm_mode == "server" or trainer.vllm_tensor_parallel_size > 1)
    return str(trainer.accelerator.distributed_type).rpartition(".")[2] in ("FSDP", "DEEPSPEED")


class BatchGenerator:
    """Samples with a model in this process, some prompts at a time.

    Args:
        model: a causal language model.
        tokenizer: its own.
        max_new_tokens: longest reply.
        temperature: 0 takes the likeliest token always.
        top_p: share of probability that is sampled from.
        top: how many of the likeliest tokens to report at each place; 0 reports none.
        batch: prompts at a time; memory grows with it.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        max_new_tokens: int,
        temperature: float = 0.0,
        top_p: float = 1.0,
        top: int = 0,
        batch: int = 64,
    ) -> None:
        self._model, self._tokenizer = model, tokenizer
        self._top, self._batch = top, batch
        self._texts: dict[int, str] = {}
        sampled = {"do_sample": True, "temperature": temperature, "top_p": top_p, "top_k": 0}
        greedy = {"do_sample": False, "temperature": None, "top_p": None, "top_k": None}
        pad = tokenizer.pad_token_id
        self._pad: int = tokenizer.eos_token_id if pad is None else pad
        self._options: dict[str, Any] = {
            **(sampled if temperature else greedy),
            "max_new_tokens": max_new_tokens,
            "pad_token_id": self._pad,
            "eos_token_id": tokenizer.eos_token_id,
        }

    def __call__(self, prompts: Sequence[Sequence[int]]) -> list[Generated]:
        """One reply for each prompt, in order. Random numbers are torch's own."""
        was_training = self._model.training
        self._model.eval()
        try:
            order = sorted(range(len(prompts)), key=lambda place: len(prompts[place]))  # little padding in a batch
            found: dict[int, Generated] = {}
            for start in range(0, len(order), self._batch):
                places = order[start : start + self._batch]
                found |= zip(places, self._replies([prompts[place] for place in places]), strict=True)
        finally:
            self._model.train(was_training)
        return [found[place] for place in range(len(prompts))]

    def _replies(self, prompts: Sequence[Sequence[int]]) -> list[Generated]:
        longest, device = max(len(prompt) for prompt in prompts), self._model.device
        ids = torch.full((len(prompts), longest), self._pad, device=device)
        mask = torch.zeros_like(ids)
        for row, prompt in enumerate(prompts):
            ids[row, longest - len(prompt) :] = torch.tensor(list(prompt), device=device)
            mask[row, longest - len(prompt) :] = 1
        seen = _Recorder(self._top)
        with torch.inference_mode():
            output = self._model.generate(
                input_ids=ids, attention_mask=mask, logits_processor=[seen] if self._top else [], **self._options
            )
        end = self._tokenizer.eos_token_id
        replies = []
        for row, reply in enumerate(output[:, longest:].tolist()):
            cut = reply.index(end) + 1 if end in reply else len(reply)
            told = tuple(self._alternatives(seen, row, reply[:cut])) if self._top else ()
            replies.append(Generated(reply[:cut], end in reply, alternatives=told))
        return replies

    def _alternatives(self, seen: _Recorder, row: int, ids: Sequence[int]) -> list[Alternatives]:
        return [
            Alternatives(self._text(token), self._named(*seen.likeliest(step, row))) for step, token in enumerate(ids)
        ]

    def _named(self, ids: Sequence[int], logprobs: Sequence[float]) -> Mapping[str, float]:
        return {self._text(token): value for token, value in zip(ids, logprobs, strict=True)}

    def _text(self, token: int) -> str:
        if token not in self._texts:
            self._texts[token] = self._tokenizer.decode([token])
        return self._texts[token]


class _Recorder(LogitsProcessor):  # type: ignore[misc]  # transformers is not typed
    """Keeps the likeliest tokens of every step, for all rows; changes nothing."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._steps: list[tuple[torch.Tensor, torch.Tensor]] = []

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        """Takes the scores (B, V) of the next token."""
        best = scores.float().log_softmax(-1).topk(min(self._count, scores.shape[-1]))
        self._steps.append((best.indices.cpu(), best.values.cpu()))
        return scores

    def likeliest(self, step: int, row: int) -> tuple[list[int], list[float]]:
        """Ids and log-probabilities at one place of one reply."""
        ids, values = self._steps[step]
        return ids[row].tolist(), values[row].tolist()
