"""The ledger: sums, reservations, periods, restarts, and several processes at one database."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule
from reagent_adapters.proxy.accounts_limits import Limits
from reagent_adapters.proxy.accounts_room import BudgetUsedUp
from reagent_adapters.proxy.ledger import Grant, Ledger

from reagent_sdk.errors import InvalidInput
from reagent_sdk.usage import Usage

NOON = datetime(2026, 5, 31, 12, tzinfo=UTC)


class Clock:
    def __init__(self, now: datetime = NOON) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


def usages(most_calls: int = 5) -> st.SearchStrategy[Usage]:
    counts = st.integers(0, 10**6)
    return st.builds(
        Usage,
        calls=st.integers(0, most_calls),
        prompt_tokens=counts,
        completion_tokens=counts,
        cached_tokens=counts,
        priced_usd=st.integers(0, 10**9).map(lambda nano: nano / 1e9),
        unpriced_calls=st.integers(0, 3),
        unmetered_calls=st.integers(0, 3),
    )


@given(st.lists(st.tuples(st.sampled_from("ab"), usages()), max_size=12), st.randoms())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_sums_are_exact_and_do_not_depend_on_the_order(used: list[tuple[str, Usage]], random: object) -> None:
    first, second = Ledger(), Ledger()
    for name, usage in used:
        first.settle(Grant(name), usage)
    random.shuffle(used)  # type: ignore[attr-defined]
    for name, usage in used:
        second.settle(Grant(name), usage)
    for name in "ab":
        assert first.spent(name) == second.spent(name)
        own = [usage for whose, usage in used if whose == name]
        spent = first.spent(name).usage
        assert spent.calls == sum(usage.calls for usage in own)
        assert spent.known_tokens == sum(usage.known_tokens for usage in own)
        assert spent.unpriced_calls == sum(usage.unpriced_calls for usage in own)
        assert round(spent.priced_usd * 1e9) == sum(round(usage.priced_usd * 1e9) for usage in own)
    first.close()
    second.close()


class Interleaved(RuleBasedStateMachine):
    """Requests that begin, use less than they reserved, end, and are lost, in any order, against a plain model."""

    grants = Bundle("grants")

    @initialize(limit=st.integers(1, 40))
    def begin(self, limit: int) -> None:
        self.clock = Clock()
        self.ledger = Ledger(hold_seconds=60, now=self.clock)
        self.limits = Limits(calls=limit)
        self.limit = limit
        self.open: dict[int, tuple[int, datetime]] = {}
        self.used = 0

    def _lapse(self) -> None:
        for number, (calls, until) in list(self.open.items()):
            if self.clock.now >= until:
                del self.open[number]
                self.used += calls

    @rule(target=grants, calls=st.integers(1, 8))
    def reserve(self, calls: int) -> Grant | None:
        self._lapse()
        held = sum(calls for calls, _ in self.open.values())
        free = self.limit - self.used - held
        left = self.limit - self.used
        if free < min(calls, left) or left == 0:
            with pytest.raises(BudgetUsedUp) as caught:
                self.ledger.reserve("k", self.limits, calls)
            assert caught.value.for_now == (left > 0)
            return None
        grant = self.ledger.reserve("k", self.limits, calls)
        assert grant.calls == min(left, calls)
        assert grant.hold is not None
        self.open[grant.hold] = (grant.calls, self.clock.now + timedelta(seconds=60))
        return grant

    @rule(grant=consumes(grants), share=st.floats(0, 1))
    def settle(self, grant: Grant | None, share: float) -> None:
        if grant is None:
            return
        assert grant.calls is not None
        used = round(grant.calls * share)
        self._lapse()
        self.ledger.settle(grant, Usage(calls=used))
        if grant.hold in self.open:
            del self.open[grant.hold]
            self.used += used  # else it lapsed, and all its calls were counted then

    @rule(seconds=st.sampled_from([1, 30, 61]))
    def wait(self, seconds: int) -> None:
        self.clock.now += timedelta(seconds=seconds)

    @invariant()
    def agrees(self) -> None:
        if not hasattr(self, "ledger"):
            return
        self._lapse()
        spent = self.ledger.spent("k")
        assert spent.usage.calls == self.used <= self.limit
        assert spent.held == sum(calls for calls, _ in self.open.values())

    def teardown(self) -> None:
        if hasattr(self, "ledger"):
            self.ledger.close()


TestInterleaved = Interleaved.TestCase
TestInterleaved.settings = settings(
    max_examples=40, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


def test_a_restart_loses_nothing_and_frees_nothing(tmp_path: Path) -> None:
    path, limits, clock = tmp_path / "ledger.db", Limits(calls=10, usd=1.0), Clock()
    ledger = Ledger(path, hold_seconds=60, now=clock)
    ledger.settle(ledger.reserve("k", limits, 3), Usage(calls=2, prompt_tokens=5, priced_usd=0.25, seconds=1.5))
    ledger.reserve("k", limits, 4)  # never settled: the process dies
    ledger.close()

    again = Ledger(path, hold_seconds=60, now=clock)
    spent = again.spent("k")
    assert (spent.usage, spent.held) == (Usage(calls=2, prompt_tokens=5, priced_usd=0.25, seconds=1.5), 4)
    with pytest.raises(BudgetUsedUp, match="hold 4 of the 8 calls left"):
        again.reserve("k", limits, 100)
    grant = again.reserve("k", limits, 4)
    assert (grant.calls, grant.usd) == (4, 0.75)
    clock.now += timedelta(seconds=60)
    spent = again.spent("k")
    assert (spent.usage.calls, spent.lost_calls, spent.held) == (10, 8, 0)
    with pytest.raises(BudgetUsedUp, match="used up"):
        again.reserve("k", limits, 1)
    again.close()


def test_a_request_that_outlives_its_reservation_is_not_counted_twice() -> None:
    clock = Clock()
    ledger = Ledger(hold_seconds=60, now=clock)
    grant = ledger.reserve("k", Limits(calls=10), 4)
    clock.now += timedelta(seconds=61)
    other = ledger.reserve("k", Limits(calls=10), 1)
    ledger.settle(grant, Usage(calls=3, prompt_tokens=7))
    spent = ledger.spent("k")
    assert (spent.usage.calls, spent.usage.prompt_tokens, spent.held) == (4, 7, 1)
    ledger.settle(other, Usage())
    ledger.close()


def test_periods_begin_anew_in_utc_and_can_be_changed() -> None:
    clock = Clock(datetime(2026, 5, 31, 23, 59, 59, tzinfo=UTC))
    ledger = Ledger(now=clock)
    ledger.settle(Grant("k"), Usage(calls=3))
    for period in ("day", "month", "total"):
        with pytest.raises(BudgetUsedUp):
            ledger.reserve("k", Limits(calls=3, period=period), 1)
    clock.now = datetime(2026, 6, 1, 2, tzinfo=UTC).astimezone()
    for period in ("day", "month"):
        ledger.settle(ledger.reserve("k", Limits(calls=3, period=period), 1), Usage())
    with pytest.raises(BudgetUsedUp, match="budget of 3 calls is used up"):
        ledger.reserve("k", Limits(calls=3), 1)
    ledger.settle(Grant("k"), Usage(calls=1))
    clock.now = datetime(2026, 6, 2, tzinfo=UTC)
    assert [ledger.spent("k", period).usage.calls for period in ("day", "month", "total")] == [0, 1, 4]
    ledger.close()


def test_tokens_and_dollars_end_at_their_limit_and_may_pass_it_by_what_is_under_way() -> None:
    ledger = Ledger()
    limits = Limits(tokens=100, usd=1.0)
    first, second = ledger.reserve("k", limits, 1), ledger.reserve("k", limits, 1)
    assert first == second == Grant("k", tokens=100, usd=1.0)
    ledger.settle(first, Usage(calls=1, prompt_tokens=60, completion_tokens=39, priced_usd=0.5))
    assert ledger.reserve("k", limits, 1) == Grant("k", tokens=1, usd=0.5)
    ledger.settle(second, Usage(calls=1, prompt_tokens=80, priced_usd=0.25))
    with pytest.raises(BudgetUsedUp, match="budget of 100 tokens is used up") as caught:
        ledger.reserve("k", limits, 1)
    assert (caught.value.limit, caught.value.for_now) == ("tokens", False)
    with pytest.raises(BudgetUsedUp, match=r"0.75 usd a month is used up"):
        ledger.reserve("k", Limits(usd=0.75, period="month"), 1)
    ledger.close()


def test_what_is_not_known_is_never_zero() -> None:
    ledger = Ledger()
    ledger.settle(Grant("k"), Usage(calls=2, unpriced_calls=2, unmetered_calls=1, prompt_tokens=10))
    with pytest.raises(BudgetUsedUp, match=r"2 model calls of this key had no known price.*usd_if_unpriced"):
        ledger.reserve("k", Limits(usd=100.0), 1)
    with pytest.raises(BudgetUsedUp, match=r"1 model calls of this key had no known token counts.*tokens_if_unmetered"):
        ledger.reserve("k", Limits(tokens=1000), 1)
    assumed = Limits(usd=100.0, usd_if_unpriced=0.5, tokens=1000, tokens_if_unmetered=400)
    assert ledger.reserve("k", assumed, 1) == Grant("k", usd=99.0, tokens=590)
    with pytest.raises(BudgetUsedUp, match=r"1.0 usd is used up"):
        ledger.reserve("k", Limits(usd=1.0, usd_if_unpriced=0.5), 1)
    ledger.reserve("k", Limits(calls=10), 1)  # calls are always known
    ledger.close()


def test_names_have_budgets_of_their_own() -> None:
    ledger = Ledger()
    ledger.settle(Grant("a"), Usage(calls=5))
    assert ledger.reserve("b", Limits(calls=5), 9).calls == 5
    with pytest.raises(BudgetUsedUp):
        ledger.reserve("a", Limits(calls=5), 1)
    ledger.close()


def test_threads_share_one_budget(tmp_path: Path) -> None:
    ledger, limits, made = Ledger(tmp_path / "ledger.db"), Limits(calls=50), []

    def work() -> None:
        while True:
            try:
                grant = ledger.reserve("k", limits, 2)
            except BudgetUsedUp as error:
                if error.for_now:
                    continue
                return
            made.append(grant.calls or 0)
            ledger.settle(grant, Usage(calls=grant.calls or 0))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(made) == ledger.spent("k").usage.calls == 50
    ledger.close()


_PROCESS = """
import sys, time
from pathlib import Path
from reagent_adapters.proxy.accounts_limits import Limits
from reagent_adapters.proxy.accounts_room import BudgetUsedUp
from reagent_adapters.proxy.ledger import Ledger
from reagent_sdk.usage import Usage
sys.stdout.write("ready\\n"); sys.stdout.flush()
sys.stdin.readline()
ledger = Ledger(Path(sys.argv[1]))  # all at once: the first ones also race to make the tables
made = 0
while True:
    try:
        grant = ledger.reserve("k", Limits(calls=300), 2)
    except BudgetUsedUp as error:
        if error.for_now:
            time.sleep(0.001)
            continue
        break
    made += grant.calls
    ledger.settle(grant, Usage(calls=grant.calls, prompt_tokens=1))
print(made)
"""


def test_processes_share_one_budget(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _PROCESS, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        made = [int(process.communicate(timeout=120)[0]) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    ledger = Ledger(path)
    assert sum(made) == 300 == ledger.spent("k").usage.calls
    assert ledger.spent("k").held == 0
    ledger.close()


def test_a_new_ledger_can_be_opened_by_many_at_once(tmp_path: Path) -> None:
    failed: list[Exception] = []

    def open_it(path: Path, start: threading.Barrier) -> None:
        start.wait()
        try:
            Ledger(path).close()
        except InvalidInput as error:
            failed.append(error)

    for number in range(30):
        start = threading.Barrier(4)
        threads = [threading.Thread(target=open_it, args=(tmp_path / f"{number}.db", start)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not failed


def test_what_cannot_be_written_now_is_written_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reagent_adapters.proxy.accounts_tables._WAIT", 0.01)
    path = tmp_path / "ledger.db"
    ledger, limits = Ledger(path), Limits(calls=10)
    grant = ledger.reserve("k", limits, 4)
    blocker = sqlite3.connect(path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        ledger.settle(grant, Usage(calls=3))
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        ledger.reserve("k", limits, 1)
    blocker.execute("ROLLBACK")
    blocker.close()
    assert ledger.reserve("k", limits, 100).calls == 7
    assert ledger.spent("k").usage.calls == 3
    ledger.close()


def test_other_databases_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("this is no database, and long enough to be seen as none" * 20)
    other = sqlite3.connect(tmp_path / "other.db")
    other.execute("CREATE TABLE mine (x)")
    other.close()
    for name, told in (("text", "not a database"), ("other.db", "not a ledger"), ("no/folder/x", "unable to open")):
        with pytest.raises(InvalidInput, match=told):
            Ledger(tmp_path / name)


def test_a_later_version_is_refused(tmp_path: Path) -> None:
    Ledger(tmp_path / "ledger.db").close()
    changed = sqlite3.connect(tmp_path / "ledger.db")
    changed.execute("PRAGMA user_version = 2")
    changed.close()
    with pytest.raises(InvalidInput, match="not a ledger of this version"):
        Ledger(tmp_path / "ledger.db")
