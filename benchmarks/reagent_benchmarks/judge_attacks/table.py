"""The tables that the program prints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from reagent_benchmarks.judge_attacks.attack import Attack, Kind
from reagent_benchmarks.judge_attacks.figures import Figures, Planted
from reagent_benchmarks.judge_attacks.proof import Breach
from reagent_benchmarks.judge_attacks.runner import Got
from reagent_benchmarks.judge_attacks.window import Pushed


def show_attacks(attacks: Sequence[Attack], console: Console) -> None:
    """Lists the attacks."""
    table = Table("family", "attack", "kind", "place", "wants")
    for attack in attacks:
        table.add_row(attack.family, attack.name, attack.kind.value, attack.place.value, attack.aim.value)
    console.print(table)
    console.print(f"{len(attacks)} attacks, {sum(one.kind is Kind.FORMAT for one in attacks)} of them on the format")


def show_proof(attacks: Sequence[Attack], on: Sequence[Breach], off: Sequence[Breach], console: Console) -> None:
    """Says how many format attacks get through, with the defences and without."""
    names = {attack.name for attack in attacks if attack.kind is Kind.FORMAT}
    through, bare = {one.attack for one in on}, {one.attack for one in off}
    console.print(
        f"format attacks that get through, without any model: {len(through)} of {len(names)} with the defences, "
        f"{len(bare)} of {len(names)} without"
    )
    for (name, what), count in Counter((one.attack, one.what) for one in on).items():
        console.print(f"[bold red]through[/]: {name}: {what} ({count} trajectories)", highlight=False)


def show_windows(rows: Sequence[Pushed], console: Console) -> None:
    """What padding pushes out."""
    table = Table("padding", "window", "own steps whole", "wrong steps whole", "left out, mean", "reported by verdict")
    for row in rows:
        flawed = "-" if row.flawed is None else f"{row.flawed:.0%}"
        table.add_row(
            row.attack, f"{row.window:,}", f"{row.own:.0%}", flawed, f"{row.omitted:,.0f}", f"{row.flagged:.0%}"
        )
    console.print(table)


def show_figures(rows: Sequence[Figures], threshold: float, console: Console) -> None:
    """The shifts and flips."""
    table = Table("defences", "attack", "pairs", "shift", "size", "possible", f"flips at {threshold:g}", "no score")
    arm = None
    for row in rows:
        if row.arm is not arm:
            table.add_section()
            arm = row.arm
        possible = "-" if row.headroom is None else f"{row.headroom:.3f}"
        flips = f"{row.flips} (room in {row.room})"
        cells = [row.arm.value, row.what, str(row.pairs), str(row.shift), str(row.moved), possible, flips]
        table.add_row(*cells, f"{row.unread} (clean: {row.clean_unread})")
    console.print(table)


def show_planted(rows: Sequence[Planted], console: Console) -> None:
    """What the critiques carry."""
    table = Table("defences", "asked", "planted text in the critique", "still there behind the leak guard")
    for row in rows:
        table.add_row(row.arm.value, str(row.asked), str(row.written), str(row.reaches))
    console.print(table)


def show_outcomes(got: Sequence[Got], console: Console) -> None:
    """Which statuses the verdicts had, and the clean scores."""
    for arm in dict.fromkeys(one.asked.arm for one in got):
        counts = Counter(one.status for one in got if one.asked.arm is arm)
        console.print(f"outcomes, defences {arm.value}: " + ", ".join(f"{n} {status}" for status, n in counts.items()))
