"""Sends a request again when the model was unavailable, within reason and within the run's deadline."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, TypeVar

from reagent_sdk import scope
from reagent_sdk.errors import InvalidInput, ModelUnavailable
from reagent_sdk.events import Retrying

if TYPE_CHECKING:
    from tenacity import RetryCallState

T = TypeVar("T")


class CountsRetries(Protocol):
    """Whoever wants to know of requests that are sent again, such as a `MeteredCall`."""

    def retried(self) -> None:
        """Counts one."""


async def _sleep(seconds: float) -> None:
    import anyio

    await anyio.sleep(seconds)


@dataclass(frozen=True, slots=True)
class Retry:
    """How often and how patiently a request is sent again. Only `ModelUnavailable` is.

    Args:
        attempts: requests in all, the first one included.
        base: first wait in seconds; it doubles, with jitter on top.
        cap: longest wait of our own choosing, before the jitter.
        longest: longest wait that a server may ask for; a longer `Retry-After` is cut to it.
        sleep: how to wait; tests pass one that does not.

    Raises:
        InvalidInput: fewer than one attempt.
    """

    attempts: int = 3
    base: float = 0.5
    cap: float = 8.0
    longest: float = 60.0
    sleep: Callable[[float], Awaitable[None]] = _sleep

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise InvalidInput(f"max_attempts is {self.attempts}; it counts the first request too, so pass 1 or more")

    async def run(self, send: Callable[[], Awaitable[T]], *, call: CountsRetries, model: str) -> T:
        """Calls `send` until it succeeds, fails for good, or there are no attempts or no time left.

        Args:
            send: makes the request once.
            call: counts the retries; the metered call where it is one.
            model: name for events and errors.

        Raises:
            ModelUnavailable: it failed every time, or the next wait would outlast the run's deadline.
        """
        from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_exponential, wait_random

        within = scope.current()
        backoff = wait_exponential(multiplier=self.base, max=self.cap) + wait_random(0, self.base)

        def wait(state: RetryCallState) -> float:
            asked = _failure(state).retry_after
            return backoff(state) if asked is None else max(backoff(state), min(asked, self.longest))

        def past_deadline(state: RetryCallState) -> bool:
            left = within.meter.remaining_seconds
            return left is not None and state.upcoming_sleep >= left

        def count(state: RetryCallState) -> None:
            if state.attempt_number > 1:
                call.retried()

        def announce(state: RetryCallState) -> None:
            within.emit(Retrying(within.stage, model, str(_failure(state)), state.upcoming_sleep))

        def give_up(state: RetryCallState) -> NoReturn:
            raise _last_word(state, self.attempts, within.meter.remaining_seconds)

        retrying = AsyncRetrying(
            retry=retry_if_exception_type(ModelUnavailable),
            wait=wait,
            stop=lambda state: stop_after_attempt(self.attempts)(state) or past_deadline(state),
            sleep=self.sleep,
            before=count,
            before_sleep=announce,
            retry_error_callback=give_up,
        )
        return await retrying(send)


def _failure(state: RetryCallState) -> ModelUnavailable:
    error = state.outcome.exception() if state.outcome else None
    assert isinstance(error, ModelUnavailable)  # noqa: S101 - the retry condition lets nothing else through
    return error


def _last_word(state: RetryCallState, attempts: int, left: float | None) -> ModelUnavailable:
    error, made = _failure(state), state.attempt_number
    if made < attempts and left is not None:
        why = (
            f"not sent again: the next try would be in {state.upcoming_sleep:.1f} s, and the run has {left:.1f} s left"
        )
    elif made > 1:
        why = f"given up after {made} attempts"
    else:
        return error
    last = ModelUnavailable(f"{error} ({why})", model=error.model, status=error.status, retry_after=error.retry_after)
    last.__cause__ = error.__cause__
    return last


def retry_after(headers: Mapping[str, Any], *, now: datetime | None = None) -> float | None:
    """Seconds that a reply's headers ask us to wait: `retry-after-ms`, or `Retry-After` in seconds or as a date.

    Args:
        headers: a case-insensitive mapping, or one with lower-case names.
        now: the time that a date is compared with; the clock's by default.

    Returns:
        Seconds, at least 0; None when nothing readable was asked for.
    """
    milliseconds = _seconds(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    asked = headers.get("retry-after")
    seconds = _seconds(asked)
    return seconds if seconds is not None else _until(asked, now or datetime.now(UTC))


def _seconds(text: object) -> float | None:
    try:
        seconds = float(str(text))
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def _until(text: object, now: datetime) -> float | None:
    try:
        date = parsedate_to_datetime(str(text))
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    # A date without a zone is UTC: the only zone that HTTP knows.
    return max(0.0, (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now.timestamp())
