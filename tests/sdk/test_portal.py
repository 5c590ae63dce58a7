from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
import weakref

import pytest

from reagent_sdk.portal import Portal


async def thread_name() -> str:
    return threading.current_thread().name


def portal_threads() -> int:
    return sum(thread.name == "reagent-portal" for thread in threading.enumerate())


def test_one_thread_serves_all_calls_and_close_joins_it() -> None:
    before = portal_threads()
    portal = Portal()
    assert {portal.call(thread_name) for _ in range(3)} == {"reagent-portal"}
    assert portal_threads() == before + 1
    portal.close()
    portal.close()
    assert portal_threads() == before
    assert portal.call(thread_name) == "reagent-portal"  # a later call starts afresh
    portal.close()


def test_cleanup_runs_in_the_loop_before_it_stops() -> None:
    ran: list[str] = []

    async def cleanup() -> None:
        ran.append(threading.current_thread().name)

    portal = Portal(cleanup)
    portal.call(thread_name)
    portal.close()
    assert ran == ["reagent-portal"]


def test_a_dropped_portal_closes_itself() -> None:
    before = portal_threads()
    portal = Portal()
    portal.call(thread_name)
    gone = weakref.ref(portal)
    del portal
    gc.collect()
    assert gone() is None
    assert portal_threads() == before


def test_errors_come_through_and_iteration_closes_its_source() -> None:
    closed = []

    async def source():  # type: ignore[no-untyped-def]
        try:
            yield 1
            yield 2
            raise ValueError("late")
        finally:
            closed.append(True)

    portal = Portal()
    with pytest.raises(ValueError, match="late"):
        list(portal.iterate(source()))
    iterator = portal.iterate(source())
    assert next(iterator) == 1
    iterator.close()  # type: ignore[attr-defined]
    assert closed == [True, True]
    portal.close()


def test_works_inside_a_running_loop() -> None:
    portal = Portal()

    async def cell() -> str:
        return portal.call(thread_name)

    assert asyncio.run(cell()) == "reagent-portal"
    portal.close()


SCRIPT = """
import warnings, threading, sys
warnings.simplefilter("error")
from reagent_sdk import with_critique
agent = with_critique(lambda q: "a", judge=lambda task, work: 0.5)
print(agent("q"), flush=True)
if {stuck}:
    import time
    begun = threading.Event()
    agent2 = with_critique(lambda q: begun.set() or time.sleep(5), judge=lambda task, work: 0.5)
    from concurrent.futures import CancelledError
    def ask():
        try:
            agent2("q")
        except CancelledError:
            pass  # what a call gets when its agent is closed
    threading.Thread(target=ask, daemon=True).start()
    begun.wait()  # what begins while the interpreter ends is not what is looked at
"""


@pytest.mark.parametrize("stuck", [False, True])
def test_a_script_that_never_closes_exits_cleanly(stuck: bool) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-c", SCRIPT.replace("{stuck}", str(stuck))],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "a\n", "")
