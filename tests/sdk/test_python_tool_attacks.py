"""Every attack of the table, at every level this machine has."""

from __future__ import annotations

import functools
import sys

import pytest
from reagent_benchmarks.python_attacks import ATTACKS, Arena, Level

from reagent_sdk.tools.python import bubblewrap

pytest.importorskip("ipykernel", reason="the tools extra is not installed")
pytestmark = [pytest.mark.anyio, pytest.mark.skipif(sys.platform != "linux", reason="the walls are Linux's")]


@functools.cache
def arena(level: Level) -> Arena:
    if level == "bubblewrap" and bubblewrap.problem():
        pytest.skip(f"bubblewrap: {bubblewrap.problem()}")
    return Arena(level)


# The level changes which walls there are, not the time limits: attacks on those need no second run.
_ONE_LEVEL = {"endless loop", "endless loop in C", "endless loop that ignores interrupts", "segmentation fault"}


@pytest.mark.parametrize("name", ATTACKS)
async def test_attack_at_the_process_level(name: str) -> None:
    stopped, by = await ATTACKS[name](arena("process"))
    if by.startswith("not run"):
        pytest.skip(by)
    assert stopped, by


@pytest.mark.parametrize("name", [name for name in ATTACKS if name not in _ONE_LEVEL])
async def test_attack_at_the_bubblewrap_level(name: str) -> None:
    stopped, by = await ATTACKS[name](arena("bubblewrap"))
    if by.startswith("not run"):
        pytest.skip(by)
    assert stopped, by
