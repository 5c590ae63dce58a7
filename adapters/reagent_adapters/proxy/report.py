"""What a response says about critique: the field `reagent` and the headers `X-Reagent-*`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reagent_adapters.proxy.upstream import Json
from reagent_sdk.run import Attempt, Run
from reagent_sdk.usage import Usage


def report_of(run: Run, judged: Usage, *, analysis: bool) -> Json:
    """The report of a run: nothing in it tells what a rejected draft said, or where the judge is.

    Args:
        run: the run.
        judged: what the judge used.
        analysis: whether to show the judge's analyses as well.
    """
    return {
        "status": run.status.value,
        "stop": run.stop.value,
        "why": run.why,
        "score": run.score,
        "chosen": run.chosen,
        "attempts": [_attempt(attempt, analysis=analysis) for attempt in run.attempts],
        "judge_usage": usage_report(judged),
        "notes": list(run.notes),
        "run_id": run.id,
    }


def unjudged_report(why: str, attempts: int = 1) -> Json:
    """The report of a reply that no judge has seen."""
    return {
        "status": "unjudged",
        "stop": None,
        "why": why,
        "score": None,
        "chosen": 0,
        "attempts": [{"score": None, "status": "unjudged", "critique": ""}] * attempts,
        "judge_usage": usage_report(Usage()),
        "notes": [],
        "run_id": None,
    }


def usage_report(usage: Usage) -> Json:
    """What the judge used; `cost_usd` is null where a price is not known."""
    return {
        "calls": usage.calls,
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "cached_tokens": usage.cached_tokens,
        "cost_usd": usage.cost_usd,
    }


def headers_of(reports: Sequence[Json]) -> dict[str, str]:
    """The headers, with a value for each answer where a request asked for several; what is not known is left out."""
    columns = {
        "X-Reagent-Status": [report["status"] for report in reports],
        "X-Reagent-Score": ["" if report["score"] is None else f"{report['score']:.4g}" for report in reports],
        "X-Reagent-Attempts": [str(len(report["attempts"])) for report in reports],
        "X-Reagent-Stop": [report["stop"] or "" for report in reports],
    }
    return {name: ", ".join(values) for name, values in columns.items() if any(values)}


def summed(usages: Sequence[object]) -> Json | None:
    """The usage of several completions: all their counts added, those that nobody here knows too; None without any."""
    total: Json = {}
    for usage in usages:
        if isinstance(usage, Mapping):
            _add(total, usage)
    return total or None


def _add(total: Json, usage: Mapping[str, Any]) -> None:
    for name, value in usage.items():
        if isinstance(value, Mapping):
            total[name] = total.get(name) or {}
            _add(total[name], value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            total[name] = (total.get(name) or 0) + value
        else:
            total.setdefault(name, value)


def _attempt(attempt: Attempt, *, analysis: bool) -> Json:
    verdict = attempt.verdict
    told: Json = {
        "score": attempt.score,
        "status": "unjudged" if verdict is None else verdict.status.value,
        "critique": "" if verdict is None else verdict.critique,
    }
    if analysis and verdict is not None:
        told["analysis"] = verdict.analysis
    return told
