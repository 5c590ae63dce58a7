"""Runs as documents of the Agent Trajectory Interchange Format, version 1.7 (Harbor's RFC 0001).

One document holds the whole run: the question, every attempt, and each critique as the user's turn that it was to the
agent. What the format has no field for stands under `extra.reagent`.
"""

from __future__ import annotations

from datetime import UTC
from typing import Any

from reagent_sdk import __version__
from reagent_sdk.exports.atif_steps import Steps
from reagent_sdk.exports.attempts import parts
from reagent_sdk.exports.choosing import LeftOut
from reagent_sdk.run import Attempt, Run
from reagent_sdk.usage import Usage
from reagent_sdk.verdict import Verdict

SCHEMA_VERSION = "ATIF-v1.7"
EXTRA = "reagent"


def trajectory_of(run: Run) -> dict[str, Any]:
    """A run as one ATIF document.

    Raises:
        LeftOut: nothing was attempted.
    """
    if not run.attempts:
        raise LeftOut("without an attempt")
    steps = Steps()
    steps.add(run.task.messages[:-1], copied=True)
    steps.add(run.task.messages[-1:])
    steps.last["timestamp"] = run.started_at.astimezone(UTC).isoformat().replace("+00:00", "Z")
    for attempt in run.attempts:
        _add(steps, run, attempt)
    return {
        "schema_version": SCHEMA_VERSION,
        "session_id": run.id,
        "agent": {"name": "reagent-sdk", "version": __version__},
        "steps": steps.done,
        **({"notes": steps.notes} if steps.notes else {}),
        "final_metrics": _metrics(run, len(steps.done)),
        "extra": {EXTRA: _about(run)},
    }


def _add(steps: Steps, run: Run, attempt: Attempt) -> None:
    if attempt.feedback is not None:
        steps.say("user", attempt.feedback, {EXTRA: {"attempt": attempt.index, "kind": "critique"}})
    carried, own = parts(run, attempt)
    steps.add(carried, copied=True)
    steps.add(own)
    told: dict[str, Any] = {
        "attempt": attempt.index,
        "chosen": attempt.index == run.chosen,
        "stop": attempt.trajectory.stop.value,
        "usage": attempt.trajectory.usage.model_dump(),
    }
    if attempt.verdict is not None:
        told["verdict"] = _verdict(attempt.verdict)
    steps.last["extra"] = {EXTRA: told}


def _verdict(verdict: Verdict) -> dict[str, Any]:
    """What a verdict says, without the judge's analysis. The score is there only when there is one."""
    said: dict[str, Any] = {"status": verdict.status.value, "judge": verdict.judge}
    if verdict.score is not None:
        said["score"] = verdict.score
    for name in ("critique", "reason", "prompt_version", "steps_reason"):
        if text := getattr(verdict, name):
            said[name] = text
    if verdict.steps:
        said["steps"] = [one.model_dump() for one in verdict.steps]
    return said


def _about(run: Run) -> dict[str, Any]:
    told = {
        "task": run.task.id,
        "status": run.status.value,
        "stop": run.stop.value,
        "why": run.why,
        "chosen": run.chosen,
        "judge": run.judge,
        "seconds": run.seconds,
        "metadata": run.task.metadata or None,
    }
    return {name: value for name, value in told.items() if value is not None}


def _metrics(run: Run, n_steps: int) -> dict[str, Any]:
    """Totals of the agent's calls, and of all calls under `extra`. What is not known is left out and never 0."""
    agent = sum((attempt.trajectory.usage for attempt in run.attempts), Usage())
    totals: dict[str, Any] = {"total_steps": n_steps}
    if agent.calls and not agent.unmetered_calls:
        totals["total_prompt_tokens"] = agent.prompt_tokens
        totals["total_completion_tokens"] = agent.completion_tokens
        totals["total_cached_tokens"] = agent.cached_tokens
    if agent.calls and agent.cost_usd is not None:
        totals["total_cost_usd"] = agent.cost_usd
    totals["extra"] = {EXTRA: {"usage_with_judge": run.usage.model_dump()}}
    return totals
