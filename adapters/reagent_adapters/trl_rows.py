"""Rows of TRL as tasks and trajectories, and what TRL's logs are told of their verdicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reagent_sdk.errors import InvalidInput
from reagent_sdk.messages import assistant, from_openai
from reagent_sdk.task import Task
from reagent_sdk.trajectory import Trajectory
from reagent_sdk.verdict import Verdict

_NOT_COLUMNS = ("completion_ids", "trainer_state", "log_extra", "log_metric", "environments")


def rows_of(columns: Mapping[str, Any], count: int) -> list[dict[str, Any]]:
    """The columns row by row."""
    listed = {
        name: values
        for name, values in columns.items()
        if name not in _NOT_COLUMNS and isinstance(values, list | tuple) and len(values) == count
    }
    return [{name: values[index] for name, values in listed.items()} for index in range(count)]


def task_of(prompt: Any, row: dict[str, Any]) -> Task:
    """What a prompt asks; the column `question` instead of a templated prompt. The columns become metadata.

    Raises:
        InvalidInput: the prompt is empty, or neither text nor chat messages.
    """
    task = Task.of(prompt)
    asked = row.get("question")
    instead = {"question": asked, "last": None} if isinstance(asked, str) and asked.strip() else {}
    return task.model_copy(update={**instead, "metadata": row})


def trajectory_of(completion: Any) -> Trajectory:
    """A completion as work: text, or the messages of a rollout with tool calls and results.

    Raises:
        InvalidInput: it is neither.
    """
    if isinstance(completion, str):  # an empty one too: a model that said nothing is judged for that
        return Trajectory(messages=(assistant(completion),), answer=completion)
    if not isinstance(completion, list | tuple):
        raise InvalidInput(f"a completion is a text or a list of chat messages, not {type(completion).__name__}")
    messages = from_openai(completion)
    said = next((m.text for m in reversed(messages) if m.role == "assistant" and m.text.strip()), "")
    return Trajectory(messages=messages, answer=said)


def report(columns: Mapping[str, Any], name: str, verdicts: Sequence[Verdict]) -> None:
    """Critiques beside the completions, and the share of failures, where TRL takes them."""
    if callable(log_extra := columns.get("log_extra")):
        log_extra(f"{name}_critique", [verdict.critique for verdict in verdicts])
    if callable(log_metric := columns.get("log_metric")):
        log_metric(f"{name}/failed", sum(not verdict.scored for verdict in verdicts) / max(1, len(verdicts)))
