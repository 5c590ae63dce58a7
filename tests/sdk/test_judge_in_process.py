"""Verdicts of a real model in this process: side by side, from the prefix cache, and no further than the score."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from reagent_sdk import EnsembleJudge, JudgeSettings, ModelJudge, Task, Trajectory, Verdict
from reagent_sdk.budget import Meter
from reagent_sdk.clients.base import Sampling
from reagent_sdk.clients.embedded import Embedded
from reagent_sdk.events import Event, TextDelta
from reagent_sdk.messages import Message
from reagent_sdk.parsing import parse_verdict
from reagent_sdk.prompts import VERDICT_GRAMMAR
from reagent_sdk.scope import Scope, entered

pytestmark = pytest.mark.real_model

SHORT = VERDICT_GRAMMAR.replace("{11,199}", "{11,30}").replace("{0,3}", "{0,1}")  # the same verdict, sooner written
SAMPLING = Sampling(temperature=0.0, max_tokens=400, grammar=SHORT)
STEPS = tuple(
    Message(role="assistant", content=f"Step {number}: box {number} holds 12 apples, which makes {12 * number} so far.")
    for number in range(1, 15)
)
TASK = Task(question="How many apples are in 14 boxes of 12?")


def judge_over(smollm: Path, *, slots: int, replies: list[str] | None = None) -> ModelJudge:
    def parse(text: str, **more: Any) -> Verdict:
        if replies is not None:
            replies.append(text)
        return parse_verdict(text, **more)

    client = Embedded(smollm, context=3072, slots=slots, threads=1)
    return ModelJudge(client, JudgeSettings(sampling=SAMPLING, on_leak="flag"), secret=b"k", parse=parse)


def test_verdicts_are_written_side_by_side_in_the_engine_s_slots(smollm: Path) -> None:
    written: list[int] = []

    async def watched(judge: ModelJudge, number: int) -> Verdict:
        def observe(event: Event) -> None:
            if isinstance(event, TextDelta):
                written.append(number)

        with entered(Scope(Meter(None), observe, "judge")):
            return await judge.judge(Task(question=f"What is {number} + 2?"), Trajectory(answer=str(number + 2)))

    async def judged() -> list[Verdict]:
        judge = judge_over(smollm, slots=3)
        try:
            return await asyncio.gather(*(watched(judge, number) for number in range(3)))
        finally:
            await judge.aclose()

    verdicts = asyncio.run(judged())
    assert all(verdict.scored for verdict in verdicts)
    first = [written.index(number) for number in range(3)]
    last = [len(written) - written[::-1].index(number) for number in range(3)]
    assert max(first) < min(last), "one verdict was finished before another was begun"


def test_the_next_round_reads_instructions_and_earlier_work_from_the_cache(smollm: Path) -> None:
    replies: list[str] = []

    async def judged() -> list[Verdict]:
        judge = judge_over(smollm, slots=1, replies=replies)
        try:
            draft = Trajectory(messages=STEPS[:9], answer="108")
            revised = Trajectory(messages=STEPS, answer="168")
            return [await judge.judge(TASK, work) for work in (draft, revised)]
        finally:
            await judge.aclose()

    before, after = asyncio.run(judged())
    assert before.usage.prompt_tokens < after.usage.prompt_tokens
    assert after.usage.cached_tokens > 0.9 * before.usage.prompt_tokens - 60, "only the end of the record differs"
    assert all(reply.endswith("</score>") for reply in replies)
    assert before.usage.completion_tokens < 400


def test_samples_of_an_ensemble_read_the_record_once(smollm: Path) -> None:
    async def judged() -> Verdict:
        judge = judge_over(smollm, slots=1)
        try:
            work = Trajectory(messages=STEPS, answer="168")
            return await EnsembleJudge(judge.samples(3), "median").judge(TASK, work)
        finally:
            await judge.aclose()

    verdict = asyncio.run(judged())
    assert len(verdict.scores) == 3
    assert verdict.spread is not None
    assert verdict.usage.cached_tokens > 0.6 * verdict.usage.prompt_tokens, "two of three prompts come from the cache"
