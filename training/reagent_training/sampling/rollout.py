"""One attempt of one agent at one question, graded. A failure of the agent is no wrong answer."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import anyio
from reagent_benchmarks.judging.items import renumbered

from reagent_sdk.errors import BudgetExceeded, InvalidInput, MissingExtra, WeightsUnavailable
from reagent_sdk.secrets import redact
from reagent_sdk.trajectory import AgentStop, Trajectory
from reagent_training.data.answers import REFERENCE
from reagent_training.data.record import LabelledTrajectory, LabelSource, as_record
from reagent_training.sampling.arms import Arm, Crew
from reagent_training.sampling.grading import final_answer
from reagent_training.sampling.journal import Entry
from reagent_training.sampling.questions import Question
from reagent_training.synth.seeds import random_for

RIGHT, WRONG, CUT_OFF, FAILED = "right", "wrong", "cut_off", "failed"
"""How a rollout ends. `cut_off` is wrong as well: the token limit came before the answer."""

_SEEDS = 2**31 - 1


@dataclass(frozen=True)
class Rollout:
    """What is to be done.

    Attributes:
        question: what is asked.
        arm: who is asked.
        sample: which of several attempts, from 0.
        seed: of the whole run.
    """

    question: Question
    arm: Arm
    sample: int
    seed: int

    @property
    def key(self) -> str:
        """Its name, and the id of the row that comes of it."""
        return f"{self.question.source}/{self.question.name}/{self.arm.name}/{self.seed}.{self.sample}"

    @property
    def sampling_seed(self) -> int:
        """The seed that the model is sent: its own for each rollout."""
        return random_for("rollout", self.key).randrange(_SEEDS)


def planned(questions: Sequence[Question], arms: Sequence[Arm], samples: int, seed: int) -> Iterator[Rollout]:
    """All rollouts, question by question. At temperature 0 one sample is all there is."""
    for question in questions:
        for arm in arms:
            for sample in range(samples if arm.temperature else 1):
                yield Rollout(question, arm, sample, seed)


async def rolled_out(rollout: Rollout, crew: Crew, seconds: float) -> Entry:
    """Lets the agent work and grades its answer.

    Args:
        rollout: what to do.
        crew: makes the agent.
        seconds: after so many, the attempt has failed.

    Raises:
        BudgetExceeded: a limit was reached; nothing is known of this rollout then.
        WeightsUnavailable: local weights cannot be loaded.
        MissingExtra: a package that the agent or a tool takes is not installed.
        InvalidInput: the agent cannot work at all.
    """
    agent = crew.agent(rollout.arm, rollout.question, rollout.sampling_seed)
    try:
        with anyio.fail_after(seconds):
            work = await agent.attempt(rollout.question.task, None)
    except (BudgetExceeded, WeightsUnavailable, MissingExtra, InvalidInput):
        raise  # the next rollout would fare no better
    except TimeoutError:
        return Entry(key=rollout.key, status=FAILED, reason=f"no answer within {seconds:g} s")
    except Exception as error:  # an agent that breaks on one question is an outcome of its own, told in the summary
        return Entry(key=rollout.key, status=FAILED, reason=f"{type(error).__name__}: {error}")
    return _graded(rollout, work.trajectory, crew.sent_seed(rollout.arm, rollout.sampling_seed))


def _graded(rollout: Rollout, trajectory: Trajectory, seed: int | None) -> Entry:
    correct = rollout.question.grade(trajectory)
    try:
        row = _row(rollout, trajectory, seed, correct=correct)
        json.dumps(row.model_dump(mode="json"), ensure_ascii=False, allow_nan=False).encode()
    except ValueError as error:  # an empty trajectory, or half a character, which no file can carry
        return Entry(key=rollout.key, status=FAILED, reason=f"the work cannot be kept: {error}")
    cut = not correct and trajectory.stop is AgentStop.TRUNCATED
    return Entry(key=rollout.key, status=RIGHT if correct else CUT_OFF if cut else WRONG, row=row)


def _row(rollout: Rollout, trajectory: Trajectory, seed: int | None, *, correct: bool) -> LabelledTrajectory:
    question, arm = rollout.question, rollout.arm
    # Ids of calls as served tell which server, and so which agent, it was.
    work = trajectory.model_copy(update={"messages": renumbered(trajectory.messages)})
    data = {
        "id": rollout.key,
        "group": question.group,
        "source": question.source,
        "label_source": LabelSource.OUTCOME,
        "licence": question.licence,
        "task": question.task.model_copy(update={"id": f"{question.source}/{question.name}"}),
        "trajectory": work,
        "correct": correct,
        "metadata": {
            **question.metadata,
            "agent": redact(arm.agent),
            "temperature": arm.temperature,
            "tools": arm.tools,
            "seed": seed,
            "sample": rollout.sample,
            "stop": trajectory.stop.value,
            "answer_read": final_answer(trajectory.answer)[:200],
            REFERENCE: list(question.references),
        },
    }
    return as_record(data, rollout.key)
