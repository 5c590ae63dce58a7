"""Many attempts, cancelled attempts, event loops and interpreters that end: nothing stays behind."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import anyio
import psutil
import pytest
from reagent_benchmarks.kernels import Counts, alone, together

from reagent_sdk.errors import InvalidInput
from reagent_sdk.tools.python import strays
from reagent_sdk.tools.python.kernel import Confined
from reagent_sdk.tools.python.pool import KernelPool
from reagent_sdk.tools.python.sandbox import Sandbox
from reagent_sdk.tools.python.tool import PythonTool
from reagent_sdk.tools.python.turns import Turns

pytest.importorskip("ipykernel", reason="the tools extra is not installed")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="counts what /proc shows")


@pytest.fixture(autouse=True)
def own_temporary_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Counts see no kernels of tests that run beside these. Short for sockets, open for the kernels' users."""
    with tempfile.TemporaryDirectory(prefix="rk-") as folder:
        Path(folder).chmod(0o711)
        monkeypatch.setattr(tempfile, "tempdir", folder)
        monkeypatch.setenv("TMPDIR", folder)
        yield


@pytest.fixture
def clean() -> Counts:
    asyncio.run(alone(Sandbox(), 0, 1))  # opens what stays open for good
    return Counts.now()


def test_twenty_attempts_at_once_leave_nothing(clean: Counts) -> None:
    measured, _ = asyncio.run(together(Sandbox(), 20, 4))
    assert measured.wrong == []
    assert len(measured.calls) == 80
    assert Counts.now() == clean


def test_one_pool_serves_several_event_loops() -> None:
    pool = KernelPool(2, prewarm=1)
    tool = PythonTool(pool=pool)
    texts = [asyncio.run(tool.call({"code": f"{number} + 1"})).text for number in range(3)]
    asyncio.run(pool.aclose())
    assert texts == ["1", "2", "3"]


def test_a_cancelled_call_frees_everything(clean: Counts) -> None:
    async def main() -> str:
        tool = PythonTool(pool=KernelPool(1))
        async with tool.opened() as fresh:
            await fresh.call({"code": "1"})
            call = asyncio.create_task(fresh.call({"code": "while True: pass"}))
            await asyncio.sleep(0)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            with anyio.move_on_after(0.3):
                await fresh.call({"code": "while True: pass"})
        return (await tool.call({"code": "'free again'"})).text

    assert asyncio.run(main()) == "'free again'"
    assert Counts.now() == clean


def test_cancelled_while_the_kernel_starts(clean: Counts) -> None:
    async def main() -> None:
        tool = PythonTool(pool=KernelPool(1))
        for _ in range(5):
            call = asyncio.create_task(tool.call({"code": "1"}))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
        assert (await tool.call({"code": "2"})).text == "2"

    asyncio.run(main())
    assert Counts.now() == clean


def test_an_interpreter_that_ends_or_is_killed_takes_its_kernels_along() -> None:
    code = """
import asyncio, os, sys
from reagent_sdk.tools.python.kernel import Confined
from reagent_sdk.tools.python.sandbox import Sandbox
kernel = Confined(Sandbox())
kernel.walls()
print(kernel.key, kernel.uid if kernel.own_uid else "", kernel.base, flush=True)
if sys.argv[1] == "killed":
    os.kill(os.getpid(), 9)
"""
    for end in ("ends", "killed"):
        done = subprocess.run([sys.executable, "-c", code, end], capture_output=True, text=True, check=False)
        key, *uid, base = done.stdout.split()
        _, alive = psutil.wait_procs(_found(int(uid[0]) if uid else None, key), timeout=60)
        assert alive == []
        assert (end == "killed") == Path(base).exists()  # a killed process cannot remove folders
        subprocess.run(["rm", "-rf", base], check=True)


def _found(uid: int | None, key: str) -> list[psutil.Process]:
    return [psutil.Process(pid) for pid in strays.find(uid, key) if psutil.pid_exists(pid)]


def test_a_killed_supervisor_leaves_nothing_either() -> None:
    kernel = Confined(Sandbox(isolation="process"))
    kernel.walls()
    kernel._process.kill()
    kernel.close()
    assert strays.find(kernel.uid if kernel.own_uid else None, kernel.key) == []
    assert not kernel.base.exists()


def test_folders_are_removed_where_they_were_made() -> None:
    kernel = Confined(Sandbox())
    assert kernel.base.parent == Path(tempfile.gettempdir()).resolve()
    kernel.close()
    kernel.close()
    assert not kernel.base.exists()


def test_turns_are_first_come_first_served_and_survive_cancellation() -> None:
    async def main() -> list[int]:
        turns, order = Turns(1), []

        async def one(number: int) -> None:
            async with turns.turn(10):
                order.append(number)
                await asyncio.sleep(0)

        tasks = [asyncio.create_task(one(number)) for number in range(6)]
        await asyncio.sleep(0)
        tasks[2].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return order

    assert asyncio.run(main()) == [0, 1, 3, 4, 5]


def test_an_attempt_that_waits_too_long_is_told_so() -> None:
    async def main() -> str:
        tool = PythonTool(pool=KernelPool(1, wait=0.05))
        async with tool.opened() as first:
            await first.call({"code": "1"})
            return (await tool.call({"code": "2"})).text

    assert asyncio.run(main()) == "KernelUnavailable: all 1 kernels were busy for 0.05 seconds"


@pytest.mark.parametrize("wrong", [{"size": 0}, {"prewarm": -1}, {"wait": 0}], ids=lambda wrong: next(iter(wrong)))
def test_wrong_pool_settings_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(InvalidInput):
        KernelPool(**wrong)  # type: ignore[arg-type]
