"""What the judge gets to read in these tests, and how it is asked."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from reagent_sdk import JudgeSettings, ModelJudge, Task, Trajectory, Verdict
from reagent_sdk.clients.base import ChatClient, Sampling
from reagent_sdk.prompts import VERDICT_GRAMMAR

Case = tuple[Task, Trajectory]


def case(number: int) -> Case:
    """One of any number of small pieces of work, half of them wrong."""
    eggs, cents = 12 + number, 20 + 3 * number
    said = eggs * cents + (number % 2) * 10
    work = f"There are {eggs} eggs at {cents} cents each. {eggs} times {cents} is {said}, so they cost {said} cents."
    question = f"A shop sells eggs at {cents} cents each. What do {eggs} of them cost?"
    return Task(question=question), Trajectory.from_openai([{"role": "assistant", "content": work}])


def judge_with(
    client: ChatClient, *, temperature: float = 0.0, seed: int = 0, grammar: str | None = VERDICT_GRAMMAR
) -> ModelJudge:
    """A judge that asks once: what a second ask would mend is to be seen."""
    # The grammar ends a verdict long before the limit; without it, a small model often finds no end.
    sampling = Sampling(temperature=temperature, seed=seed, max_tokens=1536 if grammar else 256, grammar=grammar)
    return ModelJudge(client, JudgeSettings(sampling=sampling, reasks=0), secret=b"fixed")


async def judge_all(
    client: ChatClient, numbers: Iterable[int], *, temperature: float, grammar: str | None = VERDICT_GRAMMAR
) -> list[Verdict]:
    """Judges cases by their numbers, all at once, each with a seed of its own."""
    judges = {number: judge_with(client, temperature=temperature, seed=number, grammar=grammar) for number in numbers}
    return await asyncio.gather(*(judge.judge(*case(number)) for number, judge in judges.items()))
