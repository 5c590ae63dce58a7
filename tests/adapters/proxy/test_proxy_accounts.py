"""What callers of a running proxy may use: budgets that follow the request, limits of guests, prices, own keys."""

from __future__ import annotations

import hashlib
import io
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from proxy_server import GOOD, Proxy, answering, judging, proxy_process, proxy_thread
from reagent_adapters.proxy.accounts import Followed, read_limits
from reagent_adapters.proxy.door import Door, doors_of

from reagent_sdk.errors import InvalidInput
from reagent_sdk.serving.log import EventLog
from reagent_sdk.testing import ChatServer, Fault, Reply

KEY = "rk-" + "0123456789abcdef" * 4
HEADERS = {"Authorization": f"Bearer {KEY}"}


@pytest.fixture(scope="module")
def upstream() -> Iterator[ChatServer]:
    with ChatServer(answering) as running:
        yield running


@pytest.fixture(scope="module")
def judge() -> Iterator[ChatServer]:
    with ChatServer(judging, model="judge") as running:
        yield running


def key_file(folder: Path, limits: str) -> Path:
    path = folder / "keys.toml"
    digest = hashlib.sha256(KEY.encode()).hexdigest()
    path.write_text(f'[[keys]]\nname = "team"\nsha256 = "{digest}"\n{limits}\n')
    return path


def used(proxy: Proxy) -> float:
    return proxy.counted("key_calls_total", "team")


# --- budgets of calls ---


@pytest.mark.parametrize(
    ("many", "asked", "calls"),
    [
        (1, {"n": 4}, 16),  # each of 4 runs: draft, verdict, revision, verdict
        (5, {}, 12),  # 5 judges read draft and revision
        (5, {"n": 3}, 36),
    ],
)
def test_a_request_gets_all_the_calls_it_needs(
    upstream: ChatServer, judge: ChatServer, tmp_path: Path, many: int, asked: dict[str, Any], calls: int
) -> None:
    doors = doors_of(Door("127.0.0.1", key_file(tmp_path, f"calls = {calls}")), EventLog(), in_flight=8)
    spec = judge.base_url if many == 1 else f"mean:{many}*{judge.base_url}"
    with proxy_thread(upstream.base_url, spec, doors=doors) as proxy:
        reply = proxy.ask(headers=HEADERS, **asked)
        assert reply.status_code == 200, reply.text
        assert [choice["message"]["content"] for choice in reply.json()["choices"]] == [GOOD] * asked.get("n", 1)
        assert used(proxy) == calls
        assert proxy.ask(headers=HEADERS).json()["error"]["code"] == "insufficient_quota"


def test_requests_reserve_what_they_may_need_and_no_more(judge: ChatServer, tmp_path: Path) -> None:
    """Each request is held at the upstream, where it can be seen how much room it leaves to others."""
    room: list[int] = []
    ledger = tmp_path / "ledger"
    doors = doors_of(Door("127.0.0.1", key_file(tmp_path, "calls = 1000"), ledger), EventLog(), in_flight=8)

    def looking(body: dict[str, Any]) -> Reply:
        with closing(sqlite3.connect(ledger)) as database:
            room.append(database.execute("SELECT COALESCE(SUM(calls), 0) FROM holds").fetchone()[0])
        return answering(body)

    with ChatServer(looking) as upstream, proxy_thread(upstream.base_url, judge.base_url, doors=doors) as proxy:
        for asked in ({"reagent": "bare"}, {"n": 2, "reagent": "bare"}, {"reagent": {"rounds": 0}}, {}):
            assert proxy.ask(headers=HEADERS, **asked).status_code == 200
        proxy.ask(headers=HEADERS, n=2, reagent={"rounds": 3, "accept": 0.1})
    # A judge that is a model asks once more where its first reply is of no use.
    assert room == [1, 1, 3, 6, 6, 24, 24]


def test_a_run_never_gets_more_than_is_left(upstream: ChatServer, judge: ChatServer, tmp_path: Path) -> None:
    doors = doors_of(Door("127.0.0.1", key_file(tmp_path, "calls = 7")), EventLog(), in_flight=8)
    with proxy_thread(upstream.base_url, f"mean:3*{judge.base_url}", doors=doors) as proxy:
        before = len(upstream.requests) + len(judge.requests)
        report = proxy.ask(headers=HEADERS).json()["reagent"]
        # Draft, three verdicts, revision, and two of three verdicts.
        assert report["stop"] == "budget"
        assert len(upstream.requests) + len(judge.requests) - before <= 7
        assert used(proxy) <= 7


# --- callers who are in no key file ---


def guest_file(folder: Path, limits: str) -> Path:
    path = folder / "guests.toml"
    path.write_text(limits)
    return path


def test_open_callers_share_a_budget_that_outlives_the_server(
    upstream: ChatServer, judge: ChatServer, tmp_path: Path
) -> None:
    door = Door("127.0.0.1", ledger=tmp_path / "ledger", guests=guest_file(tmp_path, "calls = 4\nmodels = ['test-*']"))
    for bare in (2, 0):
        doors = doors_of(door, EventLog(), in_flight=8)
        with proxy_thread(upstream.base_url, judge.base_url, doors=doors) as proxy:
            for _ in range(bare):
                assert proxy.ask(reagent="bare").status_code == 200
            if bare:
                assert proxy.ask(model="other").json()["error"]["code"] == "model_not_found"
            else:
                assert proxy.ask().json()["reagent"]["stop"] == "budget"  # no revision
                assert proxy.counted("key_calls_total", "open") == 2
                refused = proxy.ask(headers={"Authorization": "Bearer whatever"})
                assert (refused.status_code, refused.json()["error"]["code"]) == (429, "insufficient_quota")


def test_callers_with_keys_of_their_own_have_rates_each(
    upstream: ChatServer, judge: ChatServer, tmp_path: Path
) -> None:
    guests, keys = guest_file(tmp_path, "requests_per_minute = 1"), key_file(tmp_path, "")
    door = Door("127.0.0.1", keys, pass_through=True, guests=guests)
    with proxy_thread(upstream.base_url, judge.base_url, doors=doors_of(door, EventLog(), in_flight=8)) as proxy:
        asked = [("sk-one", 200), ("sk-two", 200), ("sk-one", 429), ("sk-two", 429), (KEY, 200), (KEY, 200)]
        for key, status in asked:
            assert proxy.ask(headers={"Authorization": f"Bearer {key}"}, reagent="bare").status_code == status
        assert proxy.counted("key_refusals_total", "pass-through", "rate") == 2


def test_changed_limits_of_guests_take_effect(tmp_path: Path) -> None:
    seconds, out = [0.0], io.StringIO()
    path = guest_file(tmp_path, "calls = 5")
    followed = Followed(path, read_limits, "guests", log=EventLog(out), clock=lambda: seconds[0])
    path.write_text("calls = 77")
    assert followed.now().calls == 5  # not yet
    seconds[0] = 1.5
    assert followed.now().calls == 77
    path.write_text("cals = 78")
    seconds[0] = 3.0
    assert followed.now().calls == 77
    assert "guests-kept" in out.getvalue()
    assert out.getvalue().count("guests-read") == 1


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "at least one of requests_per_minute"),
        ("usd = -1", "usd: Input should be greater than 0"),
        ("calls = 1\nkey = 'rk-0123456789abcdef'", "key is not a setting; there are requests_per_minute"),
        ("[[keys]]\ncalls = 1", "keys is not a setting"),
        ("calls = ", "is not TOML"),
    ],
)
def test_wrong_limits_of_guests_are_told(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(InvalidInput, match=re.escape(told)) as caught:
        read_limits(guest_file(tmp_path, text))
    assert "guests.toml" in str(caught.value)
    assert "0123456789abcdef" not in str(caught.value)


# --- callers' own keys, and prices ---


@pytest.mark.filterwarnings("ignore")
def test_callers_own_keys_reach_a_provider_of_litellm(
    upstream: ChatServer, judge: ChatServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOSTED_VLLM_API_BASE", upstream.base_url)
    monkeypatch.setenv("HOSTED_VLLM_API_KEY", "the-servers-own-key")
    asked, judged = len(upstream.requests), len(judge.requests)
    doors = doors_of(Door("127.0.0.1", key_file(tmp_path, ""), pass_through=True), EventLog(), in_flight=8)
    keys = ("first-callers-own-0001", "second-callers-own-0002", "first-callers-own-0001")
    with proxy_thread("hosted_vllm/test-model", judge.base_url, doors=doors) as proxy:
        for key in keys:
            reply = proxy.ask(headers={"Authorization": f"Bearer {key}"}, api_key="in-the-body")
            assert reply.json()["choices"][0]["message"]["content"] == GOOD
            assert key not in reply.text
        assert proxy.ask(headers=HEADERS).status_code == 200  # a key of ours: the server's own goes on
        assert proxy.ask().status_code == 401
        assert all(key not in proxy.log() for key in (*keys, KEY, "the-servers-own-key"))
    sent = [request.headers["authorization"] for request in upstream.requests[asked:]]
    twice = [f"Bearer {key}" for key in (*keys, "the-servers-own-key") for _ in range(2)]  # draft and revision
    assert sent == twice
    assert all("callers-own" not in str(request) for request in judge.requests[judged:])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("status", "code"), [(401, "invalid_api_key"), (403, None)])
def test_a_refused_own_key_is_the_callers_affair_with_litellm_too(
    judge: ChatServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int, code: str | None
) -> None:
    key = "a-callers-own-0001"
    fault = Fault.status(status, body={"error": {"message": f"the key {key} may not", "code": "no"}})
    doors = doors_of(Door("127.0.0.1", key_file(tmp_path, ""), pass_through=True), EventLog(), in_flight=8)
    with (
        ChatServer([fault]) as strict,
        monkeypatch.context() as environment,
        proxy_thread("hosted_vllm/test-model", judge.base_url, doors=doors) as proxy,
    ):
        environment.setenv("HOSTED_VLLM_API_BASE", strict.base_url)
        environment.setenv("HOSTED_VLLM_API_KEY", "the-servers-own-key")
        reply = proxy.ask(headers={"Authorization": f"Bearer {key}"})
        assert (reply.status_code, reply.json()["error"]["code"]) == (status, code)
        assert key not in reply.text + proxy.log()
        ours = proxy.ask(headers=HEADERS)
        assert (ours.status_code, "own key" in ours.text) == (502, True)


def test_a_budget_of_dollars_is_kept_by_the_price(upstream: ChatServer, judge: ChatServer, tmp_path: Path) -> None:
    """`--price` and `--guest-limits` as users give them: 10 and 5 tokens at these prices are 0.02 dollars a draft."""
    guests = guest_file(tmp_path, "usd = 0.065\nusd_if_unpriced = 0.005")
    words = ["--upstream", upstream.base_url, "--judge", judge.base_url, "--guest-limits", str(guests)]
    with proxy_process(*words, "--price", "1000,2000", "--ledger", str(tmp_path / "ledger")) as proxy:
        assert proxy.ask(reagent="bare").status_code == 200
        assert proxy.counted("key_usd_total", "open") == pytest.approx(0.02)
        assert proxy.counted("key_unpriced_calls_total", "open") == 0
        assert proxy.ask().status_code == 200
        assert proxy.counted("key_usd_total", "open") == pytest.approx(0.06)
        assert proxy.counted("key_unpriced_calls_total", "open") == 2  # the judge's: 0.005 each
        refused = proxy.ask(reagent="bare")
        assert refused.json()["error"]["message"] == "this key's budget of 0.065 usd is used up"
