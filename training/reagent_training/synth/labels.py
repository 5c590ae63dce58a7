"""From a puzzle to labelled trajectories: work is planned, carried out, graded and described."""

from __future__ import annotations

from collections.abc import Sequence

from reagent_sdk.messages import Message
from reagent_sdk.trajectory import Trajectory
from reagent_training.data.record import LabelledTrajectory, LabelSource, StepLabel
from reagent_training.synth.analysis import write_analysis
from reagent_training.synth.critique import write_critique
from reagent_training.synth.grading import grade
from reagent_training.synth.plan import Flaw, Role
from reagent_training.synth.puzzle import Draft, Puzzle
from reagent_training.synth.recipes import Recipe, names_for
from reagent_training.synth.record import SynthTask
from reagent_training.synth.rubric import score_of
from reagent_training.synth.seeds import random_for
from reagent_training.synth.workbench import Work, Workbench

_TRIES = 8
_LICENCE = "Apache-2.0"
_SPOIL_THE_END = (*(Flaw.IGNORED_RESULT, Flaw.NEAR_MISS, Flaw.UNVERIFIED_GUESS, Flaw.LUCKY_GUESS, Flaw.MISSING_CALL),)


async def labelled(puzzle: Puzzle, bench: Workbench, seed: int, variants: int) -> list[LabelledTrajectory]:
    """Sound and flawed work on a puzzle, in an order that tells nothing.

    Args:
        puzzle: the task.
        bench: the real tools.
        seed: of the set.
        variants: how many trajectories; half of them are right, the odd one too.

    Raises:
        RuntimeError: sound work came out wrong: the generator and the tools disagree.
    """
    rng = random_for("recipes", seed, puzzle.task.id)
    rows: list[LabelledTrajectory] = []
    seen: list[tuple[Message, ...]] = []
    chosen = names_for(rng, variants)
    order = list(range(variants))
    rng.shuffle(order)
    for place, (name, recipe, right) in enumerate(chosen):
        draft, work, correct = await _made(puzzle, bench, (seed, name, place), (recipe, right), seen)
        if correct != right and not draft.faults:
            raise RuntimeError(f"sound work on {puzzle.task.id} says {work.answer!r}, not {puzzle.task.answer!r}")
        rows.append(_row(puzzle, draft, work, (name, order[place], seed), correct=correct))
    return sorted(rows, key=lambda row: row.id)


async def _made(
    puzzle: Puzzle,
    bench: Workbench,
    key: tuple[object, ...],
    meant: tuple[Recipe, bool],
    seen: list[tuple[Message, ...]],
) -> tuple[Draft, Work, bool]:
    """Work that comes out as meant and differs from what was seen; where it does not, another draw is made."""
    recipe, right = meant
    for attempt in range(_TRIES):
        draft = recipe(puzzle, random_for("draft", puzzle.task.id, *key, attempt))
        work = await bench.carry_out(puzzle.task, draft.plan)
        correct = grade(work.answer, puzzle.task)
        if (correct == right or not draft.faults) and work.messages not in seen:
            break
    seen.append(work.messages)
    return draft, work, correct


def _row(puzzle: Puzzle, draft: Draft, work: Work, key: tuple[str, int, int], *, correct: bool) -> LabelledTrajectory:
    name, place, seed = key
    task = puzzle.task
    trajectory = Trajectory(messages=work.messages, answer=work.answer)
    rng = random_for("texts", seed, task.id, place)
    flaws = [fault.flaw for fault in draft.faults]
    checked = bool(draft.plan.places(Role.CHECK))
    return LabelledTrajectory(
        id=f"{task.id}-{place}",
        group=task.id,
        source=f"synth-{task.family}",
        label_source=LabelSource.SYNTHETIC,
        task=task.as_task(),
        trajectory=trajectory,
        correct=correct,
        score=score_of(flaws, correct=correct, checked=checked, rng=rng),
        critique=write_critique(task, draft, trajectory, correct=correct, rng=rng),
        analysis=write_analysis(draft, work.places, puzzle.goal, rng),
        steps=_steps(draft, work, correct=correct),
        licence=_LICENCE,
        metadata={"recipe": name, "flaws": [str(flaw) for flaw in flaws], **_about(task)},
    )


def _about(task: SynthTask) -> dict[str, str | int]:
    return {"template": task.template, "difficulty": task.difficulty, "split": str(task.split)}


def _steps(draft: Draft, work: Work, *, correct: bool) -> tuple[StepLabel, ...]:
    """A label for each assistant message: what is wrong, what is needless or built on something wrong, what is good."""
    reasons = {fault.flaw: f"it {fault.did}; {fault.should}" for fault in draft.faults}
    labels: list[StepLabel] = []
    spoilt = False
    for step, place in zip(draft.plan.steps, work.places, strict=True):
        if place is None:
            continue
        wrong = step.flaw in (Flaw.WRONG_ARGUMENT, Flaw.INVENTED_FILE, Flaw.MENDED)
        reason = reasons.get(step.flaw, "") if step.flaw else ""
        neutral = spoilt or step.flaw is Flaw.NEEDLESS_CALL
        labels.append(StepLabel(message=place, label=-1 if wrong else 0 if neutral else 1, reason=reason))
        spoilt = spoilt or step.flaw is Flaw.WRONG_ARGUMENT
    last = next((fault.flaw for fault in draft.faults if fault.flaw in _SPOIL_THE_END), None)
    sound_end = correct and last is None
    end = StepLabel(
        message=len(work.messages) - 1, label=1 if sound_end else -1, reason=reasons.get(last, "") if last else ""
    )
    return (*labels, end)


def texts_of(rows: Sequence[LabelledTrajectory]) -> list[str]:
    """The records as a judge reads them."""
    from reagent_sdk.rendering import render_record

    return [render_record(row.task, row.trajectory, max_chars=1_000_000).text for row in rows]
