"""The plan of a run on many devices: a layout with its figures, what they rest on, what to change where none fits."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from reagent_sdk.errors import InvalidInput
from reagent_sdk.frozen import Frozen
from reagent_training.scale.cluster import Cluster, Mode
from reagent_training.scale.hardware import Assumptions
from reagent_training.scale.launch import commands, settings
from reagent_training.scale.layout import Layout, best
from reagent_training.scale.throughput import rollouts_of, verdicts_of
from reagent_training.train.config import Lora

CHECKED = (
    "parameters, states, kept activations, cache and operations follow formulas that tests hold against real models",
)
ESTIMATED = (
    "seconds and hours: makers' peak figures times assumed shares; no GPU was measured",
    "memory that engines keep beside weights and cache, gaps between allocations, and gathered weights of ZeRO-3",
    "lengths of rollouts and verdicts, and how uneven they are",
)


class Phase(Frozen):
    """A part of an update.

    Attributes:
        devices: that work on it.
        read: tokens that go in beside what a cache has; `written` tokens that are sampled.
    """

    name: str
    devices: int
    read: float
    written: float
    seconds: float


class ScalePlan(Frozen):
    """What a run on many devices takes.

    Attributes:
        parameters: of the model; `trained` of them change.
        memory_gb: of a training device by part, at the peak; `need_gb` at the worst moment,
            `need_of_engine_gb` that of an engine inside the training process.
        rollout_sequences: rollouts of mean length that an engine's cache holds; `judge_sequences` likewise.
        hours: of `updates` updates.
        problems: why it cannot run, empty where it can; `changes` what would mend that.
        estimated: which figures nobody has measured.
    """

    recipe: str
    base: str
    parameters: int
    trained: int
    device: str
    layout: Layout
    memory_gb: dict[str, float]
    need_gb: float
    need_of_engine_gb: float
    usable_gb: float
    rollout_sequences: int
    judge_sequences: int | None
    phases: tuple[Phase, ...]
    seconds: float
    updates: int = Field(ge=1)
    hours: float
    problems: tuple[str, ...]
    changes: tuple[str, ...]
    settings: dict[str, str]
    commands: dict[str, str]
    assumptions: Assumptions
    checked: tuple[str, ...] = CHECKED
    estimated: tuple[str, ...] = ESTIMATED


class Wish(Frozen):
    """What the plan is for, beside the cluster."""

    recipe: str
    config: str
    out: str = "runs/agent"
    updates: int = Field(300, ge=1)
    mode: Mode | None = None


def plan_of(cluster: Cluster, wish: Wish) -> ScalePlan:
    """The best plan there is.

    Args:
        cluster: what there is, and what it is to do.
        wish: what the plan is for.

    Raises:
        InvalidInput: the devices cannot be divided at all.
    """
    layout = best(cluster, mode=wish.mode)
    work = cluster.work.model_copy(update={"prompts": layout.division.prompts})
    here = cluster.model_copy(update={"work": work})
    judge = layout.judge_engine
    lora = cluster.how.lora
    return ScalePlan(
        recipe=wish.recipe,
        base=cluster.model.base,
        parameters=cluster.model.parameters,
        trained=cluster.model.adapter(lora) if lora else cluster.model.parameters,
        device=cluster.device.name,
        layout=layout,
        memory_gb={name: size / 1e9 for name, size in layout.memory},
        need_gb=layout.need / 1e9,
        need_of_engine_gb=layout.division.share * cluster.device.memory / 1e9,
        usable_gb=cluster.usable / 1e9,
        rollout_sequences=layout.rollout.sequences(rollouts_of(work, cluster.guess, work.attempts - 1).context),
        judge_sequences=judge.sequences(verdicts_of(work, 0).context) if judge else None,
        phases=tuple(_phases(here, layout)),
        seconds=layout.seconds,
        updates=wish.updates,
        hours=layout.seconds * wish.updates / 3600,
        problems=layout.problems,
        changes=tuple(_changes(cluster, wish)) if layout.problems else (),
        settings=settings(here, layout),
        commands=commands(here, layout, recipe=wish.recipe, config=wish.config, out=wish.out),
        assumptions=cluster.guess,
    )


def _phases(cluster: Cluster, layout: Layout) -> Iterator[Phase]:
    work, division = cluster.work, layout.division
    rollouts = [rollouts_of(work, cluster.guess, one) for one in range(work.attempts)]
    yield Phase(
        name="rollout",
        devices=division.rollouts * division.engines,
        read=sum(one.sequences * one.read for one in rollouts),
        written=sum(one.sequences * one.written for one in rollouts),
        seconds=layout.rollout_seconds,
    )
    if division.judging:
        verdicts = [verdicts_of(work, one) for one in range(work.attempts)]
        yield Phase(
            name="judge",
            devices=division.judging,
            read=sum(one.sequences * one.read for one in verdicts),
            written=sum(one.sequences * one.written for one in verdicts),
            seconds=layout.judge_seconds,
        )
    wide = sum(work.prompts * work.group * work.row(one, cluster.guess.stretch) for one in range(work.attempts))
    yield Phase(name="train", devices=division.training, read=wide, written=0.0, seconds=layout.train_seconds)
    yield Phase(name="weights", devices=division.training, read=0.0, written=0.0, seconds=layout.sync_seconds)


def _changes(cluster: Cluster, wish: Wish) -> Iterator[str]:
    """Changes of one thing each after which it fits."""
    how, work = cluster.how, cluster.work
    shorter = max(2, work.longest // 2)
    candidates: list[tuple[str, Cluster]] = [
        (
            "checkpoint activations (--checkpointing)",
            _with(cluster, how=how.model_copy(update={"checkpointing": True})),
        ),
        ("train an adapter (--lora-rank 32)", _with(cluster, how=how.model_copy(update={"lora": Lora(rank=32)}))),
        (
            f"fewer rows at a time (--batch {work.attempts})",
            _with(cluster, how=how.model_copy(update={"batch": work.attempts})),
        ),
        (
            "rows without padding, which TRL does not do by itself (--no-padding plans with it)",
            _with(cluster, work=work.model_copy(update={"padded": False})),
        ),
        (
            f"shorter rollouts (--max-tokens {shorter})",
            _with(cluster, work=work.model_copy(update={"longest": shorter})),
        ),
        (f"more devices (--gpus {min(8, 2 * cluster.gpus)})", _with(cluster, gpus=min(8, 2 * cluster.gpus))),
        (f"more machines (--nodes {2 * cluster.nodes})", _with(cluster, nodes=2 * cluster.nodes)),
        ("a judge that is served elsewhere (--judge-model none)", _with(cluster, judge=None)),
    ]
    for told, other in candidates:
        if other != cluster and work.prompt_tokens < other.work.longest and _fits(other, wish.mode):
            yield told


def _with(cluster: Cluster, **changes: object) -> Cluster:
    return cluster.model_copy(update=changes)


def _fits(cluster: Cluster, mode: Mode | None) -> bool:
    try:
        return not best(cluster, mode=mode).problems
    except InvalidInput:
        return False
