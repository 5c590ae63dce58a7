"""The benchmarks by name."""

from __future__ import annotations

from difflib import get_close_matches
from typing import NamedTuple

from reagent_benchmarks.suite.base import Benchmark
from reagent_benchmarks.suite.sets.calls import BFCL
from reagent_benchmarks.suite.sets.gaia import GAIA, GAIA_TEXT
from reagent_benchmarks.suite.sets.hle import HLE
from reagent_benchmarks.suite.sets.maths import AIME24, AIME25, GSM8K, MATH500
from reagent_benchmarks.suite.sets.multihop import AGENTPROCESSBENCH, BAMBOOGLE, HOTPOTQA, MUSIQUE, TWOWIKI
from reagent_benchmarks.suite.sets.synth import SYNTH
from reagent_benchmarks.suite.sets.tau import TAU
from reagent_benchmarks.suite.sets.web import BROWSECOMP, SIMPLEQA, WEBWALKER, XBENCH
from reagent_sdk.errors import InvalidInput

PAPER = (GAIA_TEXT, GAIA, WEBWALKER, HLE, XBENCH, HOTPOTQA, TWOWIKI, BAMBOOGLE, MUSIQUE, AIME24, AIME25, MATH500, GSM8K)
"""The sets of the paper, in its order."""
_ALL = {one.name: one for one in (*PAPER, SIMPLEQA, BROWSECOMP, BFCL, TAU, AGENTPROCESSBENCH, SYNTH)}
BENCHMARKS = tuple(_ALL)
"""The names of all benchmarks."""


class Listing(NamedTuple):
    """One line of a list of benchmarks."""

    name: str
    title: str
    what: str
    size: int | None
    grader: str
    tools: tuple[str, ...]
    licence: str
    gated: bool
    home: str
    how: str
    """How to get it."""


def benchmark(name: str) -> Benchmark:
    """The benchmark of a name.

    Raises:
        InvalidInput: there is none.
    """
    if found := _ALL.get(name.strip().lower()):
        return found
    near = get_close_matches(name.strip().lower(), BENCHMARKS, n=1)
    guess = f" Did you mean {near[0]}?" if near else ""
    raise InvalidInput(f"there is no benchmark {name!r}; there are {', '.join(BENCHMARKS)}.{guess}")


def listing() -> list[Listing]:
    """What there is, a line for each benchmark."""
    return [
        Listing(
            name=one.name,
            title=one.title,
            what=one.what,
            size=one.sample or one.size,
            grader=one.grader,
            tools=one.tools,
            licence=one.licence,
            gated=one.gated,
            home=one.home,
            how=_how(one),
        )
        for one in _ALL.values()
    ]


def _how(one: Benchmark) -> str:
    if not one.hub_id:
        return "--data"
    return "accept the conditions, log in; or --data" if one.gated else "by itself; or --data"
