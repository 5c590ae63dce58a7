from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reagent_sdk.budget import Budget, Meter
from reagent_sdk.clients.base import MeteredCall
from reagent_sdk.clients.retry import Retry, retry_after
from reagent_sdk.errors import BadReply, InvalidInput, ModelError, ModelRejected, ModelUnavailable
from reagent_sdk.events import Event, Retrying
from reagent_sdk.scope import Scope, entered

pytestmark = pytest.mark.anyio
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Naps(list[float]):
    """Records the waits in place of waiting."""

    async def __call__(self, seconds: float) -> None:
        self.append(seconds)


def failing(*errors: ModelError) -> Callable[[], object]:
    left = list(errors)

    async def send() -> str:
        if left:
            raise left.pop(0)
        return "done"

    return send


def unavailable(retry_after: float | None = None) -> ModelUnavailable:
    return ModelUnavailable("503: busy", model="m", status=503, retry_after=retry_after)


async def test_it_sends_again_until_it_succeeds_and_says_so() -> None:
    naps, seen, meter = Naps(), list[Event](), Meter()
    with entered(Scope(meter, seen.append, "judge")):
        async with MeteredCall() as call:
            retry = Retry(sleep=naps)
            assert await retry.run(failing(unavailable(), unavailable()), call=call, model="m") == "done"
    assert call.usage.retries == meter.usage.retries == 2
    assert meter.usage.calls == 1
    assert seen == [Retrying("judge", "m", "503: busy", wait) for wait in naps]


async def test_waits_grow_with_jitter_up_to_the_cap() -> None:
    naps = Naps()
    async with MeteredCall() as call:
        with pytest.raises(ModelUnavailable):
            await Retry(attempts=9, sleep=naps).run(failing(*[unavailable()] * 9), call=call, model="m")
    assert len(naps) == 8
    for number, wait in enumerate(naps):
        assert 0 <= wait - min(8.0, 0.5 * 2**number) <= 0.5


async def test_the_last_error_keeps_what_it_knew_and_counts_the_attempts() -> None:
    cause = ConnectionResetError("reset")
    first = unavailable(retry_after=1.0)
    first.__cause__ = cause
    async with MeteredCall() as call:
        with pytest.raises(ModelUnavailable, match=r"503: busy.*given up after 2 attempts") as caught:
            await Retry(attempts=2, sleep=Naps()).run(failing(first, first), call=call, model="m")
    assert (caught.value.status, caught.value.model, caught.value.retry_after) == (503, "m", 1.0)
    assert caught.value.__cause__ is cause
    assert call.usage.retries == 1


async def test_one_attempt_means_no_retry() -> None:
    naps, error = Naps(), unavailable()
    async with MeteredCall() as call:
        with pytest.raises(ModelUnavailable) as caught:
            await Retry(attempts=1, sleep=naps).run(failing(error), call=call, model="m")
    assert caught.value is error
    assert not naps
    assert call.usage.retries == 0


@pytest.mark.parametrize("error", [ModelRejected("401: no key"), BadReply("not JSON")])
async def test_other_errors_are_not_retried(error: ModelError) -> None:
    naps = Naps()
    async with MeteredCall() as call:
        with pytest.raises(type(error)) as caught:
            await Retry(sleep=naps).run(failing(error), call=call, model="m")
    assert caught.value is error
    assert not naps


@pytest.mark.parametrize(("asked", "slept"), [(7.0, 7.0), (3600.0, 60.0)])
async def test_a_servers_wish_is_honoured_up_to_a_minute(asked: float, slept: float) -> None:
    naps = Naps()
    async with MeteredCall() as call:
        await Retry(sleep=naps).run(failing(unavailable(asked)), call=call, model="m")
    assert naps == [slept]


async def test_a_wish_for_no_wait_still_leaves_our_own() -> None:
    naps = Naps()
    async with MeteredCall() as call:
        await Retry(sleep=naps).run(failing(unavailable(0.0)), call=call, model="m")
    assert naps[0] >= 0.5


async def test_it_does_not_sleep_into_the_deadline() -> None:
    naps, seen = Naps(), list[Event]()
    with entered(Scope(Meter(Budget(seconds=5)), seen.append)):
        async with MeteredCall() as call:
            with pytest.raises(ModelUnavailable, match=r"next try would be in 30\.0 s, and the run has \d\.\d s left"):
                await Retry(sleep=naps).run(failing(unavailable(30.0)), call=call, model="m")
    assert not naps
    assert not seen
    assert call.usage.retries == 0


async def test_cancelling_the_wait_ends_it_and_counts_no_retry() -> None:
    started = anyio.Event()

    async def forever(seconds: float) -> None:
        started.set()
        await anyio.sleep_forever()

    async with MeteredCall() as call, anyio.create_task_group() as tasks:

        async def work() -> None:
            await Retry(sleep=forever).run(failing(unavailable()), call=call, model="m")

        tasks.start_soon(work)
        await started.wait()
        tasks.cancel_scope.cancel()
    assert call.usage.retries == 0


async def test_it_really_sleeps_by_default() -> None:
    async with MeteredCall() as call:
        await Retry(base=0.001).run(failing(unavailable()), call=call, model="m")
    assert call.usage.retries == 1


def test_no_attempts_at_all_is_refused() -> None:
    with pytest.raises(InvalidInput, match="pass 1 or more"):
        Retry(attempts=0)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "7", "retry-after-ms": "250"}, 0.25),
        ({"retry-after": "Sun, 01 Mar 2026 12:00:30 GMT"}, 30.0),
        ({"retry-after": "Sun, 01 Mar 2026 12:00:30 -0000"}, 30.0),
        ({"retry-after": "Sun, 01 Mar 2026 11:00:00 GMT"}, 0.0),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "1e999"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": ""}, None),
        ({}, None),
    ],
)
def test_retry_after_in_all_its_forms(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, now=NOW) == seconds


@given(st.one_of(st.text(max_size=40), st.from_regex(r"\w{3}, \d+ \w{3} \d{1,6} \d+:\d+:\d+ \S{1,5}", fullmatch=True)))
def test_no_retry_after_header_breaks_us(text: str) -> None:
    seconds = retry_after({"retry-after": text, "retry-after-ms": text})
    assert seconds is None or (math.isfinite(seconds) and seconds >= 0)


@given(st.integers(0, 10**6))
def test_dates_are_read_exactly(seconds: int) -> None:
    date = format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)
    assert retry_after({"retry-after": date}, now=NOW) == seconds
