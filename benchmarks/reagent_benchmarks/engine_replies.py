"""One judge on several engines: its replies, and where two engines part."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

from reagent_benchmarks.engine_probes import Probe, margin
from reagent_sdk import JudgeSettings, ModelJudge, Task, Trajectory, VerdictStatus
from reagent_sdk.clients.base import ChatClient, Completion, Sampling
from reagent_sdk.messages import Message
from reagent_sdk.prompts import VERDICT_GRAMMAR

Case = tuple[Task, Trajectory]


@dataclass(frozen=True)
class Side:
    """One engine. `modes` are the ways it can be asked: constrained by the grammar, or free."""

    name: str
    client: ChatClient
    probe: Probe
    modes: tuple[str, ...] = ("grammar", "free")


@dataclass(frozen=True)
class Limits:
    """How every engine is asked: longest reply in tokens, longest record in characters, and the key of frame codes."""

    tokens: int
    max_chars: int
    secret: bytes


@dataclass(frozen=True)
class Reply:
    """One verdict and how it came about; `seconds` is what the call took."""

    text: str
    truncated: bool
    status: VerdictStatus
    score: float | None
    prompt_tokens: int
    cached_tokens: int
    tokens: int
    seconds: float


class _Heard:
    """A client that keeps the last conversation and the last reply."""

    def __init__(self, client: ChatClient) -> None:
        self.name, self._client = client.name, client
        self.asked: Sequence[Message] = ()
        self.reply: Completion | None = None

    async def complete(self, messages: Sequence[Message], sampling: Sampling) -> Completion:
        self.asked = messages
        self.reply = await self._client.complete(messages, sampling)
        return self.reply

    async def aclose(self) -> None:
        """The client is somebody else's."""


async def judged(side: Side, case: Case, mode: str, limits: Limits) -> Reply:
    """Judges greedily, without any penalty, and asks once.

    Raises:
        RuntimeError: the engine did not answer; its replies cannot be compared then.
    """
    sampling = Sampling(
        temperature=0.0, max_tokens=limits.tokens, grammar=VERDICT_GRAMMAR if mode == "grammar" else None
    )
    heard = _Heard(side.client)
    settings = JudgeSettings(sampling=sampling, max_chars=limits.max_chars, reasks=0)
    began = time.perf_counter()
    verdict = await ModelJudge(heard, settings, secret=limits.secret).judge(*case)
    seconds = time.perf_counter() - began
    if heard.reply is None:
        raise RuntimeError(f"{side.name}: {verdict.reason}")
    usage = heard.reply.usage
    return Reply(
        text=heard.reply.text,
        truncated=heard.reply.truncated,
        status=verdict.status,
        score=verdict.score,
        prompt_tokens=usage.prompt_tokens,
        cached_tokens=usage.cached_tokens,
        tokens=usage.completion_tokens,
        seconds=seconds,
    )


async def conversation(case: Case, limits: Limits) -> Sequence[Message]:
    """What every engine is asked about a case."""
    heard = _Heard(_Silent())
    await ModelJudge(heard, JudgeSettings(max_chars=limits.max_chars, reasks=0), secret=limits.secret).judge(*case)
    return heard.asked


class _Silent:
    name = "silent"

    async def complete(self, messages: Sequence[Message], sampling: Sampling) -> Completion:
        return Completion(message=Message(role="assistant", content=""))

    async def aclose(self) -> None:
        """Nothing to free."""


@dataclass(frozen=True)
class Parting:
    """The first token at which two replies differ, and what both engines say when they are asked at that very place.

    Attributes:
        at: number of reply tokens before it.
        ours: the engine's token.
        theirs: the reference's token.
        our_margin: how much likelier the engine holds its own token than the other one, in nats; None when one of them
            is not among the likeliest.
        their_margin: how much likelier the reference holds its own.
    """

    at: int
    ours: int
    theirs: int
    our_margin: float | None
    their_margin: float | None


async def parting(prompt: list[int], ours: list[int], theirs: list[int], side: Side, reference: Side) -> Parting | None:
    """Where two replies part; None when one ends, cut off, before they do.

    Args:
        prompt: tokens of the prompt.
        ours: tokens of the engine's reply, the end token included unless it was cut off.
        theirs: the same of the reference's.
        side: the engine.
        reference: the engine it is compared with.
    """
    for at, (one, other) in enumerate(zip_longest(ours, theirs)):
        if one is None or other is None:
            return None
        if one != other:
            before = [*prompt, *theirs[:at]]
            mine, its = await side.probe.next(before), await reference.probe.next(before)
            return Parting(at, one, other, margin(mine, one, other), margin(its, other, one))
    return None
