"""The layer that knows who asks, in front of a small app."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import sqlite3
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import generate_latest
from reagent_adapters.proxy.accounts import Accounts, Books, KeyBook, KeyCaller, KeyEntry, Ledger, Limits, new_key
from reagent_adapters.proxy.caller import caller_of
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from reagent_sdk.budget import Budget
from reagent_sdk.serving.answers import Refused
from reagent_sdk.serving.log import EventLog
from reagent_sdk.usage import Usage

KEY = "rk-0123456789abcdef0123456789abcdef"
ONE = Usage(calls=1, prompt_tokens=7, completion_tokens=3, cached_tokens=2, priced_usd=0.5)

Work = Callable[[KeyCaller], Awaitable[object]]


def book(*, name: str = "team-a", key: str = KEY, **limits: Any) -> KeyBook:
    return KeyBook([KeyEntry(name=name, digests=(hashlib.sha256(key.encode()).digest(),), **limits)])


async def one_call(caller: KeyCaller) -> object:
    await caller.admit(8)
    caller.charge(ONE)
    return {"name": caller.name, "upstream": caller.upstream_key}


class Server:
    """An app behind `Accounts`, and a client for it."""

    def __init__(self, work: Work = one_call, *, books: Books | None = None, **settings: Any) -> None:
        self.out = io.StringIO()
        self.books = books or Books(log=EventLog(self.out))
        self.callers: list[KeyCaller] = []
        self._work = work
        self.layer = Accounts(self._app, books=self.books, **settings)

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = caller_of(scope)
        try:
            if isinstance(caller, KeyCaller):
                self.callers.append(caller)
                answer = await self._work(caller)
            else:
                answer = {"name": caller.name}
            await JSONResponse(answer)(scope, receive, send)
        except Refused as refused:
            await refused.send(scope, receive, send)

    async def ask(self, key: str | None = KEY, path: str = "/v1/chat/completions", **headers: str) -> httpx.Response:
        if key is not None:
            headers["Authorization"] = f"Bearer {key}"
        raw = {name.encode(): value.encode("latin-1") for name, value in headers.items()}
        transport = httpx.ASGITransport(app=self.layer)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.post(path, headers=raw)

    def once(self, key: str | None = KEY, path: str = "/v1/chat/completions", **headers: str) -> httpx.Response:
        return asyncio.run(self.ask(key, path, **headers))

    def metric(self, what: str, **labels: str) -> float | None:
        return self.books.metrics.registry.get_sample_value(f"reagent_proxy_key_{what}_total", labels)


def error(answer: httpx.Response) -> dict[str, Any]:
    found: dict[str, Any] = answer.json()["error"]
    return found


# --- who asks ---


def test_a_key_of_ours_is_known_by_its_name() -> None:
    server = Server(keys=book())
    assert server.once().json() == {"name": "team-a", "upstream": None}
    assert server.once(None, authorization=f"bEARER  {KEY} ").status_code == 200


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer ", f"Basic {KEY}", KEY, f"Bearer {KEY}x", f"Bearer {KEY[:-1]}", "Bearer \xff"],
)
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/models", "/v1", "/v1x"])
def test_everybody_else_gets_401_and_never_reaches_the_app(header: str | None, path: str) -> None:
    server = Server(keys=book())
    answer = server.once(None, path, **({} if header is None else {"authorization": header}))
    assert answer.status_code == 401
    assert error(answer)["code"] == "invalid_api_key"
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert not server.callers
    assert server.metric("refusals", key="unknown", reason="key") == 1
    assert KEY[:-1] not in answer.text


def test_probes_need_no_key() -> None:
    assert Server(keys=book()).once(None, "/health").json() == {"name": "anybody"}


def test_an_expired_key_is_refused_and_never_passed_through() -> None:
    past = datetime.now(UTC) - timedelta(seconds=1)
    server = Server(keys=book(key="an-expired-key-of-ours", expires=past), pass_through=True)
    answer = server.once("an-expired-key-of-ours")
    assert (answer.status_code, error(answer)["message"]) == (401, "the API key has expired")
    assert server.metric("refusals", key="team-a", reason="expired") == 1
    soon = datetime.now(UTC) + timedelta(hours=1)
    assert Server(keys=book(expires=soon)).once().status_code == 200


def test_without_keys_everybody_is_one_open_caller() -> None:
    server = Server(guests=Limits(calls=2))
    assert server.once(None).json() == {"name": "open", "upstream": None}
    assert server.once("whatever").json() == {"name": "open", "upstream": None}
    assert server.once("something else").status_code == 429
    assert Server(guests=Limits(expires=datetime.now(UTC))).once().status_code == 401


def test_pass_through_sends_the_callers_own_key_on_and_calls_nobody_by_it() -> None:
    server = Server(keys=book(), pass_through=True)
    assert server.once("sk-the-callers-own").json() == {"name": "pass-through", "upstream": "sk-the-callers-own"}
    assert server.once().json() == {"name": "team-a", "upstream": None}
    assert server.once(None).status_code == 401
    assert server.once(None, authorization="Bearer k\xe9y").status_code == 401
    assert server.metric("requests", key="pass-through") == 1


def test_a_key_that_we_drew_is_never_shown_to_an_upstream() -> None:
    server = Server(keys=book(), pass_through=True)
    taken_out, _ = new_key()
    assert server.once(taken_out).status_code == 401
    assert not server.callers


def test_no_key_is_in_repr_metrics_or_log(tmp_path: Path) -> None:
    server = Server(keys=book(), pass_through=True)
    own = "sk-the-callers-own-0123456789"
    for key in (KEY, own, "rk-unknown-0123456789"):
        answer = server.once(key)
        if answer.status_code != 200:
            assert key not in answer.text
    told = repr(server.callers) + repr([vars(caller) for caller in server.callers]) + server.out.getvalue()
    told += generate_latest(server.books.metrics.registry).decode()
    for key in (KEY, own, "rk-unknown"):
        assert key not in told
        assert hashlib.sha256(key.encode()).hexdigest() not in told


# --- rates ---


class Time:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def time(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Time:
    clock = Time()
    monkeypatch.setattr("limits.aio.storage.memory.time", clock)
    monkeypatch.setattr("reagent_adapters.proxy.accounts_rates.time", clock)
    return clock


def test_requests_a_minute_over_a_moving_window(clock: Time) -> None:
    server = Server(keys=book(requests_per_minute=3))

    async def scene() -> list[tuple[int, str | None]]:
        seen = []
        for wait in (0, 20, 20, 10, 0, 10.5, 0, 19):
            clock.now += wait
            answer = await server.ask()
            seen.append((answer.status_code, answer.headers.get("retry-after")))
            if answer.status_code == 429:
                assert error(answer)["code"] == "rate_limit_exceeded"
                assert error(answer)["type"] == "rate_limit_error"
        return seen

    assert asyncio.run(scene()) == [
        (200, None),
        (200, None),
        (200, None),
        (429, "10"),
        (429, "10"),
        (200, None),  # the first has left the window
        (429, "20"),
        (429, "1"),
    ]
    assert server.metric("refusals", key="team-a", reason="rate") == 4
    assert server.metric("requests", key="team-a") == 8


def test_tokens_a_minute_are_counted_after_the_request(clock: Time) -> None:
    server = Server(keys=book(tokens_per_minute=15))

    async def scene() -> list[int]:
        seen = []
        for wait in (0, 5, 5, 45, 10):  # 10 tokens each: the second passes the limit, and counts in full
            clock.now += wait
            seen.append((await server.ask()).status_code)
        return seen

    assert asyncio.run(scene()) == [200, 200, 429, 429, 200]


def rates_of(answer: httpx.Response) -> dict[str, str]:
    return {name[12:]: value for name, value in answer.headers.items() if name.startswith("x-ratelimit-")}


def test_answers_tell_what_is_left_of_rates_as_openai_does(clock: Time) -> None:
    server = Server(keys=book(requests_per_minute=2, tokens_per_minute=100))

    async def scene() -> list[httpx.Response]:
        answers = []
        for wait in (0, 20, 10):
            clock.now += wait
            answers.append(await server.ask())
        return answers

    first, second, refused = asyncio.run(scene())
    whole = {"limit-requests": "2", "limit-tokens": "100"}
    # Tokens are known when a request has ended: the first answer tells of none.
    fresh = {"remaining-requests": "1", "reset-requests": "60s", "remaining-tokens": "100", "reset-tokens": "0s"}
    assert rates_of(first) == whole | fresh
    assert first.status_code == second.status_code == 200
    late = {"remaining-requests": "0", "reset-requests": "40s", "remaining-tokens": "90", "reset-tokens": "40s"}
    assert rates_of(second) == whole | late
    assert refused.status_code == 429
    left = {"remaining-requests": "0", "reset-requests": "30s", "remaining-tokens": "80", "reset-tokens": "30s"}
    assert rates_of(refused) == whole | left
    assert refused.headers["retry-after"] == "30"
    assert rates_of(Server(keys=book(calls=10)).once()) == {}
    one = rates_of(Server(keys=book(requests_per_minute=5)).once())
    assert {name.rpartition("-")[2] for name in one} == {"requests"}


def test_every_key_has_rates_of_its_own(clock: Time) -> None:
    server = Server(pass_through=True, guests=Limits(requests_per_minute=1))

    async def scene() -> list[int]:
        return [(await server.ask(key)).status_code for key in ("sk-one", "sk-two", "sk-one", "sk-two", "sk-three")]

    assert asyncio.run(scene()) == [200, 200, 429, 429, 200]


def test_the_memory_of_rates_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reagent_adapters.proxy.accounts._MOST_RATES", 5)
    server = Server(pass_through=True, guests=Limits(requests_per_minute=1))

    async def scene() -> None:
        for number in range(20):
            await server.ask(f"sk-{number}")
        assert (await server.ask("sk-19")).status_code == 429

    asyncio.run(scene())
    assert len(server.layer._rates) == 5


# --- budgets ---


def test_a_used_up_budget_is_said_as_openai_says_it() -> None:
    server = Server(keys=book(usd=1.0, period="month"))
    assert [server.once().status_code for _ in range(3)] == [200, 200, 429]
    answer = server.once()
    assert error(answer)["code"] == error(answer)["type"] == "insufficient_quota"
    assert error(answer)["message"] == "this key's budget of 1.0 usd a month is used up"
    assert answer.headers["x-should-retry"] == "false"
    assert "retry-after" not in answer.headers
    assert server.metric("refusals", key="team-a", reason="budget") == 2


def test_openais_client_gives_up_at_once_on_a_used_up_budget() -> None:
    openai = pytest.importorskip("openai")
    server = Server(keys=book(calls=1))
    server.once()

    async def scene() -> None:
        http = httpx.AsyncClient(transport=httpx.ASGITransport(app=server.layer))
        async with openai.AsyncOpenAI(base_url="http://test/v1", api_key=KEY, http_client=http) as client:
            with pytest.raises(openai.RateLimitError) as caught:
                await client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}])
        assert caught.value.code == "insufficient_quota"

    asyncio.run(scene())
    assert server.metric("refusals", key="team-a", reason="budget") == 1


def test_the_run_is_told_what_is_left() -> None:
    seen: list[Budget | None] = []

    async def work(caller: KeyCaller) -> object:
        assert caller.budget() is None
        await caller.admit(8)
        seen.append(caller.budget())
        caller.charge(ONE)
        caller.charge(ONE)
        return {}

    server = Server(work, keys=book(calls=11, tokens=1000, usd=3.0))
    for _ in range(2):
        assert server.once().status_code == 200
    assert seen == [Budget(calls=8, tokens=1000, usd=3.0), Budget(calls=8, tokens=980, usd=2.0)]
    assert server.once().status_code == 200
    assert seen[2:] == [Budget(calls=7, tokens=960, usd=1.0)]
    unlimited = Server(work, keys=book())
    assert unlimited.once().status_code == 200
    assert seen[3:] == [None]
    assert Server(work, keys=book(tokens_per_minute=100)).once().status_code == 200
    assert seen[4:] == [Budget()]  # no limit, and yet its tokens are to be counted
    assert unlimited.books.ledger.spent("team-a").usage.calls == 2  # recorded all the same


def test_a_request_that_fails_gives_back_what_it_reserved() -> None:
    async def work(caller: KeyCaller) -> object:
        await caller.admit(8)
        caller.charge(ONE)
        raise RuntimeError("broke")

    server = Server(work, keys=book(calls=10))
    with pytest.raises(RuntimeError, match="broke"):
        server.once()
    spent = server.books.ledger.spent("team-a")
    assert (spent.usage.calls, spent.held) == (1, 0)


def test_a_request_that_is_cancelled_gives_back_what_it_reserved() -> None:
    begun = asyncio.Event()

    async def work(caller: KeyCaller) -> object:
        await caller.admit(8)
        caller.charge(ONE)
        begun.set()
        return await asyncio.Event().wait()

    server = Server(work, keys=book(calls=10, tokens_per_minute=100))

    async def scene() -> None:
        request = asyncio.create_task(server.ask())
        await begun.wait()
        assert server.books.ledger.spent("team-a").held == 8
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request

    asyncio.run(scene())
    spent = server.books.ledger.spent("team-a")
    assert (spent.usage.calls, spent.held) == (1, 0)


def test_what_comes_after_the_end_is_still_counted() -> None:
    server = Server(keys=book(calls=10))
    server.once()
    server.callers[0].charge(ONE)
    assert server.books.ledger.spent("team-a").usage.calls == 2
    assert server.metric("calls", key="team-a") == 2


def test_a_request_is_admitted_once() -> None:
    async def work(caller: KeyCaller) -> object:
        await caller.admit(8)
        with pytest.raises(RuntimeError, match="admitted once"):
            await caller.admit(8)
        return {}

    assert Server(work, keys=book(calls=10)).once().status_code == 200


def test_200_concurrent_requests_never_pass_the_budget_of_calls() -> None:
    limit, under_way, most = 150, 0, 0

    async def work(caller: KeyCaller) -> object:
        nonlocal under_way, most
        await caller.admit(8)
        budget = caller.budget()
        assert budget is not None
        assert budget.calls is not None
        under_way += budget.calls
        most = max(most, under_way)
        made = 0
        for _ in range(min(budget.calls, 3)):
            await asyncio.sleep(0)
            caller.charge(Usage(calls=1))
            made += 1
        under_way -= budget.calls
        return {"made": made}

    server = Server(work, keys=book(calls=limit))

    async def scene() -> list[httpx.Response]:
        return await asyncio.gather(*(server.ask() for _ in range(200)))

    answers = asyncio.run(scene())
    made = sum(answer.json()["made"] for answer in answers if answer.status_code == 200)
    refused = [error(answer)["code"] for answer in answers if answer.status_code == 429]
    spent = server.books.ledger.spent("team-a")
    assert made == spent.usage.calls <= limit
    assert most <= limit
    assert spent.held == 0
    assert len(refused) + sum(answer.status_code == 200 for answer in answers) == 200
    assert set(refused) <= {"rate_limit_exceeded", "insufficient_quota"}
    assert refused, "200 requests of 3 calls do not fit into 150 calls"

    async def rest() -> None:
        while (await server.ask()).status_code == 200:
            pass

    asyncio.run(rest())
    assert server.books.ledger.spent("team-a").usage.calls == limit  # what was given back could be used


def test_calls_that_requests_under_way_hold_are_worth_another_try() -> None:
    begun, go = asyncio.Event(), asyncio.Event()

    async def work(caller: KeyCaller) -> object:
        await caller.admit(8)
        begun.set()
        await go.wait()
        return {}

    server = Server(work, keys=book(calls=8))

    async def scene() -> None:
        first = asyncio.create_task(server.ask())
        await begun.wait()
        answer = await server.ask()
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
        assert error(answer)["code"] == "rate_limit_exceeded"
        go.set()
        assert (await first).status_code == 200
        assert (await server.ask()).status_code == 200

    asyncio.run(scene())


def test_a_budget_that_cannot_be_looked_up_is_not_spent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reagent_adapters.proxy.accounts_tables._WAIT", 0.01)
    out, path = io.StringIO(), tmp_path / "ledger.db"
    books = Books(ledger=Ledger(path), log=EventLog(out))
    blocker = sqlite3.connect(path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    limited, free = Server(books=books, keys=book(calls=10)), Server(books=books, keys=book(name="free"))
    answer = limited.once()
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert free.once().status_code == 200  # without a budget there is nothing to keep
    assert "ledger-failed key=team-a" in out.getvalue()
    assert "ledger-late key=free" in out.getvalue()
    blocker.execute("ROLLBACK")
    blocker.close()
    assert limited.once().status_code == 200
    assert books.ledger.spent("free").usage.calls == 1
    books.ledger.close()


# --- models and metrics ---


def test_a_key_may_be_for_some_models_only() -> None:
    asked: list[str] = []

    async def work(caller: KeyCaller) -> object:
        caller.require_model(asked[-1])
        return {}

    server = Server(work, keys=book(models=("gpt-4o*", "judge")))
    seen = []
    for model in ("gpt-4o-mini", "judge", "gpt-5", "the-judge"):
        asked.append(model)
        answer = server.once()
        seen.append(answer.status_code)
        if answer.status_code == 403:
            assert error(answer)["code"] == "model_not_found"
    assert seen == [200, 200, 403, 403]
    assert server.metric("refusals", key="team-a", reason="model") == 2


def test_numbers_by_name() -> None:
    server = Server(keys=book(usd=100.0))
    server.once()
    server.once()
    server.callers[-1].charge(Usage(calls=1, unpriced_calls=1, unmetered_calls=1))
    assert server.metric("requests", key="team-a") == 2
    assert server.metric("calls", key="team-a") == 3
    assert [server.metric("tokens", key="team-a", kind=kind) for kind in ("prompt", "completion", "cached")] == [
        14,
        6,
        4,
    ]
    assert server.metric("usd", key="team-a") == 1.0
    assert server.metric("unpriced_calls", key="team-a") == server.metric("unmetered_calls", key="team-a") == 1
    answer = server.once()
    assert "no known price" in error(answer)["message"]
    assert json.dumps(answer.json()).count("usd_if_unpriced") == 1
