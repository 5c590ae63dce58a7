"""What an engine makes of a prompt, and of the next token: finer measures than the verdict that comes out."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from reagent_sdk.messages import Message, to_openai

TOP = 1000
"""Tokens whose probability a server is asked for; vLLM has to be started with `--max-logprobs 1000`."""


class Probe(Protocol):
    """One engine, looked at from below."""

    async def prompt(self, messages: Sequence[Message]) -> list[int]:
        """The tokens of the conversation as the engine reads them, up to the beginning of its reply."""

    async def next(self, tokens: Sequence[int]) -> dict[int, float]:
        """Natural log-probabilities of the next token, of the likeliest tokens at least."""

    async def aclose(self) -> None:
        """Frees what it holds."""


class TransformersProbe:
    """A Hugging Face folder in float32, one forward pass a question."""

    def __init__(self, folder: Path) -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self.tokenizer = AutoTokenizer.from_pretrained(str(folder))
        self._model = AutoModelForCausalLM.from_pretrained(str(folder), dtype=torch.float32).eval()

    async def prompt(self, messages: Sequence[Message]) -> list[int]:
        """The chat template's tokens."""
        encoded = self.tokenizer.apply_chat_template(to_openai(messages), add_generation_prompt=True, return_dict=True)
        return list(encoded["input_ids"])

    async def next(self, tokens: Sequence[int]) -> dict[int, float]:
        """The whole vocabulary."""
        import torch

        with torch.inference_mode():
            logits = self._model(torch.tensor([list(tokens)]), logits_to_keep=1).logits[0, -1]
        return dict(enumerate(logits.double().log_softmax(-1).tolist()))

    async def aclose(self) -> None:
        """Frees the model."""
        del self._model


class _Server:
    """JSON over HTTP."""

    def __init__(self, url: str, key: str = "") -> None:
        import aiohttp

        headers = {"Authorization": f"Bearer {key}"} if key else {}
        connector = aiohttp.TCPConnector(force_close=True)  # llama.cpp drops a connection that is idle for seconds
        self._url, self._session = url.removesuffix("/v1"), aiohttp.ClientSession(headers=headers, connector=connector)

    async def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        async with self._session.post(self._url + path, json=body) as reply:
            reply.raise_for_status()
            parsed: dict[str, Any] = await reply.json()
            return parsed

    async def aclose(self) -> None:
        await self._session.close()


class VllmProbe(_Server):
    """A vLLM server."""

    def __init__(self, url: str, model: str) -> None:
        super().__init__(url)
        self._model = model

    async def prompt(self, messages: Sequence[Message]) -> list[int]:
        """The server's own tokens."""
        body = {"model": self._model, "messages": to_openai(messages), "add_generation_prompt": True}
        return list((await self.post("/tokenize", body))["tokens"])

    async def next(self, tokens: Sequence[int]) -> dict[int, float]:
        """The likeliest tokens."""
        wish = {"max_tokens": 1, "temperature": 0, "logprobs": TOP, "return_tokens_as_token_ids": True}
        reply = await self.post("/v1/completions", {"model": self._model, "prompt": list(tokens), **wish})
        [top] = reply["choices"][0]["logprobs"]["top_logprobs"]
        return {int(name.removeprefix("token_id:")): logprob for name, logprob in top.items()}


class LlamaCppProbe(_Server):
    """A llama.cpp server, such as the port of the embedded engine."""

    async def prompt(self, messages: Sequence[Message]) -> list[int]:
        """The server's own tokens."""
        text = (await self.post("/apply-template", {"messages": to_openai(messages)}))["prompt"]
        wish = {"content": text, "add_special": True, "parse_special": True}
        return list((await self.post("/tokenize", wish))["tokens"])

    async def next(self, tokens: Sequence[int]) -> dict[int, float]:
        """The likeliest tokens."""
        wish = {"n_predict": 1, "n_probs": TOP, "temperature": 0}
        reply = await self.post("/completion", {"prompt": list(tokens), **wish})
        return {top["id"]: top["logprob"] for top in reply["completion_probabilities"][0]["top_logprobs"]}


def margin(logprobs: dict[int, float], mine: int, other: int) -> float | None:
    """How much likelier `mine` is than `other`, in nats; None when one is not among the likeliest tokens."""
    with contextlib.suppress(KeyError):
        return logprobs[mine] - logprobs[other]
    return None
