"""The policy as the SDK's tool-calling agent knows it: a chat client that keeps every token as it was sampled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from reagent_sdk.clients.base import Completion, MeteredCall, Sampling
from reagent_sdk.errors import ReagentError
from reagent_sdk.messages import Message, assistant
from reagent_sdk.usage import Usage
from reagent_training.agent_rl.dialogue import Dialogue
from reagent_training.agent_rl.generation import Generated
from reagent_training.agent_rl.lockstep import Lockstep

Turns = Lockstep[list[int], Generated]
"""Asked with the ids of a conversation, answered with the next reply."""


class RolloutFull(ReagentError):
    """The rollout has no room for another turn; what there is of it ends here, cut off."""


@dataclass
class Tokens:
    """An attempt as the trainer sees it.

    Attributes:
        prompt: ids up to the policy's first own token: task, tools and, for a revision, earlier work and critique.
        ids: all that follows: the policy's replies, tool results and whatever else was put in between.
        own: for each of `ids`, 1 where the policy sampled it, else 0.
        logprobs: for each of `ids`, the sampler's natural log-probability, 0 for what is not the policy's own; None
            where trainer and sampler are the same model.
        ended: whether the last reply came to an end token.
        turns: how many replies the policy wrote.
    """

    prompt: list[int] = field(default_factory=list)
    ids: list[int] = field(default_factory=list)
    own: list[int] = field(default_factory=list)
    logprobs: list[float] | None = None
    ended: bool = False
    turns: int = 0

    def add(self, reply: Generated) -> None:
        """Adds what the policy wrote."""
        self._extend(reply.ids, 1, reply.logprobs)
        self.ended = reply.ended
        self.turns += 1

    def put_in(self, ids: Sequence[int]) -> None:
        """Adds what the policy did not write."""
        self._extend(ids, 0, None)

    def _extend(self, ids: Sequence[int], own: int, logprobs: Sequence[float] | None) -> None:
        if logprobs is not None and self.logprobs is None:
            self.logprobs = [0.0] * len(self.ids)
        self.ids += ids
        self.own += [own] * len(ids)
        if self.logprobs is not None:
            self.logprobs += logprobs if logprobs is not None else [0.0] * len(ids)


class PolicyClient:
    """The chat client of one attempt.

    A conversation only ever grows: each request holds the one before it, the reply to that and something new, of which
    only the new part is tokenised. So the ids are those that were sampled, whatever text they stand for.

    Args:
        turns: answers the requests of all attempts that run side by side.
        dialogue: the model's own way to write a conversation.
        max_tokens: room for the whole conversation, prompt included; a reply that reaches it is cut off there.
    """

    name = "policy"

    def __init__(self, turns: Turns, dialogue: Dialogue, max_tokens: int) -> None:
        self._turns = turns
        self._dialogue = dialogue
        self._max_tokens = max_tokens
        self._seen = 0
        self.opened_with = 0
        """Messages before the policy's first turn."""
        self.tokens = Tokens()
        self.messages: tuple[Message, ...] = ()
        """The conversation so far, as it was last asked and answered."""

    async def complete(self, messages: Sequence[Message], sampling: Sampling) -> Completion:
        """The policy's next turn. How it samples is the training's business and not the caller's.

        Raises:
            RolloutFull: there is no room for another turn.
        """
        async with MeteredCall(self.name) as call:
            self._take_in(messages)
            before = len(self.tokens.prompt) + len(self.tokens.ids)
            room = self._max_tokens - before
            if room < 1:
                raise RolloutFull(f"the rollout has reached its {self._max_tokens} tokens")
            reply = _cut(await self._turns.ask([*self.tokens.prompt, *self.tokens.ids]), room)
            self.tokens.add(reply)
            said = assistant(self._dialogue.text(reply.ids))
            self.messages = (*messages, said)
            self._seen = len(messages) + 1
            usage = Usage(prompt_tokens=before, completion_tokens=len(reply.ids))
            call.used(usage)
            return Completion(message=said, finish_reason="stop" if reply.ended else "length", usage=call.usage)

    async def aclose(self) -> None:
        """Nothing to free."""

    def _take_in(self, messages: Sequence[Message]) -> None:
        if not self._seen:
            self.tokens.prompt = self._dialogue.opening(messages)
            self.opened_with, self.messages = len(messages), tuple(messages)
            return
        new = messages[self._seen :]
        if not new or len(messages) < self._seen:
            raise ReagentError("a rollout's conversation only grows; the agent asked with a shorter one")
        if self.tokens.ids[-1:] != [self._dialogue.end]:  # cut off: the next turn must not begin inside this one
            self.tokens.put_in([self._dialogue.end])
        self.tokens.put_in(self._dialogue.between(new))


def _cut(reply: Generated, room: int) -> Generated:
    if len(reply.ids) <= room:
        return reply
    logprobs = None if reply.logprobs is None else reply.logprobs[:room]
    return Generated(reply.ids[:room], ended=False, logprobs=logprobs)
