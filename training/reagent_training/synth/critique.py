"""Writes the critique of generated work: specific, actionable, one line, and never the answer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from random import Random

from reagent_sdk.leaks import leaked_answers
from reagent_sdk.trajectory import Trajectory
from reagent_training.synth.critique_words import CHECKED, PLAIN, SOUND, TEMPLATES
from reagent_training.synth.grading import number
from reagent_training.synth.plan import Plan, Role
from reagent_training.synth.puzzle import Draft, Fault
from reagent_training.synth.record import SynthTask
from reagent_training.synth.rubric import severity

MOST_CHARS = 200
"""The verdict's grammar allows a line of so many characters."""


def write_critique(task: SynthTask, draft: Draft, trajectory: Trajectory, *, correct: bool, rng: Random) -> str:
    """The critique: the worst flaw first, a second one where there is room.

    Args:
        task: what was asked; its answer appears in no critique.
        draft: the work with its faults.
        trajectory: the work as it was carried out.
        correct: whether its answer is right, which decides which flaw is the worst.
        rng: draws the wording.
    """
    if not draft.faults:
        return _first_fair(_praise(draft.plan, rng), task, trajectory)
    faults = sorted(draft.faults, key=lambda fault: severity(fault.flaw, correct=correct), reverse=True)
    said = _first_fair([*_told(faults[0], draft.plan, rng), PLAIN[faults[0].flaw]], task, trajectory)
    for fault in faults[1:]:
        more = [f"{said} {text}" for text in _told(fault, draft.plan, rng)]
        said = next((text for text in more if is_fair(text, task, trajectory)), said)
    return said


def is_fair(critique: str, task: SynthTask, trajectory: Trajectory) -> bool:
    """Whether a critique fits into the verdict's line and gives nothing away.

    It must pass the SDK's guard, and must not hold the right answer either, unless the question itself does.
    """
    if len(critique) > MOST_CHARS or "<" in critique or "\n" in critique:
        return False
    if leaked_answers(critique, task.as_task(), trajectory):
        return False
    return not holds(critique, task) or holds(task.question, task)


def holds(text: str, task: SynthTask) -> bool:
    """Whether a text names the right answer: by value for numbers, else as words."""
    if task.rule.kind == "number":
        wanted = number(task.answer)
        return any(number(word) == wanted for word in re.findall(r"[-+]?\d[\d.,/]*(?<![.,/])", text))
    return re.search(rf"(?<!\w){re.escape(task.answer)}(?!\w)", text, re.IGNORECASE) is not None


def _told(fault: Fault, plan: Plan, rng: Random) -> list[str]:
    """All wordings for a fault, in a drawn order."""
    step = next((step for step in plan.steps if step.flaw is fault.flaw and step.calls), None)
    last = next((step for step in reversed(plan.steps) if step.calls), None)
    shown = step or last
    known = {
        "did": fault.did,
        "should": fault.should,
        "advice": fault.advice,
        "call": shown.calls[0].shown(44) if shown else "the call",
        "purpose": plan.steps[-1].purpose,
    }
    known |= {name.capitalize(): text[:1].upper() + text[1:] for name, text in list(known.items())}
    templates = list(TEMPLATES[fault.flaw])
    rng.shuffle(templates)
    return [_filled(template, known) for template in templates]


def _praise(plan: Plan, rng: Random) -> list[str]:
    tools = list(dict.fromkeys(call.tool for step in plan.steps for call in step.calls))
    calls = f"the {' and '.join(tools)} calls" if tools else "the steps"
    templates = list(CHECKED if plan.places(Role.CHECK) else SOUND)
    rng.shuffle(templates)
    made = [step for step in plan.steps if step.calls]
    what = plan.steps[plan.span[1] - 1].purpose
    known = {"calls": calls, "what": what, "What": what[:1].upper() + what[1:]}
    known |= {"first": made[0].calls[0].shown(40), "last": made[-1].calls[0].shown(40)}
    return [_filled(template, known) for template in templates]


def _filled(template: str, known: Mapping[str, str]) -> str:
    """In one pass: what fills a hole is not read again."""
    return re.sub(r"\{(\w+)\}", lambda hole: known[hole[1]], template)


def _first_fair(texts: list[str], task: SynthTask, trajectory: Trajectory) -> str:
    """The first text that is fair.

    Raises:
        RuntimeError: none is, which no task can cause: the last resorts name nothing.
    """
    for text in texts:
        if is_fair(text, task, trajectory):
            return text
    raise RuntimeError(f"no wording of the critique is fair: {texts}")
