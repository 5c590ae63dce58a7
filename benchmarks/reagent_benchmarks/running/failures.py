"""Which outcome an error is, and which of them are worth another try."""

from __future__ import annotations

from reagent_benchmarks.outcomes import Outcome
from reagent_sdk.errors import AgentError, BudgetExceeded, ModelRejected, ModelUnavailable, ReagentError

_NOT_LET_IN = frozenset({401, 402, 403, 404})
"""Refusals that say nothing about the question: a key, a bill, a wrong address."""


class Unreachable(ReagentError):
    """A server gave no answer. The sample is an error in the log, so that the same command tries it again."""


def outcome_of(error: Exception) -> Outcome:
    """What became of a question whose attempt raised this."""
    if isinstance(error, BudgetExceeded):
        return Outcome.TIMED_OUT
    if isinstance(error, ModelUnavailable | ConnectionError):
        return Outcome.UNREACHABLE
    if isinstance(error, ModelRejected) and error.status in _NOT_LET_IN:
        return Outcome.UNREACHABLE
    if isinstance(error, AgentError):
        return Outcome.WRONG  # agents by spec raise it for an empty answer only
    return Outcome.AGENT_FAILED


def told(error: Exception, longest: int = 300) -> str:
    """An error in one line."""
    line = " ".join(f"{type(error).__name__}: {error}".split())
    return line if len(line) <= longest else f"{line[: longest - 3]}..."
