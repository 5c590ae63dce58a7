"""Operations and seconds of an update's phases: rollouts, judging, training, weights on their way.

Symbols beside those of `models` and `memory`: t tokens of a row, c of them scored, B sequences at once, g devices of an
engine, F operations and M bytes a second of a device, x the share of them that is reached.

    forward(t, c) = 2 W t + 2 V h c + 2 L a d t^2       causal attention; with a mask of padding all of it, 4 L a d t^2
    training(t, c) = forward (1 + 2 + 1 with checkpointing + 1 for the probabilities at the start + 1 with a reference)
        LoRA: 1 in place of 2, and 6 T t; attention keeps its 2
    seconds of a token in sampling = max(bytes, operations) + overhead, with g > 1 also 2 L hops
        bytes = (2 P + B (mean context) 2 L k d 2) / (g M x)
        operations = 2 (W + V h) B / (g F x)

Phases follow one another, as in TRL: devices that sample are idle while others train, and the other way round.
"""

from __future__ import annotations

import math

from pydantic import Field

from reagent_sdk.frozen import Frozen
from reagent_training.scale.hardware import Assumptions, Device
from reagent_training.scale.memory import Engine, Training
from reagent_training.scale.models import Architecture

JUDGE_PROMPT, VERDICT = 400, 600
"""Tokens of a judge's instructions, and of a verdict: assumed."""


class Workload(Frozen):
    """What an update is made of.

    Attributes:
        prompts: questions an update takes.
        group: rollouts of each question and attempt, G.
        attempts: 2 where rollouts are criticised and revised (reagent-u), else 1.
        prompt_tokens: of a question with the system prompt and the tools.
        rollout_tokens: mean of a rollout after its prompt, results of tools included.
        turns: model calls of a rollout.
        longest: tokens of the longest row, prompt and rollout, as `max_tokens` limits it.
        padded: whether rows are padded to the longest prompt and rollout of a device's share, as TRL does.
        judged: whether a model judges rollouts.
        scored_before: whether probabilities are computed anew before training, as TRL does with vLLM.
    """

    prompts: int = Field(32, ge=1)
    group: int = Field(8, ge=2)
    attempts: int = Field(2, ge=1, le=2)
    prompt_tokens: int = Field(1_500, ge=1)
    rollout_tokens: int = Field(4_096, ge=1)
    turns: int = Field(13, ge=1)
    longest: int = Field(16_384, ge=2)
    padded: bool = True
    judged: bool = True
    scored_before: bool = True

    @property
    def rows(self) -> int:
        """Rollouts of an update."""
        return self.prompts * self.group * self.attempts

    def prompt_of(self, attempt: int) -> int:
        """Tokens before a rollout; the second one has the first one's work and the critique in front."""
        full = self.prompt_tokens + (self.rollout_tokens + VERDICT if attempt else 0)
        return min(full, self.longest - 1)

    def rollout_of(self, attempt: int) -> int:
        """Tokens of a rollout, cut at the longest row."""
        return min(self.rollout_tokens, self.longest - self.prompt_of(attempt))

    def width(self) -> int:
        """Tokens of the widest row there can be: with padding, a long prompt meets the rollout of another row."""
        spread = self.padded and self.attempts > 1
        return 2 * self.longest - self.prompt_tokens if spread else self.longest

    def row(self, attempt: int, stretch: float) -> float:
        """Tokens that are computed for a row: its own, or those of the longest prompt and rollout of its share."""
        if not self.padded:
            return self.prompt_of(attempt) + self.rollout_of(attempt)
        rollout = stretch * self.rollout_tokens
        prompt = self.prompt_tokens + (rollout + VERDICT if self.attempts > 1 else 0)
        return min(prompt, self.longest) + min(rollout, self.longest - self.prompt_tokens)


def forward(model: Architecture, tokens: float, scored: float, *, masked: bool = False) -> float:
    """Operations of a forward pass over a row."""
    return 2 * model.matrices * tokens + 2 * model.head * scored + attention(model, tokens, masked=masked)


def attention(model: Architecture, tokens: float, *, masked: bool) -> float:
    """Operations of attention over a row, forward; what is above the diagonal counts where there is a mask."""
    return (4 if masked else 2) * model.layers * model.queries * tokens**2


def training(model: Architecture, how: Training, tokens: float, scored: float, *, before: bool) -> float:
    """Operations to learn from a row.

    Args:
        model: what is trained.
        how: how.
        tokens: of the row.
        scored: of them those of the rollout.
        before: whether its probabilities are computed once more before.
    """
    seen = attention(model, tokens, masked=how.padded)
    once = forward(model, tokens, scored, masked=how.padded)
    body = once - 2 * model.head * scored
    passes = once * (1 + before + how.reference) + 2 * model.head * scored  # the head is computed anew backwards
    passes += body if how.checkpointing else 0.0
    if how.lora is None:
        return passes + 2 * once
    first = how.lora.first_layer / model.layers
    return passes + (once + seen) * (1 - first) + 6 * model.adapter(how.lora) * tokens


def training_seconds(
    model: Architecture, how: Training, work: Workload, device: Device, guess: Assumptions, *, link: float
) -> float:
    """Seconds of the training phase: operations, or the weights' way between devices where that takes longer.

    Args:
        model: what is trained.
        how: how, and on how many devices.
        work: the update.
        device: what trains.
        guess: shares of the peak.
        link: bytes a second between training devices.
    """
    each = work.rows / work.attempts / how.devices
    operations = moved = 0.0
    for attempt in range(work.attempts):
        tokens = work.row(attempt, guess.stretch)
        operations += each * training(model, how, tokens, work.rollout_of(attempt), before=work.scored_before)
    if how.shards > 1:
        passes = (2 if how.lora else 3) + work.scored_before + how.reference
        batches = math.ceil(work.rows / (how.devices * how.batch))
        moved = batches * passes * 2 * model.parameters * (1 - 1 / how.shards)
    return max(operations / (device.flops * guess.mfu), moved / link)


class Sampling(Frozen):
    """Sequences that are read and continued by engines of one kind.

    Attributes:
        sequences: in all.
        read: tokens that are read for each, beside what a cache has.
        written: tokens that are sampled for each.
        context: mean tokens of a sequence while it is sampled.
    """

    sequences: int
    read: float
    written: float
    context: float


def sampling_seconds(
    model: Architecture, what: Sampling, one: Engine, device: Device, guess: Assumptions, *, engines: int, each: int
) -> float:
    """Seconds until all sequences are done.

    Args:
        model: what samples.
        what: the sequences.
        one: an engine.
        device: of the engines.
        guess: shares of the peak.
        engines: how many share the sequences.
        each: devices of an engine, g.
    """
    mine = math.ceil(what.sequences / engines)
    at_once = min(mine, one.sequences(what.context))
    if at_once < 1:
        return math.inf
    bytes_ = 2 * model.parameters + at_once * what.context * one.cache
    operations = 2 * (model.matrices + model.head) * at_once
    token = max(
        bytes_ / (each * device.bandwidth * guess.bandwidth_use), operations / (each * device.flops * guess.prefill)
    )
    reading = mine * forward(model, what.read, 0) / (each * device.flops * guess.prefill)
    if each > 1:
        token += 2 * model.layers * (guess.hop + 2 * at_once * model.hidden / device.link)
    return reading + guess.imbalance * mine * what.written / at_once * (token + guess.step_overhead)


def rollouts_of(work: Workload, guess: Assumptions, attempt: int) -> Sampling:
    """What is sampled for an attempt. The first prompts are read once a group; refined ones are all different."""
    prompt, rollout = work.prompt_of(attempt), work.rollout_of(attempt)
    written = guess.generated * rollout
    shared = 1 if attempt else work.group
    return Sampling(
        sequences=work.prompts * work.group,
        read=prompt / shared + rollout - written,
        written=written,
        context=prompt + rollout / 2,
    )


def verdicts_of(work: Workload, attempt: int) -> Sampling:
    """What a judge reads and writes for an attempt: the record of the rollout, and a verdict."""
    record = min(JUDGE_PROMPT + work.prompt_tokens + work.rollout_of(attempt), work.longest)
    return Sampling(sequences=work.prompts * work.group, read=record, written=VERDICT, context=record + VERDICT / 2)
