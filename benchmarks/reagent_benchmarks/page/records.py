"""Rows as the data that the page's script reads: a short entry for the list, and the whole run apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from reagent_benchmarks.outcomes import ArmResult
from reagent_benchmarks.page.text import cut, short
from reagent_benchmarks.stats.rows import Pair
from reagent_sdk.messages import Message
from reagent_sdk.run import Attempt

EXCERPT = 120
"""Characters of a question in the list."""
MANY = 400
"""Messages of an attempt that are shown."""


def entry(row: ArmResult, pair: Pair | None) -> dict[str, Any]:
    """What the list shows and filters by."""
    question = row.run.task.question if row.run else ""
    return {
        "benchmark": short(row.benchmark, EXCERPT),
        "sample": short(row.sample, EXCERPT),
        "arm": short(row.arm, EXCERPT),
        "epoch": row.epoch,
        "seed": row.seed,
        "outcome": row.outcome.value,
        "change": pair.change.value if pair else None,
        "judgeFailed": row.judge_failed,
        "score": row.score,
        "question": short(question, EXCERPT),
    }


def record(row: ArmResult, limit: int) -> dict[str, Any]:
    """Everything else, each text cut to `limit` characters."""
    run = row.run
    found: dict[str, Any] = {
        "why": cut(row.why, limit),
        "answer": None if row.answer is None else cut(row.answer, limit),
        "references": [cut(one, limit) for one in row.references[:20]],
        "facts": {
            "attempts": row.attempts,
            "calls": row.calls,
            "tokens": row.tokens,
            "cost": row.cost_usd,
            "seconds": round(row.seconds, 3),
        },
    }
    if run is None:
        return found
    return found | {
        "history": [_message(one, limit) for one in run.task.history[:MANY]],
        "question": cut(run.task.question, limit),
        "attempts": [
            _attempt(one, run.attempts[:place], one.index == run.chosen, limit)
            for place, one in enumerate(run.attempts)
        ],
        "stop": run.stop.value,
        "ended": cut(run.why, limit),
        "notes": [cut(one, limit) for one in run.notes],
        "run": short(run.id, EXCERPT),
    }


def _attempt(attempt: Attempt, before: Sequence[Attempt], chosen: bool, limit: int) -> dict[str, Any]:
    messages = attempt.trajectory.messages
    carried = _carried(messages, before[-1].trajectory.messages) if before else 0
    shown = messages[carried : carried + MANY]
    verdict = attempt.verdict
    found = {
        "chosen": chosen,
        "feedback": None if attempt.feedback is None else cut(attempt.feedback, limit),
        "carried": carried,
        "steps": _steps(shown, limit),
        "leftOut": len(messages) - carried - len(shown),
        "answer": cut(attempt.answer, limit),
        "stop": attempt.trajectory.stop.value,
    }
    if verdict is None:
        return found
    return found | {
        "verdict": {
            "status": verdict.status.value,
            "score": verdict.score,
            "judge": short(verdict.judge, EXCERPT),
            "critique": cut(verdict.critique, limit),
            "analysis": cut(verdict.analysis, limit),
            "reason": cut(verdict.reason, limit),
            "raw": None if verdict.raw is None else cut(verdict.raw, limit),
            "leaks": [cut(one, limit) for one in verdict.leaks[:20]],
        }
    }


def _carried(messages: Sequence[Message], before: Sequence[Message]) -> int:
    """How many messages at the beginning an attempt took over from the one before it: revisions go on from its work."""
    count = 0
    for message in messages:
        if message not in before:
            break
        count += 1
    return count


def _steps(messages: Sequence[Message], limit: int) -> list[dict[str, Any]]:
    """Messages in order, each tool's result at its call."""
    results = {one.tool_call_id: place for place, one in enumerate(messages) if one.role == "tool" and one.tool_call_id}
    taken: set[int] = set()
    steps = []
    for place, message in enumerate(messages):
        if place in taken:
            continue
        step = _message(message, limit)
        for call, shown in zip(message.tool_calls or (), step["calls"], strict=False):
            found = results.get(call.id)
            if found is not None and found > place and found not in taken:
                taken.add(found)
                shown["result"] = cut(messages[found].text, limit)
        steps.append(step)
    return steps


def _message(message: Message, limit: int) -> dict[str, Any]:
    return {
        "role": short(message.role, EXCERPT),
        "name": short(message.name or "", EXCERPT),
        "text": cut(message.text, limit),
        "reasoning": cut(message.reasoning, limit),
        "calls": [
            {"name": short(call.name, EXCERPT), "arguments": cut(call.arguments_text, limit)}
            for call in (message.tool_calls or ())[:MANY]
        ],
    }
