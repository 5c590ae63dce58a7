"""A plan for people: devices, memory, phases, problems, commands, and what is an estimate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reagent_sdk.cli.terminal import clean, console

if TYPE_CHECKING:
    from rich.table import Table

    from reagent_training.scale.cluster import Cluster
    from reagent_training.scale.plan import ScalePlan

_PARTS = {
    "weights": "weights",
    "gradients": "gradients",
    "master": "master copy",
    "moments": "optimiser's moments",
    "reference": "reference weights",
    "activations": "kept activations",
    "working": "working space at the peak",
}


def show(plan: ScalePlan, cluster: Cluster) -> None:
    """Prints a plan."""
    from rich.text import Text

    screen = console()
    devices = f"{cluster.gpus * cluster.nodes} x {plan.device}"
    screen.print(Text(clean(f"{plan.recipe}: {plan.base} on {devices}"), style="bold"))
    screen.print(_grid(_facts(plan, cluster)))
    screen.print(_memory(plan))
    screen.print(_phases(plan))
    hours = (
        f"an update about {_span(plan.seconds)}, {plan.updates:,} updates about {_span(plan.seconds * plan.updates)}"
    )
    screen.print(Text(f"time: {hours}  (estimate)"))
    for problem in plan.problems:
        screen.print(Text(f"does not fit: {problem}", style="bold red"))
    for change in plan.changes:
        screen.print(Text(f"  would fit: {change}"))
    if plan.problems and not plan.changes:
        screen.print(Text("  no single change mends it; a smaller model or several changes at once may"))
    if not plan.problems:
        screen.print(Text("\nstart, in this order:", style="bold"))
    for name, command in plan.commands.items() if not plan.problems else ():
        screen.print(Text(f"# {name}", style="dim"))
        screen.print(Text(clean(command)), soft_wrap=True)
    screen.print(Text("\nchecked by tests: " + "; ".join(plan.checked), style="dim"))
    screen.print(Text("estimates, checked by nobody here: " + "; ".join(plan.estimated), style="dim"))


def _facts(plan: ScalePlan, cluster: Cluster) -> dict[str, str]:
    division, work = plan.layout.division, cluster.work
    where = "a vLLM server" if division.mode == "server" else "vLLM inside the training processes"
    shared = f" of {division.rollouts} devices" if division.rollouts > 1 else ""
    rollouts = f"{division.rollouts * division.engines} devices: {where}, {division.engines} engines{shared}"
    each = division.prompts * work.group * work.attempts
    changed = "" if division.prompts == work.prompts else f" ({work.prompts} do not go round evenly)"
    rows = {
        "parameters": f"{plan.parameters / 1e6:,.1f} M, trained {plan.trained / 1e6:,.1f} M",
        "training": f"{division.training} devices, {cluster.how.sharding if division.training > 1 else 'no sharding'}",
        "rollouts": f"{rollouts}; {plan.rollout_sequences:,} rollouts at once in each cache",
        "judge": "served elsewhere, or none",
        "an update": f"{division.prompts} prompts{changed} x {work.group} x {work.attempts} = {each:,} rollouts",
    }
    if division.judging:
        size = f", {division.judging // division.judge_size} copies; {plan.judge_sequences:,} verdicts at once in each"
        rows["judge"] = f"{division.judging} devices{size}"
    return rows


def _memory(plan: ScalePlan) -> Table:
    table = _table("memory of a training device", "GB")
    for name, size in plan.memory_gb.items():
        if size:
            table.add_row(_PARTS[name], f"{size:.1f}")
    if plan.layout.division.mode == "colocate":
        table.add_row("vLLM while it samples, in place of the last two", f"{plan.need_of_engine_gb:.1f}")
    fits = "fits" if plan.need_gb <= plan.usable_gb else "does not fit"
    table.add_row(f"needed at most, of {plan.usable_gb:.1f} usable: {fits}", f"{plan.need_gb:.1f}", style="bold")
    return table


def _phases(plan: ScalePlan) -> Table:
    table = _table("phase of an update", "devices", "tokens in", "tokens sampled", "seconds (estimate)")
    for phase in plan.phases:
        figures = (f"{phase.devices}", f"{phase.read:,.0f}", f"{phase.written:,.0f}", f"{phase.seconds:,.1f}")
        table.add_row(phase.name, *figures)
    return table


def _table(first: str, *others: str) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2), header_style="cyan")
    table.add_column(first)
    for one in others:
        table.add_column(one, justify="right")
    return table


def _grid(rows: dict[str, str]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    for label, value in rows.items():
        table.add_row(Text(label, style="cyan"), Text(clean(value)))
    return table


def _span(seconds: float) -> str:
    """A time for people."""
    for unit, size in (("days", 86_400.0), ("hours", 3_600.0), ("minutes", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:,.1f} {unit}"
    return f"{seconds:.1f} seconds"
