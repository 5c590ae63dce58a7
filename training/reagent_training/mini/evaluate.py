"""How good an agent is on the held-out tasks, alone and, for Reagent-C, with the judge. Imports torch on use."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from reagent_benchmarks.outcomes import ArmResult

from reagent_sdk.judges.queue import JudgeQueue
from reagent_sdk.replacing import replacing
from reagent_training.agent_rl.config import AgentConfig
from reagent_training.agent_rl.dialogue import Dialogue
from reagent_training.agent_rl.results import made_of, result_of, run_of
from reagent_training.agent_rl.rollouts import Asked, Roller
from reagent_training.agent_rl.stages import FIRST, REVISED, Row, judged, revised
from reagent_training.agent_rl.tasks import read_tasks
from reagent_training.mini.config import Evaluation
from reagent_training.sampling.questions import Question

REAGENT_C, ALWAYS = "+C", "+C, always the revision"


def evaluate(
    weights: Path, tokenizer: Path, config: AgentConfig, how: Evaluation, out: Path, measured: Measured
) -> list[ArmResult]:
    """Attempts at all tasks of a configuration, graded by their rules; kept in `out`, and read back from there.

    Args:
        weights: a folder of full weights.
        tokenizer: a folder that holds their tokenizer.
        config: tasks, tools and limits; its judge, where it names one, makes Reagent-C of the same first attempts.
        how: attempts at each task, and sampling.
        out: a file.
        measured: names the rows, and says which of them are kept in full.
    """
    if out.is_file():
        return read_results(out)
    results = _attempted(weights, tokenizer, config, how, measured)
    out.parent.mkdir(parents=True, exist_ok=True)
    with replacing(out) as file:
        for one in results:
            file.write(one.model_dump_json().encode() + b"\n")
    return results


def read_results(path: Path) -> list[ArmResult]:
    """Measured rows of a file."""
    with path.open("rb") as lines:  # texts may hold what `splitlines` takes for the end of a line
        return [ArmResult.model_validate_json(line) for line in lines]


def _attempted(
    weights: Path, tokenizer: Path, config: AgentConfig, how: Evaluation, measured: Measured
) -> list[ArmResult]:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from reagent_training.agent_rl.generation import BatchGenerator
    from reagent_training.agent_rl.judging import judge_queue

    model = AutoModelForCausalLM.from_pretrained(weights, use_safetensors=True, trust_remote_code=False)
    words = AutoTokenizer.from_pretrained(tokenizer, trust_remote_code=False)
    tasks, limits = read_tasks(config), config.rollout
    generator = BatchGenerator(
        model,
        words,
        max_new_tokens=limits.max_new_tokens,
        temperature=how.temperature,
        top_p=how.top_p,
        batch=how.batch,
    )
    roller = Roller(
        generator, Dialogue(words), limits, max_tokens=config.max_tokens, tools_of=tasks.tools_of, right_of=tasks.right
    )
    torch.manual_seed(measured.seed)
    asked = [question for question in tasks.questions for _ in range(how.samples)]
    judge = judge_queue(config.judge, seed=measured.seed) if config.judge else None

    async def arms() -> list[ArmResult]:
        try:
            return await _arms(asked, config, roller, judge, measured)
        finally:
            await tasks.memory.aclose()

    return asyncio.run(arms())


@dataclass(frozen=True)
class Measured:
    """What is measured.

    Attributes:
        arm: what the rows are named.
        seed: of the sampling, and of the rows.
        samples: attempts at each task.
        runs: whether the first attempt at each task is kept in full, to be looked at.
    """

    arm: str
    seed: int
    samples: int
    runs: bool

    def row(self, place: int, work: Sequence[Row], chosen: int, *, suffix: str = "", seconds: float) -> ArmResult:
        """A row of what was returned."""
        kept = self.runs and not place % self.samples
        return result_of(
            work,
            chosen,
            benchmark="mini",
            sample=work[0].question.name,
            epoch=place % self.samples + 1,
            seed=self.seed,
            arm=f"{self.arm}{suffix}",
            seconds=seconds,
            run=run_of(work, chosen) if kept else None,
        )


async def _arms(
    asked: Sequence[Question], config: AgentConfig, roller: Roller, judge: JudgeQueue | None, measured: Measured
) -> list[ArmResult]:
    """The agent alone and, where there is a judge, both ways of Reagent-C from the same first attempts."""
    began = time.monotonic()
    firsts = await roller.rollouts([Asked(question) for question in asked])
    alone = (time.monotonic() - began) / len(asked)
    drafts = [Row(question, FIRST, first) for question, first in zip(asked, firsts, strict=True)]
    rows = [measured.row(place, [draft], 0, seconds=alone) for place, draft in enumerate(drafts)]
    if judge is None:
        return rows
    said = await judged(asked, firsts, judge)
    heard = [replace(draft, verdict=verdict) for draft, verdict in zip(drafts, said, strict=True)]
    seconds = await revised(heard, config, roller)
    after = await judged(asked, seconds, judge)
    both = (time.monotonic() - began) / len(asked)
    for place, (first, second, verdict) in enumerate(zip(heard, seconds, after, strict=True)):
        work = made_of([first, Row(first.question, REVISED, second, verdict)])
        rows.append(measured.row(place, work, _best(work), suffix=REAGENT_C, seconds=both))
        rows.append(measured.row(place, work, len(work) - 1, suffix=ALWAYS, seconds=both))
    return rows


def _best(work: Sequence[Row]) -> int:
    """The attempt with the highest score, the earliest among equals; the draft where there is none (keep best)."""
    scores = [-1.0 if row.score is None else row.score for row in work]
    return scores.index(max(scores))
