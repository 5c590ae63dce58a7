"""Labelled work on sums: small, and right or wrong by its number."""

from __future__ import annotations

from reagent_training.data.record import LabelledTrajectory

from reagent_sdk.messages import assistant
from reagent_sdk.task import Task
from reagent_sdk.trajectory import Trajectory


def labelled(number: int, **changes: object) -> LabelledTrajectory:
    """Work on a sum; even numbers are right."""
    right = number % 2 == 0
    said = number + number + (0 if right else 1)
    fields: dict[str, object] = {
        "id": f"sum-{number}",
        "group": f"question-{number // 2}",
        "source": "sums",
        "label_source": "rule",
        "task": Task.of(f"What is {number} + {number}?"),
        "trajectory": Trajectory(messages=(assistant(f"I add the two and get {said}."),), answer=str(said)),
        "correct": right,
        "score": 0.9 if right else 0.1,
        "critique": "Sound work, keep it as it is." if right else "The sum is off: add the numbers again.",
        "analysis": "One step, no tool call.\nThe sum was checked." if right else "One step.\nThe sum does not hold.",
        "metadata": {"reference": [str(2 * number)]},
    }
    return LabelledTrajectory.model_validate(fields | changes)


def pair(number: int, *, preferred: bool) -> LabelledTrajectory:
    """A side of a preference pair: it has no score and no words."""
    unknown = {"correct": None, "score": None, "critique": None, "analysis": None}
    sides = {"pair": f"pair-{number}", "preferred": preferred, "group": f"pairs-{number}", "source": "pairs"}
    return labelled(number * 2 + (not preferred), id=f"pair-{number}-{preferred}", **unknown, **sides)
