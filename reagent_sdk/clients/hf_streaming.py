"""Text out of a running `generate`, and the way to stop it. Imports torch: import this module on first use."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from transformers import LogitsProcessor, StoppingCriteria, TextStreamer

from reagent_sdk.clients.streamed import Chunk


class StopStrings:
    """Lets text through up to the first stop string, holding back what may turn out to be the beginning of one."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = [stop for stop in stops if stop]
        self._held = ""
        self.hit = False

    def feed(self, text: str, *, last: bool = False) -> str:
        """Takes new text; returns what can be shown."""
        if self.hit:
            return ""
        self._held += text
        found = [at for stop in self._stops if (at := self._held.find(stop)) >= 0]
        if found:
            self.hit = True
            return self._held[: min(found)]
        keep = 0 if last else max((self._overlap(stop) for stop in self._stops), default=0)
        ready, self._held = self._held[: len(self._held) - keep], self._held[len(self._held) - keep :]
        return ready

    def _overlap(self, stop: str) -> int:
        sizes = range(min(len(stop) - 1, len(self._held)), 0, -1)
        return next((size for size in sizes if self._held.endswith(stop[:size])), 0)


class Recorder(LogitsProcessor):  # type: ignore[misc]  # transformers is not typed
    """Keeps the likeliest tokens of the latest step; changes nothing."""

    def __init__(self, tokenizer: Any, count: int) -> None:
        self._tokenizer = tokenizer
        self._count = count
        self.top: list[dict[str, Any]] = []

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        """Takes the scores (1, vocabulary) of the next token."""
        best = scores[0].float().log_softmax(-1).topk(self._count)
        texts = [self._tokenizer.decode([token]) for token in best.indices.tolist()]
        self.top = [{"token": text, "logprob": value} for text, value in zip(texts, best.values.tolist(), strict=True)]
        return scores


class Streamer(TextStreamer):  # type: ignore[misc]  # transformers is not typed
    """Turns generated tokens into chunks of the OpenAI protocol, with token counts."""

    def __init__(
        self,
        tokenizer: Any,
        prompt: int,
        stops: Sequence[str],
        on_chunk: Callable[[Chunk], bool],
        recorder: Recorder | None = None,
    ) -> None:
        super().__init__(tokenizer, skip_prompt=True, skip_special_tokens=True)
        self._recorder = recorder
        self._prompt = prompt
        self._on_chunk = on_chunk
        self._stops = StopStrings(stops)
        self._generated = 0
        self._prompt_seen = False
        self.cancelled = False

    @property
    def stopped(self) -> bool:
        """Whether a stop string was written."""
        return self._stops.hit

    def put(self, value: torch.Tensor) -> None:
        """Takes the prompt first, then every new token."""
        logprobs = None
        if self._prompt_seen:
            self._generated += value.numel()
            if self._recorder is not None:
                token = self.tokenizer.decode(value.flatten().tolist())
                logprobs = {"content": [{"token": token, "top_logprobs": self._recorder.top}]}
        self._prompt_seen = True
        super().put(value)
        self._send({"content": ""}, logprobs)  # counts the token, and asks whether to go on

    def on_finalized_text(self, text: str, stream_end: bool = False) -> None:
        """Takes text that no further token will change."""
        shown = self._stops.feed(text, last=stream_end)
        if shown:
            self._send({"content": shown})

    def finish(self, reason: str, model: str) -> None:
        """Sends the last chunk."""
        self._on_chunk({"model": model, "choices": [{"delta": {}, "finish_reason": reason}]})

    def _send(self, delta: dict[str, Any], logprobs: dict[str, Any] | None = None) -> None:
        chunk: Chunk = {
            "choices": [{"delta": delta, "logprobs": logprobs}],
            "usage": {"prompt_tokens": self._prompt, "completion_tokens": self._generated},
        }
        self.cancelled = self._on_chunk(chunk) or self.cancelled


class Stopper(StoppingCriteria):  # type: ignore[misc]  # transformers is not typed
    """Ends the generation after a stop string, or when nobody wants it any more."""

    def __init__(self, streamer: Streamer) -> None:
        self._streamer = streamer

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor, **_: Any) -> torch.BoolTensor:
        """One answer for each sequence of the batch."""
        done = self._streamer.cancelled or self._streamer.stopped
        return torch.full((input_ids.shape[0],), done, dtype=torch.bool, device=input_ids.device)  # type: ignore[return-value]
