"""How good an agent is on the held-out tasks, alone and, for Reagent-C, with the judge. Imports torch on use."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

from reagent_benchmarks.outcomes import ArmResult, Outcome

from reagent_sdk.agents import Feedback
from reagent_sdk.judges.queue import JudgeQueue
from reagent_sdk.replacing import replacing
from reagent_sdk.run import Attempt, Run, StopReason
from reagent_sdk.verdict import Verdict
from reagent_training.agent_rl.config import AgentConfig
from reagent_training.agent_rl.dialogue import Dialogue
from reagent_training.agent_rl.rollouts import Asked, Roller, Rollout
from reagent_training.agent_rl.tasks import read_tasks
from reagent_training.mini.config import Evaluation
from reagent_training.sampling.questions import Question

REAGENT_C, ALWAYS = "+C", "+C, always the revision"


def evaluate(
    weights: Path, tokenizer: Path, config: AgentConfig, how: Evaluation, out: Path, *, arm: str, seed: int
) -> list[ArmResult]:
    """Attempts at all tasks of a configuration, graded by their rules; kept in `out`, and read back from there.

    Args:
        weights: a folder of full weights.
        tokenizer: a folder that holds their tokenizer.
        config: tasks, tools and limits; its judge, where it names one, makes Reagent-C of the same first attempts.
        how: attempts at each task, and sampling.
        out: a file.
        arm: what the rows are named.
        seed: of the sampling, and of the rows.
    """
    if out.is_file():
        return read_results(out)
    results = _attempted(weights, tokenizer, config, how, arm, seed)
    out.parent.mkdir(parents=True, exist_ok=True)
    with replacing(out) as file:
        for one in results:
            file.write(one.model_dump_json().encode() + b"\n")
    return results


def read_results(path: Path) -> list[ArmResult]:
    """Measured rows of a file."""
    return [ArmResult.model_validate_json(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _attempted(
    weights: Path, tokenizer: Path, config: AgentConfig, how: Evaluation, arm: str, seed: int
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
    torch.manual_seed(seed)
    asked = [question for question in tasks.questions for _ in range(how.samples)]
    judge = judge_queue(config.judge, seed=seed) if config.judge else None
    measured = _Measured(arm, seed, how.samples)

    async def arms() -> list[ArmResult]:
        try:
            return await _arms(asked, roller, judge, measured)
        finally:
            await tasks.memory.aclose()

    return asyncio.run(arms())


class _Measured:
    """Names the rows."""

    def __init__(self, arm: str, seed: int, samples: int) -> None:
        self._arm, self._seed, self._samples = arm, seed, samples

    def row(
        self,
        place: int,
        question: Question,
        work: Sequence[tuple[Rollout, Verdict | None]],
        chosen: int,
        *,
        suffix: str = "",
        seconds: float,
    ) -> ArmResult:
        """A row of what was returned."""
        rollout, verdict = work[chosen]
        first = work[0][0]
        run = None
        if not self._seed and not place % self._samples:  # enough to look at
            attempts = tuple(
                Attempt(
                    index=index,
                    trajectory=made.trajectory,
                    verdict=said,
                    feedback=work[0][1].critique if index and work[0][1] else None,
                )
                for index, (made, said) in enumerate(work)
            )
            run = Run(task=question.task, attempts=attempts, chosen=chosen, stop=StopReason.ROUNDS)
        return ArmResult(
            benchmark="mini",
            sample=question.name,
            epoch=place % self._samples + 1,
            seed=self._seed,
            arm=f"{self._arm}{suffix}",
            outcome=_outcome(rollout),
            first=_outcome(first),
            answer=rollout.trajectory.answer,
            references=question.references,
            judge_failed=any(said is not None and not said.scored for _, said in work),
            score=verdict.score if verdict else None,
            attempts=len(work),
            calls=sum(made.tokens.turns for made, _ in work),
            tokens=sum(sum(made.tokens.own) for made, _ in work),
            seconds=seconds,
            run=run,
        )


async def _arms(
    asked: Sequence[Question], roller: Roller, judge: JudgeQueue | None, measured: _Measured
) -> list[ArmResult]:
    began = time.monotonic()
    firsts = await roller.rollouts([Asked(question) for question in asked])
    alone = (time.monotonic() - began) / len(asked)
    rows = [
        measured.row(place, question, [(first, None)], 0, seconds=alone)
        for place, (question, first) in enumerate(zip(asked, firsts, strict=True))
    ]
    if judge is None:
        return rows
    said = await judge.verdicts([(q.task, first.trajectory) for q, first in zip(asked, firsts, strict=True)])
    there = [place for place, verdict in enumerate(said) if verdict.scored]
    revised = await roller.rollouts(
        [Asked(asked[place], Feedback(firsts[place].trajectory, said[place].critique)) for place in there]
    )
    after = await judge.verdicts(
        [(asked[place].task, second.trajectory) for place, second in zip(there, revised, strict=True)]
    )
    both = (time.monotonic() - began) / len(asked)
    seconds = dict(zip(there, zip(revised, after, strict=True), strict=True))
    for place, question in enumerate(asked):
        work: list[tuple[Rollout, Verdict | None]] = [(firsts[place], said[place])]
        if place in seconds:
            work.append(seconds[place])
        rows.append(measured.row(place, question, work, _best(work), suffix=REAGENT_C, seconds=both))
        rows.append(measured.row(place, question, work, len(work) - 1, suffix=ALWAYS, seconds=both))
    return rows


def _best(work: Sequence[tuple[Rollout, Verdict | None]]) -> int:
    """The attempt with the highest score, the earliest among equals; the draft where there is none (keep best)."""
    scores = [verdict.score if verdict and verdict.score is not None else -1.0 for _, verdict in work]
    return scores.index(max(scores))


def _outcome(rollout: Rollout) -> Outcome:
    if rollout.right is None:
        return Outcome.GRADER_FAILED
    return Outcome.RIGHT if rollout.right else Outcome.WRONG
