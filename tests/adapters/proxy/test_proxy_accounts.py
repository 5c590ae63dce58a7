"""What callers of a running proxy may use: budgets that follow the request, limits of guests, prices, own keys."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from proxy_server import GOOD, Proxy, answering, judging, proxy_thread
from reagent_adapters.proxy.door import Door, doors_of

from reagent_sdk.serving.log import EventLog
from reagent_sdk.testing import ChatServer, Reply

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
