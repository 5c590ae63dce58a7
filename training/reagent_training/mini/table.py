"""The table and the pictures of a reproduction, from its measured rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from reagent_benchmarks.outcomes import ArmResult
from reagent_benchmarks.stats.intervals import mean_over
from reagent_benchmarks.stats.passk import pass_at_k
from reagent_benchmarks.stats.summary import ArmSummary, summarise

from reagent_sdk.calibration.card import Estimate
from reagent_sdk.frozen import Frozen
from reagent_training.markdown import table
from reagent_training.mini.run import SFT


class Line(Frozen):
    """One arm over all its seeds.

    Attributes:
        arm: its name.
        seeds: how many.
        tasks: held-out tasks; attempts at a task, and all seeds, stay together in intervals.
        pass_1: share of attempts that are right.
        pass_3: chance that at least one of three attempts by one seed's weights is right; None with fewer attempts.
        difference: of pass@1 against the agent after SFT on the same tasks, attempts and seeds; None for that agent.
        fixed: attempts that were wrong there and are right here; `broken` the other way round.
        by_seed: pass@1 of each seed.
        generated: tokens that the arm's training sampled, mean over seeds; None where there was none.
        tokens: that the agent samples for one held-out attempt.
        seconds: of one held-out attempt, many side by side.
    """

    arm: str
    seeds: int
    tasks: int
    pass_1: Estimate
    pass_3: Estimate | None
    difference: Estimate | None
    fixed: int
    broken: int
    by_seed: Mapping[int, float]
    generated: float | None
    tokens: float
    seconds: float


def lines(results: Sequence[ArmResult], generated: Mapping[str, float]) -> list[Line]:
    """One line for each arm, the agent after SFT first after the base.

    Args:
        results: measured rows.
        generated: arm -> tokens that its training sampled.
    """
    found = {arm.arm: arm for summary in summarise(results, bare=SFT) for arm in summary.arms}
    order = list(dict.fromkeys(row.arm for row in results))
    return [_line(found[arm], [row for row in results if row.arm == arm], generated.get(arm)) for arm in order]


def _line(summary: ArmSummary, rows: Sequence[ArmResult], generated: float | None) -> Line:
    against = summary.against
    seeds = sorted({row.seed for row in rows})
    return Line(
        arm=summary.arm,
        seeds=len(seeds),
        tasks=summary.questions,
        pass_1=summary.accuracy,
        pass_3=_pass_3(rows),
        difference=against.difference if against and against.pairs else None,
        fixed=against.fixed if against else 0,
        broken=against.broken if against else 0,
        by_seed={seed: fmean(row.right is True for row in rows if row.seed == seed) for seed in seeds},
        generated=generated,
        tokens=summary.tokens,
        seconds=summary.seconds,
    )


def _pass_3(rows: Sequence[ArmResult]) -> Estimate | None:
    """pass@3 within each seed, averaged over tasks and seeds."""
    tries: dict[tuple[str, int], list[bool]] = {}
    for row in rows:
        tries.setdefault((row.sample, row.seed), []).append(row.right is True)
    enough = {key: own for key, own in tries.items() if len(own) >= 3}
    if not enough:
        return None
    values = [pass_at_k(len(own), sum(own), 3) for own in enough.values()]
    return mean_over(values, [task for task, _ in enough], seed=0)


def as_markdown(found: Sequence[Line]) -> str:
    """The table for docs and screens."""
    head = "arm", "seeds", "pass@1", "by seed", "pass@3", "against SFT", "fixed", "broken", "trained on", "tokens", "s"
    return table(head, map(_cells, found)) + "\n"


def _cells(one: Line) -> list[Any]:
    return [
        one.arm,
        one.seeds,
        interval(one.pass_1),
        " ".join(f"{value:.3f}" for value in one.by_seed.values()),
        interval(one.pass_3) if one.pass_3 else "-",
        interval(one.difference, sign="+") if one.difference else "-",
        one.fixed if one.difference else "-",
        one.broken if one.difference else "-",
        f"{one.generated / 1e3:,.0f}k" if one.generated else "-",
        f"{one.tokens:.0f}",
        f"{one.seconds:.2f}",
    ]


def interval(of: Estimate, *, sign: str = "") -> str:
    """A value with its 95% interval, as text."""
    if of.value is None:
        return "-"
    within = "" if of.low is None or of.high is None else f" ({of.low:{sign}.3f}..{of.high:{sign}.3f})"
    return f"{of.value:{sign}.3f}{within}"


def draw(found: Sequence[Line], curves: Mapping[str, Sequence[tuple[int, float]]], path: Path) -> None:
    """A forest plot of pass@1, and how the reward moved in each arm.

    Args:
        found: the table.
        curves: arm -> (update, share of right first attempts), mean over seeds.
        path: a PNG.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(11, 0.5 * len(found) + 2.4), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    for place, one in enumerate(reversed(found)):
        if one.pass_1.value is None:
            continue
        low, high = one.pass_1.low, one.pass_1.high
        if low is not None and high is not None:
            left.plot([low, high], [place, place], color="tab:blue", linewidth=2)
        left.plot([one.pass_1.value], [place], "o", color="tab:blue")
        left.plot(list(one.by_seed.values()), [place] * one.seeds, "|", color="black", markersize=9)
    left.set_yticks(range(len(found)), [one.arm for one in reversed(found)])
    left.set_xlabel("pass@1 on held-out tasks, 95% over tasks; strokes: seeds")
    left.grid(axis="x", alpha=0.3)
    for arm, points in curves.items():
        right.plot(*zip(*points, strict=True), label=arm)
    right.set_xlabel("update")
    right.set_ylabel("first attempts that are right, in training")
    right.xaxis.set_major_locator(MaxNLocator(integer=True))
    right.grid(alpha=0.3)
    if curves:
        right.legend(fontsize=8)
    figure.savefig(path, dpi=120)
