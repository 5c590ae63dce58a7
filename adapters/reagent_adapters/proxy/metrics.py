"""The numbers of the runs, beside those of the requests."""

from __future__ import annotations

from prometheus_client import Counter, Histogram

from reagent_sdk.run import Run
from reagent_sdk.serving.metrics import Metrics
from reagent_sdk.usage import Usage
from reagent_sdk.verdict import VerdictStatus

PREFIX = "reagent_proxy_"
_TENTHS = tuple(tenth / 10 for tenth in range(1, 11))


class RunMetrics:
    """Counts runs and verdicts.

    Args:
        metrics: the server's metrics, whose page they go on.
    """

    def __init__(self, metrics: Metrics) -> None:
        registry = metrics.registry
        self._runs = Counter(
            PREFIX + "runs", "Answers that went through the loop.", ("status", "stop"), registry=registry
        )
        self._passed = Counter(
            PREFIX + "unjudged_replies", "Replies that went out without a loop.", ("why",), registry=registry
        )
        self._revisions = Counter(PREFIX + "revisions", "Attempts after the first of a run.", registry=registry)
        self._scores = Histogram(
            PREFIX + "score", "Scores of the attempts that were returned.", buckets=_TENTHS, registry=registry
        )
        self._failures = Counter(PREFIX + "judge_failures", "Verdicts without a score.", ("status",), registry=registry)
        self._tokens = Counter(PREFIX + "judge_tokens", "Tokens that the judge used.", ("kind",), registry=registry)
        for status in VerdictStatus:
            if status is not VerdictStatus.SCORED:
                self._failures.labels(status.value)
        for kind in ("prompt", "completion", "cached"):
            self._tokens.labels(kind)

    def count(self, run: Run, judged: Usage) -> None:
        """Counts a run that has ended."""
        self._runs.labels(run.status.value, run.stop.value).inc()
        self._revisions.inc(max(0, len(run.attempts) - 1))
        if run.score is not None:
            self._scores.observe(run.score)
        for attempt in run.attempts:
            if attempt.verdict is not None and not attempt.verdict.scored:
                self._failures.labels(attempt.verdict.status.value).inc()
        self._tokens.labels("prompt").inc(judged.prompt_tokens)
        self._tokens.labels("completion").inc(judged.completion_tokens)
        self._tokens.labels("cached").inc(judged.cached_tokens)

    def passed(self, why: str) -> None:
        """Counts a reply that no loop was run for."""
        self._passed.labels(why).inc()
