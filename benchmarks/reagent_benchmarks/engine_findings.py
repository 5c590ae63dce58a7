"""Compares the replies of the engines: prompts, texts, the first token where two part, and the score's first digit."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from reagent_benchmarks.engine_replies import Parting, Reply, Side, parting
from reagent_sdk.messages import Message

SO_FAR = (
    "<analysis>\nThe record was read step by step and compared with the question.\n</analysis>\n"
    "<critique>\nCheck every claim of the answer against a source.\n</critique>\n<score>0."
)
"""A verdict up to the first decimal of its score, put into every engine's mouth."""


@dataclass
class Findings:
    """What was measured on the same cases.

    Attributes:
        sides: the engines. The first one is the reference for prompts and digits.
        tokenizer: the model's, as transformers has it.
        replies: by engine and mode.
        same_prompts: how many prompts an engine read as the very tokens of the reference.
        odds: log-probabilities of the digits 0 to 9 for the score's first decimal, one list a case, by engine.
        partings: where replies part from those of `reference(mode)`, by engine and mode.
    """

    sides: list[Side]
    tokenizer: Any
    replies: dict[tuple[str, str], list[Reply]]
    same_prompts: Counter[str] = field(default_factory=Counter)
    odds: dict[str, list[list[float]]] = field(default_factory=dict)
    partings: dict[tuple[str, str], list[Parting]] = field(default_factory=dict)

    def reference(self, mode: str) -> Side:
        """The engine whose replies the others are compared with: the first one that can be asked in this way."""
        return next(side for side in self.sides if mode in side.modes)

    async def compare(self, index: int, messages: Sequence[Message]) -> None:
        """Asks every engine about the prompt of one case, its score, and the places where its replies part."""
        prompts = [await side.probe.prompt(messages) for side in self.sides]
        forced = [*prompts[0], *self.tokenizer.encode(SO_FAR, add_special_tokens=False)]
        for side, prompt in zip(self.sides, prompts, strict=True):
            counted = {self.replies[side.name, mode][index].prompt_tokens for mode in side.modes}
            self.same_prompts[side.name] += prompt == prompts[0] and counted == {len(prompt)}
            self.odds.setdefault(side.name, []).append(self.digits(await side.probe.next(forced)))
            for mode in side.modes:
                if found := await self._parting(prompts[0], side, mode, index):
                    self.partings.setdefault((side.name, mode), []).append(found)

    async def _parting(self, prompt: list[int], side: Side, mode: str, index: int) -> Parting | None:
        reference = self.reference(mode)
        ours, theirs = (self.replies[one.name, mode][index] for one in (side, reference))
        if ours.text == theirs.text:
            return None
        return await parting(prompt, self._tokens(ours), self._tokens(theirs), side, reference)

    def _tokens(self, reply: Reply) -> list[int]:
        """A reply's tokens, with the one that ends it unless it was cut off."""
        tokens: list[int] = self.tokenizer.encode(reply.text, add_special_tokens=False)
        return tokens if reply.truncated else [*tokens, self.tokenizer.eos_token_id]

    def digits(self, logprobs: dict[int, float]) -> list[float]:
        """Log-probabilities of the ten digits among themselves."""
        tokens = self.tokenizer.convert_tokens_to_ids([str(digit) for digit in range(10)])
        raw = [logprobs.get(token, -math.inf) for token in tokens]
        total = math.log(sum(map(math.exp, raw)))
        return [value - total for value in raw]
