"""Every error the SDK raises on purpose, typed by the boundary it came from.

ReagentError
├── InvalidInput (ValueError)   the caller passed something that cannot work; the message names the fix
├── AgentError                  the agent returned something that is not an attempt
├── ModelError                  a model call failed: `.model`, `.status`
│   ├── ModelUnavailable        refused, reset, timed out, 429 or 5xx after the retries
│   ├── ModelRejected           a 4xx that no retry can mend: key, parameters
│   │   └── ContextOverflow     the prompt does not fit the model's window
│   └── BadReply                an answer that is not a chat completion: not JSON, empty, wrong type, too large
├── WeightsUnavailable          local weights are missing, damaged or cannot be fetched
├── MissingExtra                an optional dependency is not installed; the message has the pip command
├── BudgetExceeded              a limit was reached before there was any draft: `.limit`, `.run`
├── JudgeFailed                 no verdict, under `Policy(on_judge_failure="raise")`: `.verdict`, `.run`
└── LowScore                    the best attempt scored too low, under `Policy(on_low_score="raise")`: `.run`
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reagent_sdk.run import Run
    from reagent_sdk.verdict import Verdict


class ReagentError(Exception):
    """Base of all errors raised by the SDK."""


class InvalidInput(ReagentError, ValueError):
    """Bad input from the caller. One sentence that says what is wrong and how to mend it."""


class AgentError(ReagentError):
    """The wrapped agent returned something that cannot be read as an attempt."""


class ModelError(ReagentError):
    """A model call failed.

    Attributes:
        model: the client that was called, without secrets.
        status: the HTTP status, where there was one.
    """

    def __init__(self, message: str, *, model: str = "", status: int | None = None) -> None:
        super().__init__(message)
        self.model = model
        self.status = status


class ModelUnavailable(ModelError):
    """The model could not be reached, or kept failing, until the retries ran out.

    Attributes:
        retry_after: seconds the server asked us to wait, where it said so.
    """

    def __init__(
        self,
        message: str,
        *,
        model: str = "",
        status: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, model=model, status=status)
        self.retry_after = retry_after


class ModelRejected(ModelError):
    """The server refused the request itself; sending it again cannot help."""


class ContextOverflow(ModelRejected):
    """The prompt does not fit the model's context window."""


class BadReply(ModelError):
    """The server answered with something that is not a chat completion."""


class WeightsUnavailable(ReagentError):
    """Local model weights are missing, fail their checksum or cannot be fetched."""


class MissingExtra(ReagentError):
    """An optional dependency is needed and not installed."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs the '{extra}' extra: pip install 'reagent-sdk[{extra}]'")
        self.extra = extra


class BudgetExceeded(ReagentError):
    """A budget limit was reached.

    Attributes:
        limit: which one: "calls", "tokens", "usd" or "seconds".
        run: what there was when it happened; None inside a single call.
    """

    def __init__(self, limit: str, message: str, *, run: Run | None = None) -> None:
        super().__init__(message)
        self.limit = limit
        self.run = run


class JudgeFailed(ReagentError):
    """The judge gave no score and the policy says that this is an error.

    Attributes:
        verdict: the failed verdict, with its status and reason.
        run: the run so far; its draft is kept in it.
    """

    def __init__(self, message: str, *, verdict: Verdict, run: Run) -> None:
        super().__init__(message)
        self.verdict = verdict
        self.run = run


class LowScore(ReagentError):
    """The best attempt scored below the floor and the policy says that this is an error.

    Attributes:
        run: the whole run; its answer is kept in it.
    """

    def __init__(self, message: str, *, run: Run) -> None:
        super().__init__(message)
        self.run = run
